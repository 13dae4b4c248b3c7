package pubsub_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/pubsub"
	"github.com/go-xmppframework/xmpp/stanza"
)

// request is the message with which a service asks for leave.
func request(from, fields string) string {
	return "<message from='" + from + "' to='juliet@example.test/x'><x xmlns='jabber:x:data' type='form'><title>?</title>" +
		"<field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#subscribe_authorization</value></field>" + fields + "</x></message>"
}

const fields = "<field var='pubsub#subid' type='hidden'><value>7</value></field><field var='pubsub#node' type='text-single'><value>n</value></field>" +
	"<field var='pubsub#subscriber_jid' type='jid-single'><value>romeo@example.test</value></field><field var='pubsub#allow' type='boolean'><value>false</value></field>"

// TestApproval is XEP-0060 sections 8.6 and 8.7.
func TestApproval(t *testing.T) {
	checkGoroutines(t)
	p, _, peer := pair(t, pubsub.Config{})
	asked := make(chan pubsub.SubscriptionRequest, 4)
	p.AddDelegate(pubsub.Delegate{Subscription: approver(func(r pubsub.SubscriptionRequest) { asked <- r })}, nil)
	answer := func(allow string, subid string) string {
		return `
			C: <message to='pubsub.example.test' id='*'><x xmlns='jabber:x:data' type='submit'>
			     <field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#subscribe_authorization</value></field>` + subid + `
			     <field var='pubsub#node'><value>n</value></field><field var='pubsub#subscriber_jid'><value>romeo@example.test</value></field>
			     <field var='pubsub#allow'><value>` + allow + `</value></field></x></message>`
	}
	for _, allow := range []bool{true, false} {
		peer.Inject(request("pubsub.example.test", fields))
		r := <-asked
		if r.Service != svc || r.Node != "n" || r.SubID != "7" || r.Subscriber != romeo || r.Form.Title != "?" || r.Message == nil {
			t.Errorf("%+v", r)
		}
		peer.While(func() {
			if err := p.Authorize(t.Context(), r, allow); err != nil {
				t.Error(err)
			}
		}, answer(fmt.Sprint(allow), "<field var='pubsub#subid'><value>7</value></field>"))
	}
	peer.While(func() {
		if err := p.Authorize(t.Context(), pubsub.SubscriptionRequest{Service: svc, Node: "n", Subscriber: romeo}, true); err != nil {
			t.Error(err)
		}
	}, answer("true", ""))
	const command = "xmlns='http://jabber.org/protocol/commands' node='http://jabber.org/protocol/pubsub#get-pending'"
	const form = "<x xmlns='jabber:x:data' type='form'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#subscribe_authorization</value></field>" +
		"<field var='pubsub#node' type='list-single'><option><value>n</value></option><option><value>m</value></option><option><value>n</value></option></field></x>"
	begin := func(id, status string) string {
		return `
			C: <iq to='pubsub.example.test' id='{` + id + `}' type='set'><command ` + command + ` action='execute'/></iq>
			S: <iq from='pubsub.example.test' id='{` + id + `}' type='result'><command ` + command + ` sessionid='s' status='` + status + `'>` + form + `</command></iq>`
	}
	peer.While(func() {
		if list, err := p.PendingNodes(t.Context(), svc); err != nil || strings.Join(list, " ") != "n m" {
			t.Error(list, err)
		}
	}, begin("a", "executing")+`
		C: <iq to='pubsub.example.test' id='{b}' type='set'><command `+command+` sessionid='s' action='cancel'/></iq>
		S: <iq from='pubsub.example.test' id='{b}' type='result'><command `+command+` sessionid='s' status='canceled'/></iq>`)
	peer.While(func() {
		if list, err := p.PendingNodes(t.Context(), svc); err != nil || len(list) != 2 {
			t.Error(list, err)
		}
	}, begin("c", "completed"))
	peer.While(func() {
		if err := p.AskPending(t.Context(), svc, "n"); err != nil {
			t.Error(err)
		}
	}, begin("d", "executing")+`
		C: <iq to='pubsub.example.test' id='{e}' type='set'><command `+command+` action='execute' sessionid='s'><x xmlns='jabber:x:data' type='submit'>
		     <field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#subscribe_authorization</value></field><field var='pubsub#node'><value>n</value></field></x></command></iq>
		S: <iq from='pubsub.example.test' id='{e}' type='result'><command `+command+` sessionid='s' status='completed'/></iq>`)
	for i, tt := range []struct {
		payload string
		err     error
	}{
		{"type='result'/>", pubsub.ErrAnswer},
		{"type='result'><command " + command + "><x xmlns='jabber:x:data' type='?'/></command></iq>", pubsub.ErrAnswer},
		{"type='error'><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>", stanza.ItemNotFound},
	} {
		peer.While(func() {
			if list, err := p.PendingNodes(t.Context(), svc); len(list) != 0 || !errors.Is(err, tt.err) {
				t.Error(list, err)
			}
		}, fmt.Sprintf("C: <iq to='pubsub.example.test' id='{f%d}' type='set'>*</iq>\nS: <iq from='pubsub.example.test' id='{f%[1]d}' %s", i, tt.payload))
	}
	peer.While(func() {
		if list, err := p.PendingNodes(t.Context(), svc); len(list) != 0 || err != nil {
			t.Error(list, err)
		}
	}, `
		C: <iq to='pubsub.example.test' id='{z}' type='set'>*</iq>
		S: <iq from='pubsub.example.test' id='{z}' type='result'><command `+command+` status='completed'/></iq>`)
}

