package pubsub_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/internal/testkit"
	"github.com/go-xmppframework/xmpp/modules/pubsub"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

func TestMain(m *testing.M) { os.Exit(integration.Main(m)) }

var checkGoroutines = testkit.Goroutines

const (
	tuneNode = "http://jabber.org/protocol/tune"
	own      = "juliet@example.test"
)

func tune(title string) *etree.Element {
	return stanza.New("tune", tuneNode).C("title").T(title).Element()
}

// pair is a stream with the module on it, and the server's end.
func pair(t *testing.T, cfg pubsub.Config) (*pubsub.PubSub, *xmpp.Stream, *xmpptest.Peer) {
	t.Helper()
	p := pubsub.New(cfg)
	s, peer := xmpptest.Pair(t, func(s *xmpp.Stream) {
		if err := p.Activate(s); err != nil {
			t.Fatal(err)
		}
	})
	return p, s, peer
}

// events are what delegates heard, in order.
type events struct {
	mu   sync.Mutex
	list []string
	last pubsub.Event
}

func (e *events) note(what string, ev pubsub.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, i := range ev.Items {
		what += " " + i.ID + "=" + stanza.ChildText(i.Payload, "title", tuneNode)
	}
	for _, id := range ev.Retracted {
		what += " -" + id
	}
	if ev.Redirect != "" {
		what += " ->" + ev.Redirect
	}
	if t := ev.Config.Get(pubsub.Title); t != "" {
		what += " " + t
	}
	if s := ev.Subscription; s != nil {
		what += fmt.Sprintf(" %s %s %v %d", s.State, s.SubID, s.JID, s.Expiry.Year())
	}
	if ev.Kind == pubsub.CollectionEvent {
		what += fmt.Sprintf(" %v %v", ev.Added, ev.Removed)
	}
	if ev.Collections != nil {
		what += fmt.Sprintf(" %v %v", ev.Collections, ev.SubIDs)
	}
	e.list = append(e.list, fmt.Sprintf("%s %v %s", what, ev.Service, ev.Node))
	e.last = ev
}

func (e *events) take() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := strings.Join(e.list, "; ")
	e.list = nil
	return s
}

func (e *events) handler(what string) pubsub.Handler {
	return func(_ context.Context, _ *pubsub.PubSub, ev pubsub.Event) { e.note(what, ev) }
}

func (e *events) PubSubDidReceiveItems(_ context.Context, _ *pubsub.PubSub, ev pubsub.Event) {
	e.note("items", ev)
}
func (e *events) PubSubDidRetractItems(_ context.Context, _ *pubsub.PubSub, ev pubsub.Event) {
	e.note("retracted", ev)
}
func (e *events) PubSubDidPurgeNode(_ context.Context, _ *pubsub.PubSub, ev pubsub.Event) {
	e.note("purged", ev)
}
func (e *events) PubSubDidConfigureNode(_ context.Context, _ *pubsub.PubSub, ev pubsub.Event) {
	e.note("configured", ev)
}
func (e *events) PubSubDidChangeCollection(_ context.Context, _ *pubsub.PubSub, ev pubsub.Event) {
	e.note("collection", ev)
}
func (e *events) PubSubDidChangeSubscription(_ context.Context, _ *pubsub.PubSub, ev pubsub.Event) {
	e.note("subscription", ev)
}
func (e *events) PubSubDidReceiveSubscriptionRequest(_ context.Context, _ *pubsub.PubSub, r pubsub.SubscriptionRequest) {
	e.note("asked "+r.Subscriber.String(), pubsub.Event{Service: r.Service, Node: r.Node})
}
func (e *events) PubSubDidDeleteNode(_ context.Context, _ *pubsub.PubSub, ev pubsub.Event) {
	e.note("deleted", ev)
}
