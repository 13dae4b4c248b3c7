package pubsub_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/pubsub"
)

func event(from, inner string) string {
	if from != "" {
		from = "from='" + from + "' "
	}
	return "<message " + from + "to='juliet@example.test/x' type='headline'><event xmlns='http://jabber.org/protocol/pubsub#event'>" + inner + "</event></message>"
}

const aTune = "<items node='http://jabber.org/protocol/tune'><item id='1'><tune xmlns='http://jabber.org/protocol/tune'><title>a</title></tune></item></items>"

// inBubble gives a logged-in stream with the module to f, and what the delegates hear of what a step injects.
func inBubble(t *testing.T, cfg pubsub.Config, f func(p *pubsub.PubSub, heard *events, step func(xml string) string)) {
	t.Helper()
	checkGoroutines(t)
	synctest.Test(t, func(t *testing.T) {
		p, s, peer := pair(t, cfg)
		heard := new(events)
		p.AddDelegate(pubsub.Delegate{Items: heard, Node: heard, Configuration: heard, Subscription: heard}, nil)
		f(p, heard, func(xml string) string {
			peer.Inject(xml)
			synctest.Wait()
			return heard.take()
		})
		s.Disconnect()
	})
}

// TestEvents is XEP-0060 sections 7.1.2, 7.2.2, 8.4.1, 8.5.1 and XEP-0163 section 4.3.
func TestEvents(t *testing.T) {
	inBubble(t, pubsub.Config{}, func(p *pubsub.PubSub, heard *events, step func(string) string) {
		for _, tt := range []struct{ xml, want string }{
			{event("romeo@example.test", aTune), "items 1=a romeo@example.test " + tuneNode},
			{event("", aTune), "items 1=a juliet@example.test " + tuneNode},
			{event(own, aTune), "items 1=a juliet@example.test " + tuneNode},
			{event("pubsub.example.test", "<items node='n'><item id='1' publisher='romeo@example.test'/><item/></items>"), "items 1= = pubsub.example.test n"},
			{event("pubsub.example.test", "<items node='n'/>"), "items pubsub.example.test n"},
			{event("pubsub.example.test", "<items node='n'><retract id='1'/><retract id='2'/></items>"), "retracted -1 -2 pubsub.example.test n"},
			{event("pubsub.example.test", "<purge node='n'/>"), "purged pubsub.example.test n"},
			{event("pubsub.example.test", "<delete node='n'/>"), "deleted pubsub.example.test n"},
			{event("pubsub.example.test", "<delete node='n'><redirect uri='xmpp:x@example.test?;node=m'/></delete>"), "deleted ->xmpp:x@example.test?;node=m pubsub.example.test n"},
			{event("pubsub.example.test", "<configuration/><subscription node='n'/><subscription jid='@' node='n'/><collection node='n'/><items/><purge xmlns='other' node='n'/>"), ""},
			{event("pubsub.example.test", "<configuration node='n'/>"), "configured pubsub.example.test n"},
			{event("pubsub.example.test", "<configuration node='n'><x xmlns='jabber:x:data' type='result'><field var='pubsub#title'><value>T</value></field></x></configuration>"), "configured T pubsub.example.test n"},
			{event("pubsub.example.test", "<configuration node='n'><x xmlns='jabber:x:data' type='result'><field var='pubsub#title'/><field var='pubsub#title'/></x></configuration>"), "configured pubsub.example.test n"},
			{event("pubsub.example.test", "<subscription node='n' jid='juliet@example.test' subscription='subscribed' subid='7' expiry='2026-01-02T03:04:05Z'/>"), "subscription subscribed 7 juliet@example.test 2026 pubsub.example.test n"},
			{event("pubsub.example.test", "<subscription jid='juliet@example.test' subscription='none'/>"), "subscription none  juliet@example.test 1 pubsub.example.test "},
			{event("pubsub.example.test", "<collection node='c'><associate node='n'/><disassociate node='m'/><x node='x'/></collection>"), "collection [n] [m] pubsub.example.test c"},
			{event("pubsub.example.test", "<collection><associate node='n'/></collection>"), "collection [n] [] pubsub.example.test "},
			{"<message from='pubsub.example.test'><event xmlns='http://jabber.org/protocol/pubsub#event'><purge node='n'/></event><headers xmlns='http://jabber.org/protocol/shim'>" +
				"<header name='Collection'>c</header><header name='SubID'>7</header><header name='SubID'>8</header><header name='Urgency'>high</header></headers></message>", "purged [c] [7 8] pubsub.example.test n"},
			{"<message from='romeo@example.test'><body>hi</body></message>", ""},
		} {
			if got := step(tt.xml); got != tt.want {
				t.Errorf("%s: %q, want %q", tt.xml, got, tt.want)
			}
		}
		step("<message from='romeo@example.test'><event xmlns='http://jabber.org/protocol/pubsub#event'>" + aTune + "</event><delay xmlns='urn:xmpp:delay' stamp='2026-01-02T03:04:05Z'/></message>")
		if e := heard.last; !e.Delay.Equal(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)) || e.Kind != pubsub.ItemsEvent || e.Message.From() != e.Service {
			t.Errorf("%+v", e)
		}
	})
}

// TestNotify: an interest is announced and served as long as it lasts.
func TestNotify(t *testing.T) {
	nobody := func(*pubsub.PubSub, xmpp.JID, string) bool { return false }
	inBubble(t, pubsub.Config{Accept: nobody}, func(p *pubsub.PubSub, heard *events, step func(string) string) {
		if f := p.Features(); len(f) != 0 {
			t.Error(f)
		}
		stop1 := p.Notify(tuneNode, nil, heard.handler("first"))
		q := xmpp.NewQueue()
		stop2 := p.Notify(tuneNode, q, heard.handler("second"))
		stop3 := p.Notify("n", q, heard.handler("third"))
		if f := p.Features(); !slices.Equal(f, []string{tuneNode + "+notify", "n+notify"}) {
			t.Error(f)
		}
		if err := stop1(t.Context()); err != nil {
			t.Error(err)
		}
		for _, tt := range []struct{ xml, want string }{
			{event("romeo@example.test", aTune), "second 1=a romeo@example.test " + tuneNode},
			{event("", aTune), "second 1=a juliet@example.test " + tuneNode},
			{event("romeo@example.test", "<items node='n'><retract id='1'/></items>"), "third -1 romeo@example.test n"},
			{event("romeo@example.test", "<delete node='n'/>"), "third romeo@example.test n"},
			{event("pubsub.example.test", aTune), ""}, // not an account
			{event("romeo@example.test", "<items node='m'/>"), ""},
		} {
			if got := step(tt.xml); got != tt.want {
				t.Errorf("%s: %q, want %q", tt.xml, got, tt.want)
			}
		}
		for _, stop := range []func(context.Context) error{stop2, stop2, stop3} {
			if err := stop(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if f, got := p.Features(), step(event("romeo@example.test", aTune)); len(f) != 0 || got != "" {
			t.Error(f, got)
		}
	})
}

// TestAccept: the application chooses what it is told.
func TestAccept(t *testing.T) {
	ownOnly := func(_ *pubsub.PubSub, service xmpp.JID, _ string) bool { return service == xmpp.MustParseJID(own) }
	inBubble(t, pubsub.Config{Accept: ownOnly}, func(_ *pubsub.PubSub, _ *events, step func(string) string) {
		if got := step(event("romeo@example.test", aTune)); got != "" {
			t.Error(got)
		}
		if got := step(event("", aTune)); got == "" {
			t.Error("nothing of the own account")
		}
	})
}
