package lastactivity_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/lastactivity"
	"github.com/go-xmppframework/xmpp/modules/roster"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// TestRoster: with the roster module, those contacts may ask who see the user's presence, from the moment when they do until they do not.
func TestRoster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := xmpptest.NewServer(t)
		for name, subscription := range map[string]string{"both": "both", "from": "from", "to": "to", "none": "none"} {
			srv.AddContact("juliet", xmpptest.Contact{JID: name + "@example.test", Subscription: subscription})
		}
		juliet, err := xmpp.New(srv.Config("juliet"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(juliet.Disconnect)
		contacts := roster.New(roster.Config{})
		if err := errors.Join(contacts.Activate(juliet), lastactivity.New(lastactivity.Config{}).Activate(juliet), juliet.Login(t.Context())); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		time.Sleep(time.Minute)
		asks := map[string]*lastactivity.LastActivity{}
		check := func(name string, may bool) {
			t.Helper()
			if asks[name] == nil {
				asks[name] = lastactivity.New(lastactivity.Config{})
				if err := asks[name].Activate(srv.Client(t, name)); err != nil {
					t.Fatal(err)
				}
			}
			a, err := asks[name].Query(t.Context(), juliet.MyJID())
			if may && (err != nil || a.Ago < time.Minute) || !may && !errors.Is(err, stanza.Forbidden) {
				t.Errorf("%s: %+v, %v, want allowed: %v", name, a, err, may)
			}
		}
		for name, may := range map[string]bool{"both": true, "from": true, "to": false, "none": false, "stranger": false, "juliet": true} {
			check(name, may)
		}
		srv.AddContact("juliet", xmpptest.Contact{JID: "from@example.test", Subscription: "none"})
		srv.AddContact("juliet", xmpptest.Contact{JID: "to@example.test", Subscription: "both"})
		synctest.Wait()
		check("from", false)
		check("to", true)
	})
}
