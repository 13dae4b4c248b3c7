package sm_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// TestProcess goes on with a session in another process.
func TestProcess(t *testing.T) {
	bubble(t, func(t *testing.T, srv *xmpptest.Server) {
		romeo := srv.Client(t, "romeo", xmpp.Delegate{Message: xmpp.MessageFunc(func(context.Context, *xmpp.Stream, *stanza.Message) {})})
		place := sm.FileStorage(t.TempDir())
		p := startProcess(t, srv, place, quiet)
		p.login()
		settle()
		jid := p.MyJID()
		p.sendAll(1, 3)
		if err := p.m.WaitAcked(t.Context()); err != nil {
			t.Fatal(err)
		}
		deliver(srv, jid, "a", "b")
		settle()
		srv.Freeze(jid, true)
		p.sendAll(4, 6)
		settle()
		srv.Kill(jid)
		settle()
		p.sendAll(7, 8) // held
		settle()
		st := load(t, place)
		if st == nil || st.JID != jid || st.ID == "" || st.Handled != 2 || st.Acked != 3 || len(st.Unacked) != 5 || st.Max != 5*time.Minute || !strings.Contains(st.Unacked[4].XML, "<body>8</body>") {
			t.Fatalf("stored: %+v", st)
		}
		p.store.dead.Store(true)
		srv.Freeze(jid, false)
		deliver(srv, jid, "c")

		next := startProcess(t, srv, place, quiet)
		next.login()
		settle()
		if err := next.m.WaitAcked(t.Context()); err != nil {
			t.Fatal(err)
		}
		settle()
		if next.MyJID() != jid || !slices.Equal(next.received(), []string{"c"}) {
			t.Errorf("%v received %v", next.MyJID(), next.received())
		}
		if n := next.m.Counts(); n != (sm.Counts{Sent: 8, Acked: 8, Handled: 3}) {
			t.Errorf("%+v", n)
		}
		if got := next.e.take(); !strings.Contains(got, "resumed") || strings.Contains(got, "enabled") {
			t.Error(got)
		}
		if st := load(t, place); st == nil || len(st.Unacked) != 0 || st.Handled != 3 || st.Acked != 8 {
			t.Errorf("stored: %+v", st)
		}
		if err := next.Close(t.Context()); err != nil {
			t.Error(err)
		}
		settle()
		if st := load(t, place); st != nil {
			t.Errorf("stored after a clean end: %+v", st)
		}
		_ = romeo
	})
}

// TestProcessRefused: the server has forgotten the session of the process before: what it had not acknowledged is reported, or goes over.
func TestProcessRefused(t *testing.T) {
	for _, resend := range []bool{false, true} {
		t.Run(fmt.Sprint(resend), func(t *testing.T) {
			bubble(t, func(t *testing.T, srv *xmpptest.Server) {
				srv.Config("romeo")
				cfg := quiet
				cfg.ResendOnNewSession = resend
				place := sm.MemoryStorage()
				p := startProcess(t, srv, place, cfg)
				p.login()
				settle()
				p.sendAll(1, 1)
				if err := p.m.WaitAcked(t.Context()); err != nil {
					t.Fatal(err)
				}
				srv.Freeze(p.MyJID(), true)
				p.sendAll(2, 3)
				settle()
				p.kill(srv)
				srv.ForgetSessions(srv.JID("juliet"))
				settle()
				old := load(t, place)

				next := startProcess(t, srv, place, cfg)
				next.login()
				settle()
				want, left := "not resumed(item-not-found); end(2,3); enabled(true)", 0
				if resend {
					want, left = "not resumed(item-not-found); end(); enabled(true)", 2
				}
				next.e.want(t, "the next process", want)
				st := load(t, place)
				if st == nil || st.ID == "" || st.ID == old.ID || len(st.Unacked) != left {
					t.Errorf("stored: %+v", st)
				}
				if err := next.m.WaitAcked(t.Context()); err != nil {
					t.Fatal(err)
				}
				if n := next.m.Counts(); n.Acked != uint32(left) {
					t.Errorf("%+v", n)
				}
			})
		})
	}
}

// TestSuspend leaves a session to another process, and to the same stream.
func TestSuspend(t *testing.T) {
	bubble(t, func(t *testing.T, srv *xmpptest.Server) {
		srv.Config("romeo")
		place := sm.MemoryStorage()
		p := startProcess(t, srv, place, quiet)
		p.login()
		settle()
		jid := p.MyJID()
		rs := p.sendAll(1, 2)
		settle()
		if err := p.m.Suspend(t.Context()); err != nil {
			t.Fatal(err)
		}
		settle()
		if !p.IsDisconnected() || !p.m.CanResume() {
			t.Error("not suspended")
		}
		if st, ok := srv.SessionState(jid); !ok || !st.Held {
			t.Errorf("the server: %v %+v", ok, st)
		}
		if err := p.m.Suspend(t.Context()); err != nil { // again
			t.Error(err)
		}
		p.login()
		settle()
		if p.m.Stats().Resumed != 1 || states(rs) != "acked,acked" {
			t.Error(p.m.Stats(), states(rs))
		}
		if n := p.store.count("load"); n != 1 {
			t.Errorf("loaded %d times", n)
		}
		p.e.take()
		p.sendAll(3, 3)
		settle()
		if err := p.m.Suspend(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.sendAll(4, 4) // goes along
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
		settle()
		p.e.want(t, "closed", "end(); because(sm: the session is suspended)")
		if st := load(t, place); st == nil || len(st.Unacked) != 2 || st.JID != jid {
			t.Fatalf("stored: %+v", st)
		}

		next := startProcess(t, srv, place, quiet)
		if err := next.m.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		next.login()
		if err := next.m.WaitAcked(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := next.m.Counts(); n.Sent != 4 || n.Acked != 4 || next.MyJID() != jid || next.store.count("load") != 1 {
			t.Errorf("%+v", n)
		}
	})
}
