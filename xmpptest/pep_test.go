package xmpptest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	xmpp "github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/pubsub"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/rsm"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// TestPEP: the nodes of accounts, by the module for them.
func TestPEP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const node = "urn:example:mood"
		srv := xmpptest.NewServer(t, xmpptest.WithPEP("urn:example:more"))
		var heard []string
		login := func(user string) *pubsub.PubSub {
			s, p := srv.Client(t, user), pubsub.New(pubsub.Config{})
			p.Notify(node, nil, func(_ context.Context, _ *pubsub.PubSub, e pubsub.Event) {
				what := user + " " + string(e.Kind)
				for _, i := range e.Items {
					what += " +" + i.ID
				}
				heard = append(heard, strings.Join(append([]string{what}, e.Retracted...), " -"))
			})
			if err := p.Activate(s); err != nil {
				t.Fatal(err)
			}
			return p
		}
		juliet, romeo, ctx, me := login("juliet"), login("romeo"), t.Context(), xmpp.JID{}
		srv.Client(t, "juliet")
		expect := func(what string, err error, want error, events string) {
			t.Helper()
			synctest.Wait()
			if got := strings.Join(heard, "; "); got != events || !errors.Is(err, want) || (err == nil) != (want == nil) {
				t.Errorf("%s: %v, want %v; heard %q, want %q", what, err, want, got, events)
			}
			heard = nil
		}
		publish := func(id string, o *pubsub.PublishOptions) error {
			_, err := juliet.Publish(ctx, me, node, pubsub.Item{ID: id, Payload: stanza.New("mood", node).T(id).Element()}, o)
			return err
		}
		items := func(p *pubsub.PubSub, of xmpp.JID, ids ...string) (string, error) {
			list, err := p.Items(ctx, of, node, &pubsub.ItemsOptions{IDs: ids})
			var out []string
			for _, i := range list {
				out = append(out, i.ID+"="+stanza.Text(i.Payload))
			}
			return strings.Join(out, " "), err
		}
		if f, err := juliet.ServiceFeatures(ctx, me); err != nil || !slices.Contains(f, pubsub.NS+"#publish-options") || !slices.Contains(f, "urn:example:more") {
			t.Error(f, err)
		}
		_, err := items(juliet, me)
		expect("no node", err, stanza.ItemNotFound, "")
		expect("publish", errors.Join(publish("a", nil), publish("b", nil), publish("a", nil)), nil, "juliet items +a; juliet items +b; juliet items +a")
		if got, err := items(juliet, me); got != "b=b a=a" || err != nil {
			t.Error(got, err)
		}
		if got, err := items(juliet, me, "b", "c"); got != "b=b" || err != nil {
			t.Error(got, err)
		}
		_, err = items(romeo, srv.JID("juliet"))
		expect("read by a stranger", err, stanza.Forbidden, "")
		open := &pubsub.PublishOptions{Config: pubsub.NewOptions(pubsub.AccessModel, "open")}
		expect("configured otherwise", publish("c", open), pubsub.PreconditionNotMet, "")
		open.Reconfigure = true
		expect("configured", publish("c", open), nil, "juliet items +c")
		got, err := items(romeo, srv.JID("juliet"), "c")
		expect("read by everybody: "+got, err, nil, "")
		_, err = romeo.Publish(ctx, srv.JID("juliet"), node, pubsub.Item{ID: "x"}, nil)
		expect("written by a stranger", err, stanza.Forbidden, "")
		expect("private", publish("d", pubsub.PrivateOptions()), nil, "juliet items +d")
		expect("one item", juliet.Configure(ctx, me, node, pubsub.NewOptions(pubsub.MaxItems, "1")), nil, "")
		expect("one item", publish("e", nil), nil, "juliet items +e")
		if got, err := items(juliet, me); got != "e=e" || err != nil {
			t.Error(got, err)
		}
		expect("retract", juliet.Retract(ctx, me, node, "e", true), nil, "juliet items -e")
		expect("retract again", juliet.Retract(ctx, me, node, "e", true), stanza.ItemNotFound, "")
		expect("purge", juliet.Purge(ctx, me, node), nil, "juliet purge")
		expect("delete", juliet.DeleteNode(ctx, me, node), nil, "juliet delete")
		_, err = juliet.CreateNode(ctx, me, node, pubsub.NewOptions(pubsub.PersistItems, "false"))
		expect("create", err, nil, "")
		_, err = juliet.CreateNode(ctx, me, node, nil)
		expect("create again", err, stanza.Conflict, "")
		expect("not kept", publish("f", nil), nil, "juliet items +f")
		if got, err := items(juliet, me); got != "" || err != nil {
			t.Error(got, err)
		}
		if o, err := juliet.Configuration(ctx, me, node); err != nil || o.Get(pubsub.PersistItems) != "false" || o.Get(pubsub.AccessModel) != "presence" {
			t.Error(fmt.Sprint(o), err)
		}

		without := xmpptest.NewServer(t).Client(t, "juliet")
		p, err := pubsub.Of(without)
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := p.Supports(ctx, me, "publish"); ok || err != nil {
			t.Error("a server without nodes:", ok, err)
		}
	})
}

// TestPEPPages: the items of a node page by page, in both directions.
func TestPEPPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const node = "urn:example:mood"
		s, p, ctx, me := xmpptest.NewServer(t, xmpptest.WithPEP()).Client(t, "juliet"), pubsub.New(pubsub.Config{}), t.Context(), xmpp.JID{}
		if err := p.Activate(s); err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"a", "b", "c", "d", "e"} {
			if _, err := p.Publish(ctx, me, node, pubsub.Item{ID: id}, nil); err != nil {
				t.Fatal(err)
			}
		}
		for _, x := range []struct {
			r    rsm.Request
			page string // the first one
			all  string
		}{
			{rsm.Request{Max: 2}, "a b of 5", "a b c d e"},
			{rsm.Request{Max: 2, Last: true}, "d e of 5", "e d c b a"},
			{rsm.Request{Max: 9, After: "b"}, "c d e of 5", "c d e"},
			{rsm.Request{Max: 2, Before: "d"}, "b c of 5", "c b a"},
			{rsm.Request{Max: 2, After: "e"}, " of 5", ""},
			{rsm.Request{Max: 1000}, "a b c d e of 5", "a b c d e"},
		} {
			page, err := p.ItemsPage(ctx, me, node, x.r)
			if err != nil || page.Answer == nil {
				t.Errorf("%+v: %v, %v", x.r, page.Answer, err)
				continue
			}
			var part, all []string
			for _, i := range page.Items {
				part = append(part, i.ID)
			}
			for i, err := range p.AllItems(ctx, me, node, x.r) {
				if err != nil {
					t.Errorf("%+v: %v", x.r, err)
				}
				all = append(all, i.ID)
			}
			if got := fmt.Sprintf("%s of %d", strings.Join(part, " "), page.Answer.Count); got != x.page || strings.Join(all, " ") != x.all {
				t.Errorf("%+v: %q, want %q; all: %q, want %q", x.r, got, x.page, all, x.all)
			}
		}
		if _, err := p.ItemsPage(ctx, me, node, rsm.Request{After: "x"}); !errors.Is(err, stanza.ItemNotFound) {
			t.Error("after what is not there:", err)
		}
	})
}
