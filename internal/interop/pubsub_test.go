package interop

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/pubsub"
	"github.com/go-xmppframework/xmpp/modules/roster"
	"github.com/go-xmppframework/xmpp/stanza"
)

const (
	tuneNode = "http://jabber.org/protocol/tune"
	title    = "Rémy & <Co>"
	tuneTag  = "{" + tuneNode + "}tune" // as theirs write it
)

// tune is a payload, tuneXML the same as theirs get it.
func tune() pubsub.Item {
	return pubsub.Item{ID: "ours", Payload: stanza.New("tune", tuneNode).C("title").T(title).Element()}
}

const tuneXML = "<tune xmlns='" + tuneNode + "'><title>Rémy &amp; &lt;Co&gt;</title></tune>"

// isTune reports whether an event tells of one item with that id and the payload.
func isTune(e pubsub.Event, id string) bool {
	return len(e.Items) == 1 && e.Items[0].ID == id && len(e.Retracted) == 0 && stanza.ChildText(e.Items[0].Payload, "title", tuneNode) == title
}

// heard gets the events about items.
type heard chan pubsub.Event

func (h heard) PubSubDidReceiveItems(_ context.Context, _ *pubsub.PubSub, e pubsub.Event) { h <- e }
func (h heard) PubSubDidRetractItems(_ context.Context, _ *pubsub.PubSub, e pubsub.Event) { h <- e }

// atServers runs f at Prosody and at ejabberd.
func atServers(t *testing.T, f func(t *testing.T, srv *integration.Server)) {
	t.Helper()
	for _, k := range []integration.Kind{integration.Prosody, integration.Ejabberd} {
		t.Run(string(k), func(t *testing.T) { f(t, integration.Shared(t, k)) })
	}
}

// TestPubSubService: each subscribes to a node of a service, and hears what the other publishes and retracts.
func TestPubSubService(t *testing.T) {
	atServers(t, func(t *testing.T, srv *integration.Server) {
		p, events := pubsub.New(pubsub.Config{}), make(heard, 10)
		p.AddDelegate(pubsub.Delegate{Items: events}, nil)
		s := srv.Login(t, srv.Config(srv.Admin(t, integration.Full)), func(s *xmpp.Stream) { must(t, p.Activate(s)) })
		theirs := Start(t, srv, Slixmpp)
		service, node := xmpp.MustParseJID("pubsub."+integration.Full), fmt.Sprintf("tunes-%d", time.Now().UnixNano())
		at := func(more ...string) map[string]any {
			args := map[string]any{"service": service.String(), "node": node}
			for i := 0; i < len(more); i += 2 {
				args[more[i]] = more[i+1]
			}
			return args
		}
		_, err := p.CreateNode(t.Context(), service, node, nil)
		must(t, err)
		must(t, p.SetNodeAffiliations(t.Context(), service, node, pubsub.Affiliate{JID: theirs.JID.Bare(), Affiliation: pubsub.Publisher}))

		// Ours subscribes, theirs publishes and retracts.
		sub, err := p.Subscribe(t.Context(), service, node, pubsub.Subscriber{}, nil)
		if err != nil || sub.State != pubsub.Subscribed {
			t.Fatalf("%+v, %v", sub, err)
		}
		theirs.Do("publish", at("id", "theirs", "payload", tuneXML))
		e := next(t, "their item", events, func(e pubsub.Event) bool { return isTune(e, "theirs") })
		if e.Service != service || e.Node != node {
			t.Errorf("their item: %+v", e)
		}
		items, err := p.Items(t.Context(), service, node, nil)
		if err != nil || len(items) != 1 || stanza.ChildText(items[0].Payload, "title", tuneNode) != title {
			t.Errorf("what they have published: %+v, %v", items, err)
		}
		theirs.Do("retract", at("id", "theirs"))
		next(t, "their retraction", events, func(e pubsub.Event) bool { return fmt.Sprint(e.Retracted) == "[theirs]" && e.Node == node })
		must(t, p.Unsubscribe(t.Context(), service, node, pubsub.Subscriber{}))

		// Theirs subscribes, ours publishes and retracts.
		if state := theirs.Do("subscribe", at()).String("state"); state != "subscribed" {
			t.Errorf("their subscription is %q", state)
		}
		list, err := p.NodeSubscriptions(t.Context(), service, node)
		if err != nil || len(list) != 1 || list[0].JID != theirs.JID.Bare() || list[0].State != pubsub.Subscribed {
			t.Errorf("subscriptions: %+v, %v", list, err)
		}
		id, err := p.Publish(t.Context(), service, node, tune(), nil)
		if err != nil || id != "ours" {
			t.Errorf("%q, %v", id, err)
		}
		theirs.Expect("item", map[string]string{"from": service.String(), "node": node, "id": "ours", "tag": tuneTag, "text": title})
		want := fmt.Sprint([]any{map[string]any{"id": "ours", "tag": tuneTag, "text": title}})
		if got := fmt.Sprint(theirs.Do("items", at())["items"]); got != want {
			t.Errorf("they read %s, want %s", got, want)
		}
		must(t, p.Retract(t.Context(), service, node, "ours", true))
		theirs.Expect("retract", map[string]string{"from": service.String(), "node": node, "id": "ours"})
		theirs.Do("unsubscribe", at())
		if list, err := p.NodeSubscriptions(t.Context(), service, node); err != nil || len(list) != 0 {
			t.Errorf("subscriptions: %+v, %v", list, err)
		}
		must(t, p.DeleteNode(t.Context(), service, node))
		must(t, s.Close(t.Context()))
	})
}

