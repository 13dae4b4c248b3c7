package xmpptest_test

import (
	"errors"
	"testing"
	"testing/synctest"

	xmpp "github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// TestServices: what the server does beyond messages and presence, and that it can do without, in a bubble too.
func TestServices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		private := stanza.New("query", "jabber:iq:private").C("notes", "urn:example:notes").T("one")
		empty := stanza.New("query", "jabber:iq:private").C("notes", "urn:example:notes")
		ask := func(s *xmpp.Stream, typ stanza.IQType, payload stanza.Elementer) (*stanza.IQ, error) {
			return s.SendIQ(t.Context(), stanza.NewIQ(typ, xmpp.JID{}, payload))
		}
		s := xmpptest.NewServer(t).Client(t, "juliet")
		if _, err := ask(s, stanza.Set, private); err != nil {
			t.Fatal(err)
		}
		answer, err := ask(s, stanza.Get, empty)
		if err != nil || stanza.ChildText(answer.Payload(), "notes", "urn:example:notes") != "one" {
			t.Errorf("private storage: %v, %v", answer, err)
		}
		if !s.HasFeature("ver", "urn:xmpp:features:rosterver") || !s.HasFeature("sub", "urn:xmpp:features:pre-approval") {
			t.Error("the features of rosters are not offered")
		}

		s = xmpptest.NewServer(t, xmpptest.Without("jabber:iq:private", "urn:xmpp:features:rosterver"), xmpptest.Without("urn:xmpp:features:pre-approval")).Client(t, "juliet")
		if _, err := ask(s, stanza.Get, empty); !errors.Is(err, stanza.ServiceUnavailable) {
			t.Errorf("a server without private storage: %v", err)
		}
		if s.HasFeature("ver", "urn:xmpp:features:rosterver") || s.HasFeature("sub", "urn:xmpp:features:pre-approval") {
			t.Error("the features of rosters are offered all the same")
		}
	})
}
