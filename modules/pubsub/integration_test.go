package pubsub_test

import (
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/pubsub"
	"github.com/go-xmppframework/xmpp/stanza"
)

// realClient logs a new account in at a real server, with the module on the stream, and announces what the module is interested in.
func realClient(t *testing.T, srv *integration.Server, nodes ...string) (*pubsub.PubSub, *xmpp.Stream, *events) {
	t.Helper()
	address, password := srv.NewAccount(t)
	return realClientOf(t, srv, address, password, nodes...)
}

func realClientOf(t *testing.T, srv *integration.Server, address, password string, nodes ...string) (*pubsub.PubSub, *xmpp.Stream, *events) {
	t.Helper()
	p, heard := pubsub.New(pubsub.Config{}), new(events)
	p.AddDelegate(pubsub.Delegate{Items: heard, Node: heard}, nil)
	for _, n := range nodes {
		p.Notify(n, nil, func(context.Context, *pubsub.PubSub, pubsub.Event) {})
	}
	return p, srv.Login(t, srv.Config(address, password), func(s *xmpp.Stream) {
		if err := p.Activate(s); err != nil {
			t.Fatal(err)
		}
		announce(t, s, p.Features)
	}), heard
}

// announce puts capabilities (XEP-0115) into presence and answers what servers then ask.
func announce(t *testing.T, s *xmpp.Stream, features func() []string) {
	const nsInfo, nsCaps, node = "http://jabber.org/protocol/disco#info", "http://jabber.org/protocol/caps", "https://example.test"
	all := func() []string { return slices.Sorted(slices.Values(append(features(), nsInfo, nsCaps))) }
	ver := func() string {
		sum := sha1.Sum([]byte("client/pc//test<" + strings.Join(all(), "<") + "<"))
		return base64.StdEncoding.EncodeToString(sum[:])
	}
	_, err := s.HandleIQ(stanza.Get, nsInfo, "query", nil, func(ctx context.Context, s *xmpp.Stream, iq *stanza.IQ) {
		q := stanza.New("query", nsInfo).A("node", node+"#"+ver()).C("identity").A("category", "client").A("type", "pc").A("name", "test").Up()
		for _, f := range all() {
			q.C("feature").A("var", f).Up()
		}
		_ = s.Send(ctx, iq.Result(q))
	})
	if err != nil {
		t.Fatal(err)
	}
	s.AddInterceptor(xmpp.Interceptor{WillSendPresence: func(_ context.Context, _ *xmpp.Stream, p *stanza.Presence) *stanza.Presence {
		if p.Type() == stanza.Available {
			p.C("c", nsCaps).A("hash", "sha-1").A("node", node).A("ver", ver())
		}
		return p
	}})
}

// await waits until one of the events that were heard holds all of the words.
func (e *events) await(t *testing.T, ctx context.Context, words ...string) {
	t.Helper()
	if heard, ok := e.hears(ctx, words...); !ok {
		t.Fatalf("nothing with %q in %q", words, heard)
	}
}

func (e *events) hears(ctx context.Context, words ...string) (heard []string, ok bool) {
	for {
		for s := range strings.SplitSeq(e.take(), "; ") {
			if s != "" {
				heard = append(heard, s)
			}
			if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(s, w) }) {
				return heard, true
			}
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return heard, false
		}
	}
}

// TestIntegrationEvents publishes on real servers, and hears of it: on another client of the account, and as a contact.
func TestIntegrationEvents(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		checkGoroutines(t)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		address, password := srv.NewAccount(t)
		p, s, _ := realClientOf(t, srv, address, password, tuneNode)
		_, _, desk := realClientOf(t, srv, address, password, tuneNode)
		friend, fs, heard := realClient(t, srv, tuneNode)
		stranger, _, nothing := realClient(t, srv, tuneNode)
		integration.Befriend(t, ctx, s, fs)
		me := s.MyJID().Bare()
		for ok := false; !ok; { // a busy ejabberd may not know yet what the contact is interested in
			if _, err := p.Publish(ctx, xmpp.JID{}, tuneNode, pubsub.Item{ID: "1", Payload: tune("a")}, nil); err != nil {
				t.Fatal(err)
			}
			soon, cancel := context.WithTimeout(ctx, 3*time.Second)
			_, ok = heard.hears(soon, "items 1=a", me.String())
			cancel()
		}
		desk.await(t, ctx, "items 1=a", me.String())
		items, err := friend.Items(ctx, me, tuneNode, nil)
		if err != nil || len(items) != 1 || items[0].ID != "1" || stanza.ChildText(items[0].Payload, "title", tuneNode) != "a" {
			t.Errorf("a contact gets %v, %v", items, err)
		}
		if items, err := stranger.Items(ctx, me, tuneNode, nil); err == nil {
			t.Errorf("a stranger gets %v", items)
		} else {
			t.Log("a stranger:", err)
		}
		// What was published last is told to who comes later.
		_, _, late := realClientOf(t, srv, address, password, tuneNode)
		late.await(t, ctx, "items 1=a", me.String())
		if err := p.Retract(ctx, xmpp.JID{}, tuneNode, "1", true); err != nil {
			t.Fatal(err)
		}
		if srv.Has(integration.RetractEvents) {
			heard.await(t, ctx, "retracted -1", me.String())
		}
		if err := p.DeleteNode(ctx, xmpp.JID{}, tuneNode); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Items(ctx, xmpp.JID{}, tuneNode, nil); !errors.Is(err, stanza.ItemNotFound) {
			t.Errorf("items of a node that was deleted: %v", err)
		}
		if err := p.DeleteNode(ctx, xmpp.JID{}, tuneNode); !errors.Is(err, stanza.ItemNotFound) {
			t.Errorf("deleted twice: %v", err)
		}
		if got := nothing.take(); got != "" {
			t.Errorf("the stranger has heard %s", got)
		}
	})
}