// approver hears of requests alone.
type approver func(pubsub.SubscriptionRequest)

func (approver) PubSubDidChangeSubscription(context.Context, *pubsub.PubSub, pubsub.Event) {}
func (f approver) PubSubDidReceiveSubscriptionRequest(_ context.Context, _ *pubsub.PubSub, r pubsub.SubscriptionRequest) {
	f(r)
}

// contacts is a module that knows who is a contact, as the roster does.
type contacts struct {
	xmpp.ModuleBase
	list  []string
	known bool
}

func (c *contacts) Name() string                  { return "contacts" }
func (c *contacts) Activate(s *xmpp.Stream) error { return c.Attach(s, c, nil) }
func (c *contacts) IsContact(jid xmpp.JID) (yes, known bool) {
	for _, j := range c.list {
		yes = yes || c.known && jid == xmpp.MustParseJID(j)
	}
	return yes, c.known
}

// TestExpected: who is heard without having been asked, and who after.
func TestExpected(t *testing.T) {
	checkGoroutines(t)
	synctest.Test(t, func(t *testing.T) {
		p, s, peer := pair(t, pubsub.Config{})
		expected := func(when string, want map[string]bool) {
			t.Helper()
			for j, w := range want {
				if got := p.Expected(xmpp.MustParseJID(j)); got != w {
					t.Errorf("%s: %s: %v, want %v", when, j, got, w)
				}
			}
		}
		always := map[string]bool{own: true, "example.test": true, "pubsub.example.test": true, "a.b.example.test": true, "evilexample.test": false, "other.example": false, "test": false}
		expected("at first", always)
		expected("without a roster", map[string]bool{"romeo@example.test": true, "stranger@other.example": true})
		c := &contacts{list: []string{"romeo@example.test"}}
		if err := c.Activate(s); err != nil {
			t.Fatal(err)
		}
		expected("before the roster is there", map[string]bool{"stranger@other.example": true})
		c.known = true
		expected("with a roster", always)
		expected("with a roster", map[string]bool{"romeo@example.test": true, "stranger@other.example": false})
		calls := map[string]func(j xmpp.JID) error{
			"a.example": func(j xmpp.JID) error {
				_, err := p.Subscribe(t.Context(), j, "n", pubsub.Subscriber{}, nil)
				return err
			},
			"b.example": func(j xmpp.JID) error { _, err := p.Subscriptions(t.Context(), j, ""); return err },
			"c.example": func(j xmpp.JID) error { _, err := p.CreateNode(t.Context(), j, "n", nil); return err },
			"d@d.example": func(j xmpp.JID) error {
				_, err := p.Subscribe(t.Context(), j, "n", pubsub.Subscriber{}, nil)
				return err
			},
			"e.example": func(j xmpp.JID) error { return p.AskPending(t.Context(), j, "n") },
			"f.example": func(j xmpp.JID) error { _, err := p.NodeSubscriptions(t.Context(), j, "n"); return err },
		}
		for j, call := range calls {
			expected("not asked", map[string]bool{j: false})
			peer.While(func() {
				if err := call(xmpp.MustParseJID(j)); !errors.Is(err, stanza.Forbidden) {
					t.Error(err)
				}
			}, "C: <iq to='"+j+"' id='{"+j[:1]+"}' type='*'>*</iq>\nS: <iq from='"+j+"' id='{"+j[:1]+"}' type='error'><error type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>")
			expected("asked", map[string]bool{j: true})
		}
		p.ReceiveSession(t.Context(), xmpp.SessionNew) // subscriptions outlive sessions
		expected("in another session", map[string]bool{"a.example": true, "z.example": false})

		only := pubsub.Only([]xmpp.JID{romeo}, []string{"n", "m"})
		every := pubsub.Only(nil, []string{"n"})
		for _, tt := range []struct {
			got, want bool
		}{
			{only(p, romeo, "n"), true}, {only(p, romeo, "o"), false}, {only(p, svc, "n"), false},
			{every(p, svc, "n"), true}, {every(p, svc, "m"), false}, {every(p, xmpp.MustParseJID("other.example"), "n"), false},
		} {
			if tt.got != tt.want {
				t.Error(tt.got, tt.want)
			}
		}
		p.Deactivate()
		expected("not active", map[string]bool{own: false})
		s.Disconnect()
	})
}
