package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/pubsub"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/rsm"
)

// pageSize is how many readings are asked for at a time, and history how many there may be.
const pageSize, history = 25, 600

// watcher hears of readings.
type watcher struct {
	*runner
	*client
	queue *xmpp.Queue
	ready chan struct{} // closed when the past has been looked at for the first time
	once  sync.Once
}

// watch subscribes, fetches what there is, and puts everything on the board. It returns when that is done; stop ends it.
func (r *runner) watch(ctx context.Context) (stop func(context.Context), err error) {
	c, err := newClient(r.cfg)
	if err != nil {
		return nil, err
	}
	w := &watcher{runner: r, client: c, queue: xmpp.NewQueue(), ready: make(chan struct{})}
	c.AddDelegate(xmpp.Delegate{Session: w})
	if r.isService() {
		c.pubsub.AddDelegate(pubsub.Delegate{Items: w}, w.queue)
	} else {
		r.node.Notify(c.pubsub, w.queue, w.change)
	}
	stop = func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if r.isService() {
			_ = c.pubsub.Unsubscribe(ctx, r.service, r.node.Node, pubsub.Subscriber{JID: c.MyJID()})
		}
		c.stop(ctx)
		_ = w.queue.Flush(ctx)
	}
	if err := c.start(ctx, r.end); err != nil {
		return nil, err
	}
	select {
	case <-w.ready:
	case <-ctx.Done():
	}
	return stop, nil
}

// DidStartSession subscribes first and then looks at the past, so that nothing is between the two; what comes twice the board knows.
// A resumed session has missed nothing.
func (w *watcher) DidStartSession(ctx context.Context, s *xmpp.Stream, kind xmpp.SessionKind) {
	if kind == xmpp.SessionResumed {
		return
	}
	defer w.once.Do(func() { close(w.ready) })
	if w.sensors > 0 {
		w.prepare(ctx, w.client)
	}
	var err error
	if w.isService() { // to this client alone; for accounts, the features of the client say it
		_, err = w.client.pubsub.Subscribe(ctx, w.service, w.node.Node, pubsub.Subscriber{JID: s.MyJID()}, nil)
	}
	if err == nil {
		err = w.fetch(ctx)
	}
	if se := (*stanza.Error)(nil); errors.As(err, &se) {
		w.end(err)
	} else if err != nil && ctx.Err() == nil {
		w.say("! %v", err)
	}
}

// fetch reads the node from its end, page by page, until there are enough: no page is asked for that is not looked at.
func (w *watcher) fetch(ctx context.Context) error {
	n := 0
	for v, err := range w.node.All(ctx, w.client.pubsub, w.service, rsm.Request{Max: pageSize, Last: true}) {
		if errors.Is(err, stanza.ItemNotFound) && n == 0 {
			return nil // nobody has published yet
		}
		if err != nil {
			return err
		}
		w.board.add(true, v)
		if n++; n == history {
			break
		}
	}
	return nil
}

// change hears of the node at all accounts that may tell.
func (w *watcher) change(_ context.Context, _ *pubsub.PubSub, c pubsub.Change[Reading]) {
	if c.Service == w.source() && c.Node == w.node.Node {
		w.board.add(!c.Delay.IsZero(), c.Values...) // the last one may be told to who comes later
	}
}

func (w *watcher) PubSubDidReceiveItems(ctx context.Context, p *pubsub.PubSub, e pubsub.Event) {
	w.change(ctx, p, w.node.Change(e))
}

func (w *watcher) PubSubDidRetractItems(context.Context, *pubsub.PubSub, pubsub.Event) {}
