package avatar_test

import (
	"testing"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/avatar"
	"github.com/go-xmppframework/xmpp/modules/roster"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// TestRoster: the roster shows which avatar a contact has (ROS-29), and who is none is not asked.
func TestRoster(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, r := newWorld(converting...), roster.New(roster.Config{})
		w.set(w.cards, "romeo@example.test", photoCard(pic(1)))
		w.set(w.cards, "mallory@example.test", photoCard(pic(2)))
		c := login(t, w, avatar.Config{}, r)
		c.srv.AddContact("juliet", xmpptest.Contact{JID: "romeo@example.test", Subscription: "both"})
		if err := r.FetchWhole(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.w.take()
		c.hear(presence("romeo@example.test/orchard", photo(hashOf(1))), presence("mallory@example.test/x", photo(hashOf(2))))
		c.want("both", "vcard:romeo", "image:romeo1 noted:mallory2")
		contact, ok := r.Contact(xmpp.MustParseJID("romeo@example.test"))
		if got := contact.AvatarHash(); !ok || got != hashOf(1) {
			t.Errorf("%v: %q", ok, got)
		}
		c.hear(presence("romeo@example.test/orchard", photo("")))
		if contact, _ = r.Contact(xmpp.MustParseJID("romeo@example.test")); contact.AvatarHash() != "" {
			t.Error(contact.AvatarHash())
		}
		c.set(3)
		if got := r.Me().AvatarHash(); got != hashOf(3) {
			t.Errorf("the own one: %q", got)
		}
	})
}
