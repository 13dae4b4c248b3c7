package xmpptest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

const nsSM = "urn:xmpp:sm:3"

func TestStreamManagement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := xmpptest.NewServer(t, xmpptest.WithStreamManagement(xmpptest.StreamManagement{Max: time.Minute, StartHandled: 7, StartSent: 40}))
		juliet := srv.Client(t, "juliet")
		me := juliet.MyJID()
		if !juliet.HasFeature("sm", nsSM) {
			t.Error("stream management is not offered")
		}
		if st, ok := srv.SessionState(me); ok {
			t.Errorf("a session without stream management: %+v", st)
		}
		for _, name := range []string{"enable", "enabled", "r"} {
			defer juliet.RegisterElement(name, nsSM)()
		}
		if err := juliet.Send(t.Context(), stanza.New("enable", nsSM).A("resume", "true")); err != nil {
			t.Fatal(err)
		}
		if err := juliet.Send(t.Context(), stanza.NewMessage(stanza.Chat, srv.JID("romeo"), "1")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		srv.Deliver("<message from='a@b.test' to='" + me.String() + "'><body>2</body></message>")
		synctest.Wait()
		st, ok := srv.SessionState(me)
		if !ok || st.ID == "" || st.Handled != 8 || st.Acked != 40 || len(st.Unacked) != 2 || st.Held { // the first is the bounce: there is no romeo
			t.Errorf("connected: %v %+v", ok, st)
		}
		srv.Kill(me)
		synctest.Wait()
		if st, ok := srv.SessionState(me); !ok || !st.Held {
			t.Errorf("after the loss: %v %+v", ok, st)
		}
		if got := srv.Sessions("juliet"); len(got) != 1 {
			t.Errorf("sessions: %v, want the one that is held", got)
		}
		srv.ForgetSessions(me)
		if got := srv.Sessions("juliet"); len(got) != 0 {
			t.Errorf("sessions: %v, want none", got)
		}
		srv.SetStreamManagement(xmpptest.StreamManagement{Max: -1})
		srv.FailResume("juliet", true)
	})
}

func TestWithoutStreamManagement(t *testing.T) {
	srv := xmpptest.NewServer(t, xmpptest.WithoutStreamManagement())
	if srv.Client(t, "juliet").HasFeature("sm", nsSM) {
		t.Error("stream management is offered")
	}
}

func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := xmpptest.NewServer(t)
		srv.AddContact("juliet", xmpptest.Contact{JID: "romeo@example.test"})
		juliet := srv.Client(t, "juliet")
		srv.Restart()
		if err := juliet.Wait(t.Context()); err == nil {
			t.Error("the client takes it for a polite end")
		}
		if got := srv.Sessions("juliet"); len(got) != 0 {
			t.Errorf("sessions: %v, want none", got)
		}
		again := srv.Client(t, "juliet")
		if again.MyJID().Bare() != juliet.MyJID().Bare() {
			t.Errorf("got %s", again.MyJID())
		}
	})
}
