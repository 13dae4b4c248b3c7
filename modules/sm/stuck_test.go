package sm_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// A server that resumes a session again and again, and acknowledges nothing on it, has lost its place in it:
// the session is given up, what is left of it goes over to a new one.
func TestStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := xmpptest.NewServer(t)
		s, err := xmpp.New(srv.Config("juliet"))
		if err != nil {
			t.Fatal(err)
		}
		m := sm.New(sm.Config{AckTimeout: time.Second, ResendOnNewSession: true})
		if err := m.Activate(s); err != nil {
			t.Fatal(err)
		}
		login := func() {
			t.Helper()
			if err := s.Login(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		login()
		if err := m.WaitAcked(t.Context()); err != nil {
			t.Fatal(err)
		}
		jid := s.MyJID()
		r, err := s.SendReceipt(t.Context(), stanza.NewMessage(stanza.Chat, jid, "1"))
		if err != nil {
			t.Fatal(err)
		}
		srv.SetStreamManagement(xmpptest.StreamManagement{NoAcks: true, RequestEvery: -1})
		srv.Freeze(jid, true)
		for i := range 5 {
			_ = s.Wait(t.Context())
			login()
			if m.Stats().Sessions == 2 {
				if i < 3 {
					t.Errorf("the session was given up after %d connections", i)
				}
				srv.SetStreamManagement(xmpptest.StreamManagement{})
				break
			}
			srv.Freeze(s.MyJID(), true)
		}
		if state, err := r.Wait(t.Context()); state != xmpp.ReceiptAcked || err != nil {
			t.Errorf("the receipt is %v, %v", state, err)
		}
		_ = s.Close(t.Context())
	})
}
