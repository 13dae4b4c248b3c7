// Package pubsub measures publish-subscribe through real servers: many items written and read back page by page, and many subscribers in one process.
package pubsub

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/pubsub"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/rsm"
)

// Paged is what it takes to publish many items at a node, and to read them back.
type Paged struct {
	Server      string
	Items, Page int
	Out, In     float64 // items a second, published and read
	CPUOut      float64 // microseconds of processor time of the client for an item published, with the answer to its request
	CPUIn       float64 // the same for an item read
	Missing     int     // items that did not come back exactly once, as they were
}

const (
	payloadNS = "urn:example:bench:reading"
	password  = "bench-secret"
	patience  = time.Minute
)

var service = xmpp.MustParseJID("pubsub." + integration.Full)

// programs name the servers.
var programs = map[integration.Kind]string{
	integration.Ejabberd: "ejabberd", integration.Ejabberd26: "ejabberd", integration.Prosody: "Prosody", integration.Prosody13: "Prosody",
}

func name(srv *integration.Server) string { return programs[srv.Kind] + " " + srv.Version }

// reading is the n-th item: a payload of about 100 bytes.
func reading(n int) pubsub.Item {
	return pubsub.Item{ID: fmt.Sprintf("item%06d", n), Payload: stanza.New("reading", payloadNS).
		A("at", "2026-01-01T12:00:00Z").C("celsius").T(fmt.Sprintf("%d.5", n)).Up().C("place").T("greenhouse").Element()}
}

// number is that of an item that was read; ok is false if it is not as it was published.
func number(i pubsub.Item) (n int, ok bool) {
	if _, err := fmt.Sscanf(i.ID, "item%06d", &n); err != nil || i.Payload == nil {
		return 0, false
	}
	return n, stanza.ChildText(i.Payload, "celsius", payloadNS) == fmt.Sprintf("%d.5", n)
}

// login logs in without presence, and d, if it is not nil, hears of items: who is subscribed with a full address needs none.
func login(ctx context.Context, srv *integration.Server, user, resource string, keys xmpp.Credentials, d pubsub.ItemsDelegate) (*xmpp.Stream, *pubsub.PubSub, error) {
	cfg := srv.Config(user+"@"+integration.Full+"/"+resource, password)
	cfg.Credentials, cfg.NoInitialPresence = keys, true
	s, err := xmpp.New(cfg)
	if err != nil {
		return nil, nil, err
	}
	p := pubsub.New(pubsub.Config{})
	if d != nil {
		p.AddDelegate(pubsub.Delegate{Items: d}, nil)
	}
	return s, p, errors.Join(p.Activate(s), s.Login(ctx))
}

// node logs an administrator in, who may make nodes everywhere, and makes one.
func node(ctx context.Context, srv *integration.Server, config pubsub.Options) (s *xmpp.Stream, p *pubsub.PubSub, node string, err error) {
	if err := srv.CreateAccount("admin", integration.Full, password); err != nil {
		return nil, nil, "", err
	}
	s, p, err = login(ctx, srv, "admin", "bench", xmpp.Password(password), nil)
	if err != nil {
		return nil, nil, "", err
	}
	node = fmt.Sprintf("readings-%d", time.Now().UnixNano())
	if _, err := p.CreateNode(ctx, service, node, config); err != nil {
		return nil, nil, "", errors.Join(err, s.Close(ctx))
	}
	return s, p, node, nil
}

// Pages publishes n items at a node of the server's PubSub component and reads them back, so many a page.
// The server has to know pages, and to keep so many: see [integration.MaxItems].
// The node stays: ejabberd takes longer to delete it than all the rest.
func Pages(ctx context.Context, srv *integration.Server, n, page int) (v Paged, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	v = Paged{Server: name(srv), Items: n, Page: page}
	s, p, node, err := node(ctx, srv, pubsub.NewOptions(pubsub.MaxItems, fmt.Sprint(n)))
	if err != nil {
		return v, err
	}
	defer func() { err = errors.Join(err, s.Close(ctx)) }()
	items := make([]pubsub.Item, n)
	for i := range items {
		items[i] = reading(i)
	}
	used, start := processorTime(), time.Now()
	ids, err := p.PublishAll(ctx, service, node, items, nil)
	if err != nil {
		return v, fmt.Errorf("after %d items: %w", len(ids), err)
	}
	v.Out, v.CPUOut = rate(n, time.Since(start)), micros(processorTime()-used, n)
	seen := make([]int, n)
	wrong := 0
	used, start = processorTime(), time.Now()
	for i, err := range p.AllItems(ctx, service, node, rsm.Request{Max: page}) {
		if err != nil {
			return v, fmt.Errorf("reading: %w", err)
		}
		if k, ok := number(i); ok && k < n {
			seen[k]++
		} else {
			wrong++
		}
	}
	v.In, v.CPUIn = rate(n, time.Since(start)), micros(processorTime()-used, n)
	v.Missing = wrong
	for _, times := range seen {
		if times != 1 {
			v.Missing++
		}
	}
	return v, nil
}

func rate(n int, d time.Duration) float64 { return float64(n) / d.Seconds() }

func micros(d time.Duration, n int) float64 {
	return float64(d) / float64(time.Microsecond) / float64(n)
}

// processorTime is that of this process so far.
func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