// TestIntegrationOptions: options are honoured by real servers, and nodes changed where they are otherwise.
func TestIntegrationOptions(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		checkGoroutines(t)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		p, s, _ := realClient(t, srv)
		friend, fs, _ := realClient(t, srv)
		integration.Befriend(t, ctx, s, fs)
		me := s.MyJID().Bare()
		model := func(node string) string {
			o, err := p.Configuration(ctx, xmpp.JID{}, node)
			if err != nil {
				t.Errorf("%s: %v", node, err)
			}
			return o.Get(pubsub.AccessModel)
		}
		publish := func(node string, o *pubsub.PublishOptions) error {
			_, err := p.Publish(ctx, xmpp.JID{}, node, pubsub.Item{ID: "current", Payload: tune("a")}, o)
			return err
		}
		visible := func(node string) bool {
			items, err := friend.Items(ctx, me, node, nil)
			return err == nil && len(items) == 1
		}
		fixed := &pubsub.PublishOptions{Config: pubsub.PrivateOptions().Config}
		for _, step := range []struct {
			node    string
			o       *pubsub.PublishOptions
			err     error
			model   string
			visible bool
		}{
			{"urn:example:a", nil, nil, "presence", true},
			{"urn:example:a", fixed, pubsub.PreconditionNotMet, "presence", true},
			{"urn:example:a", pubsub.PrivateOptions(), nil, "whitelist", false},
			{"urn:example:a", fixed, nil, "whitelist", false},
			{"urn:example:a", pubsub.PublicOptions(), nil, "open", true},
			{"urn:example:b", fixed, nil, "whitelist", false},
			{"urn:example:c", pubsub.PrivateOptions(), nil, "whitelist", false},
			{"urn:example:d", pubsub.PublicOptions(), nil, "open", true},
		} {
			if err := publish(step.node, step.o); !errors.Is(err, step.err) || (err == nil) != (step.err == nil) {
				t.Errorf("%s: %v, want %v", step.node, err, step.err)
			}
			if m, v := model(step.node), visible(step.node); m != step.model || v != step.visible {
				t.Errorf("%s is %s, and a contact sees it: %v; want %s, %v", step.node, m, v, step.model, step.visible)
			}
		}
		if err := p.Purge(ctx, xmpp.JID{}, "urn:example:d"); err != nil {
			t.Error(err)
		}
		if items, err := p.Items(ctx, xmpp.JID{}, "urn:example:d", nil); err != nil || len(items) != 0 {
			t.Errorf("after a purge: %v, %v", items, err)
		}
	})
}

// TestIntegrationService uses a service that is no account.
func TestIntegrationService(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		checkGoroutines(t)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		p, s, _ := realClient(t, srv)
		service := xmpp.MustParseJID("pubsub." + s.MyJID().Domain())
		if ok, err := p.Supports(ctx, service, "publish"); !ok || err != nil {
			t.Fatalf("%v: %v, %v", service, ok, err)
		}
		node, err := p.CreateNode(ctx, service, "", nil)
		if err != nil || node == "" {
			t.Fatalf("%q, %v", node, err)
		}
		id, err := p.Publish(ctx, service, node, pubsub.Item{Payload: tune("a")}, nil)
		if err != nil || id == "" {
			t.Fatalf("%q, %v", id, err)
		}
		items, err := p.Items(ctx, service, node, &pubsub.ItemsOptions{IDs: []string{id}})
		if err != nil || len(items) != 1 || items[0].ID != id {
			t.Errorf("%v, %v", items, err)
		}
		if err := p.DeleteNode(ctx, service, node); err != nil {
			t.Error(err)
		}
		if _, err := p.CreateNode(ctx, xmpp.MustParseJID("nobody."+service.Domain()), "n", nil); err == nil {
			t.Error("a service that is not there makes a node")
		}
	}, integration.PubSubCreate)
}
