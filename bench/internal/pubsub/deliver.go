package pubsub

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/pubsub"
)

// Delivered is what many subscribers in one process get of the items that one publisher, in the same process, publishes.
type Delivered struct {
	Server      string
	Subscribers int
	Items       int
	Came        int     // events that subscribers got, of Subscribers × Items
	Disorder    int     // those that were not the next after the one before
	Rate        float64 // deliveries a second, from the first item published until the last event was heard
	CPU         float64 // microseconds of processor time of the client for a delivery, with the share of publishing
}

const (
	perAccount = 50 // subscribers
	lanes      = 16 // logins at a time
)

// subscriber counts what it hears, in order.
type subscriber struct {
	next, disorder int // used by its queue alone until all is over
	came           *atomic.Int64
	all            int64
	done           chan<- struct{}
}

func (s *subscriber) PubSubDidReceiveItems(_ context.Context, _ *pubsub.PubSub, e pubsub.Event) {
	for _, i := range e.Items {
		n, ok := number(i)
		if !ok || n != s.next {
			s.disorder++
		}
		s.next = n + 1
		if s.came.Add(1) == s.all {
			close(s.done)
		}
	}
}

func (s *subscriber) PubSubDidRetractItems(context.Context, *pubsub.PubSub, pubsub.Event) {}

// crowd are subscribers of one node.
type crowd struct {
	streams []*xmpp.Stream
	list    []*subscriber
	came    atomic.Int64
	done    chan struct{}
}

// gather logs n subscribers in, each with a stream of its own.
func gather(ctx context.Context, srv *integration.Server, node string, n, items int) (*crowd, error) {
	c := &crowd{streams: make([]*xmpp.Stream, n), list: make([]*subscriber, n), done: make(chan struct{})}
	keys := make([]xmpp.Credentials, (n+perAccount-1)/perAccount)
	for i := range keys {
		keys[i] = xmpp.Password(password)
		if err := srv.CreateAccount(fmt.Sprintf("reader%d", i), integration.Full, password); err != nil {
			return nil, err
		}
	}
	errs := make([]error, lanes)
	var wg sync.WaitGroup
	for lane := range lanes {
		wg.Go(func() {
			for i := lane; i < n && errs[lane] == nil; i += lanes {
				u := &subscriber{came: &c.came, all: int64(n * items), done: c.done}
				s, p, err := login(ctx, srv, fmt.Sprintf("reader%d", i/perAccount), fmt.Sprint(i), keys[i/perAccount], u)
				if err == nil {
					_, err = p.Subscribe(ctx, service, node, pubsub.Subscriber{JID: s.MyJID()}, nil)
				}
				c.streams[i], c.list[i], errs[lane] = s, u, err
			}
		})
	}
	wg.Wait()
	return c, errors.Join(errs...)
}

// leave closes all streams.
func (c *crowd) leave(ctx context.Context) {
	var wg sync.WaitGroup
	for lane := range lanes {
		wg.Go(func() {
			for i := lane; i < len(c.streams); i += lanes {
				if c.streams[i] != nil {
					_ = c.streams[i].Close(ctx)
				}
			}
		})
	}
	wg.Wait()
}

// Deliver subscribes n streams to a node of the server's PubSub component and publishes items there.
func Deliver(ctx context.Context, srv *integration.Server, n, items int) (v Delivered, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	v = Delivered{Server: name(srv), Subscribers: n, Items: items}
	s, p, node, err := node(ctx, srv, nil)
	if err != nil {
		return v, err
	}
	defer func() { err = errors.Join(err, s.Close(ctx)) }()
	c, err := gather(ctx, srv, node, n, items)
	if c != nil {
		defer c.leave(ctx)
	}
	if err != nil {
		return v, err
	}
	list := make([]pubsub.Item, items)
	for i := range list {
		list[i] = reading(i)
	}
	used, start := processorTime(), time.Now()
	if _, err := p.PublishAll(ctx, service, node, list, nil); err != nil {
		return v, err
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		return v, fmt.Errorf("%d deliveries of %d: %w", c.came.Load(), n*items, ctx.Err())
	}
	took, spent := time.Since(start), processorTime()-used
	v.Came, v.Rate, v.CPU = int(c.came.Load()), rate(n*items, took), micros(spent, n*items)
	for _, u := range c.list {
		v.Disorder += u.disorder
	}
	return v, p.DeleteNode(ctx, service, node)
}
