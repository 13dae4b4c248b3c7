package pubsub_test

import (
	"testing"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/pubsub"
	"github.com/go-xmppframework/xmpp/stanza"
)

// FuzzEvent: whatever is inside a message, what is understood of it is about its sender, has a kind and is whole.
func FuzzEvent(f *testing.F) {
	for _, s := range []string{
		aTune, "<purge node='n'/>", "<delete node='n'><redirect uri='x'/></delete>", "<configuration node='n'><x xmlns='jabber:x:data' type='result'><field var='a'/><field var='a'/></x></configuration>",
		"<subscription node='n' jid='juliet@example.test' subscription='subscribed' expiry='9999-12-31T23:59:60Z'/>", "<collection node='c'><associate node='n'/></collection>",
	} {
		f.Add("romeo@example.test", event("", s))
		f.Add("", event("", s))
	}
	f.Add("pubsub.example.test", request("x", fields))
	f.Add("a@b/c", request("x", fields))
	f.Add("@", "<message type='groupchat'><headers xmlns='http://jabber.org/protocol/shim'><header name='SubID'/></headers></message>")
	me := xmpp.MustParseJID("juliet@example.test/x")
	f.Fuzz(func(t *testing.T, from, xml string) {
		d := etree.NewDocument()
		if d.ReadFromString(xml) != nil || d.Root() == nil || d.Root().Tag != "message" {
			return
		}
		if d.Root().RemoveAttr("from"); from != "" {
			d.Root().CreateAttr("from", from)
		}
		if d.Root().SelectAttr("xmlns") == nil {
			d.Root().CreateAttr("xmlns", stanza.NSClient)
		}
		st, err := stanza.From(d.Root())
		m, ok := st.(*stanza.Message)
		if err != nil || !ok {
			return
		}
		sender := m.From()
		if sender.IsZero() {
			sender = me.Bare()
		}
		for _, e := range pubsub.EventsIn(m, me) {
			if e.Service != sender || e.Service.Resource() != "" || e.Message != m {
				t.Errorf("%v says of %v", sender, e.Service)
			}
			switch e.Kind {
			case pubsub.ItemsEvent, pubsub.PurgeEvent, pubsub.DeleteEvent, pubsub.ConfigurationEvent:
				if e.Node == "" || e.Subscription != nil {
					t.Errorf("%+v", e)
				}
			case pubsub.SubscriptionEvent:
				if e.Subscription == nil || e.Subscription.JID.IsZero() {
					t.Errorf("%+v", e)
				}
			case pubsub.CollectionEvent:
				if len(e.Added)+len(e.Removed) == 0 {
					t.Errorf("%+v", e)
				}
			default:
				t.Errorf("an event of the kind %q", e.Kind)
			}
		}
		if r, ok := pubsub.SubscriptionRequestIn(m, me); ok && (r.Service != sender || r.Node == "" || r.Subscriber.IsZero() || r.Form == nil) {
			t.Errorf("%+v", r)
		}
	})
}