// TestPEP: people who see each other's presence say what they are interested in, and hear what the other publishes and retracts.
func TestPEP(t *testing.T) {
	atServers(t, func(t *testing.T, srv *integration.Server) {
		o, theirs := newOurs(t, srv), Start(t, srv, Slixmpp)
		p, err := pubsub.Of(o.Stream)
		must(t, err)
		events := make(heard, 10)
		p.Notify(tuneNode, nil, func(_ context.Context, _ *pubsub.PubSub, e pubsub.Event) { events <- e })
		theirs.Do("interest", map[string]any{"node": tuneNode})
		befriend(t, o, theirs)
		me, them := o.MyJID().Bare(), theirs.JID.Bare()
		// ejabberd notes who is interested when presence comes from somebody who is a contact already.
		ready := stanza.NewPresence(stanza.Available, xmpp.JID{})
		ready.SetStatus("ready")
		must(t, o.Send(t.Context(), ready))
		theirs.Expect("presence", map[string]string{"from": o.MyJID().String(), "status": "ready"})
		theirs.Do("presence", map[string]any{"status": "ready"})
		o.until(t, theirs.JID, func(c roster.Contact) bool {
			res, ok := c.Resource(theirs.JID)
			return ok && res.Status() == "ready"
		})

		// Theirs publishes and retracts.
		theirs.Do("publish", map[string]any{"node": tuneNode, "id": "theirs", "payload": tuneXML})
		e := next(t, "their item", events, func(e pubsub.Event) bool { return isTune(e, "theirs") })
		if e.Service != them || e.Node != tuneNode {
			t.Errorf("their item: %+v", e)
		}
		items, err := p.Items(t.Context(), them, tuneNode, nil)
		if err != nil || len(items) != 1 || stanza.ChildText(items[0].Payload, "title", tuneNode) != title {
			t.Errorf("what they have published: %+v, %v", items, err)
		}
		theirs.Do("retract", map[string]any{"node": tuneNode, "id": "theirs"})
		if srv.Has(integration.RetractEvents) {
			next(t, "their retraction", events, func(e pubsub.Event) bool { return fmt.Sprint(e.Retracted) == "[theirs]" && e.Service == them })
		}

		// Ours publishes and retracts.
		_, err = p.Publish(t.Context(), xmpp.JID{}, tuneNode, tune(), nil)
		must(t, err)
		theirs.Expect("item", map[string]string{"from": me.String(), "node": tuneNode, "id": "ours", "tag": tuneTag, "text": title})
		want := fmt.Sprint([]any{map[string]any{"id": "ours", "tag": tuneTag, "text": title}})
		if got := fmt.Sprint(theirs.Do("items", map[string]any{"service": me.String(), "node": tuneNode})["items"]); got != want {
			t.Errorf("they read %s, want %s", got, want)
		}
		must(t, p.Retract(t.Context(), xmpp.JID{}, tuneNode, "ours", true))
		if srv.Has(integration.RetractEvents) {
			theirs.Expect("retract", map[string]string{"from": me.String(), "node": tuneNode, "id": "ours"})
		}
	})
}
