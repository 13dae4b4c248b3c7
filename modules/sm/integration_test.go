package sm_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// realConfig is that of a new account at a real server. On the domain where everything is switched on, ejabberd is slow enough to be
// at work on stanzas of the old connection when it has answered a resumption without them: they are handled twice, and what comes in overtakes.
func realConfig(t *testing.T, srv *integration.Server) (xmpp.Config, *xmpptest.FaultDialer) {
	t.Helper()
	addr, password := srv.NewAccountAt(t, integration.Lean)
	host, port, err := net.SplitHostPort(srv.Addr(integration.STARTTLS))
	if err != nil {
		t.Fatal(err)
	}
	n, _ := strconv.Atoi(port)
	d := new(xmpptest.FaultDialer)
	return xmpp.Config{JID: xmpp.MustParseJID(addr), Credentials: xmpp.Password(password), Host: host, Port: n, RootCAs: srv.Roots(), Dial: d.DialContext}, d
}

// TestIntegration loses connections to a real server: it resumes, keeps what was sent to it meanwhile, and takes what is sent again once.
func TestIntegration(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		ca, dialer := realConfig(t, srv)
		cb, _ := realConfig(t, srv)
		a, b := newClient(t, ca, sm.Config{}), newClient(t, cb, sm.Config{HandledBy: sm.HandledReturned, AckAfter: 1})
		a.login()
		b.login()
		if !a.m.CanResume() || !b.m.CanResume() {
			t.Fatal("the server cannot resume")
		}
		jid := a.MyJID()
		const drops, each = 5, 20
		var rs []*xmpp.Receipt
		var want []string
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		for d := range drops {
			if srv.Kind.IsProsody() { // more than 4 KiB under way may spoil the session, see docs/reliability.md
				if err := a.m.WaitAcked(ctx); err != nil {
					t.Fatal(err)
				}
			}
			for i := range each {
				if i == each/2+d {
					dialer.Reset()
				}
				n := fmt.Sprint(d*each + i)
				want = append(want, n)
				rs = append(rs, a.send(b.MyJID(), n))
				b.send(jid, n)
			}
			_ = a.ended()
			if srv.Kind == integration.Ejabberd26 { // what comes in the instant of a resumption it may misplace
				time.Sleep(100 * time.Millisecond)
			}
			a.login()
		}
		for i, r := range rs {
			if st, err := r.Wait(ctx); st != xmpp.ReceiptAcked || err != nil {
				t.Fatalf("%d: %v %v, %v; %+v", i, st, err, r.Err(), a.m.Stats())
			}
		}
		for _, c := range []*client{a, b} {
			for len(c.received()) < len(want) && ctx.Err() == nil {
				time.Sleep(5 * time.Millisecond)
			}
			if got := c.received(); !slices.Equal(got, want) {
				t.Errorf("%v received %v", c.MyJID(), got)
			}
		}
		if st := a.m.Stats(); st.Resumed != drops || st.Sessions != 1 || a.MyJID() != jid {
			t.Errorf("%+v, %v", st, a.MyJID())
		}
		if err := a.Close(ctx); err != nil {
			t.Error(err)
		}
	})
}

// TestIntegrationProcess is a process that is killed, and comes back from what it has stored; then one that comes with a session that the server does not know.
func TestIntegrationProcess(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		cfg, dialer := realConfig(t, srv)
		account := cfg.JID.Bare()
		other, _ := realConfig(t, srv)
		o := newClient(t, other, sm.Config{})
		o.login()
		place := sm.FileStorage(t.TempDir())
		store := &mortal{Storage: place}
		first := newClient(t, cfg, sm.Config{Storage: store})
		first.login()
		jid := first.MyJID()
		first.send(o.MyJID(), "1")
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if err := first.m.WaitAcked(ctx); err != nil {
			t.Fatal(err)
		}
		dialer.Reset()
		_ = first.ended()
		first.send(o.MyJID(), "2") // it is never written by this process
		for st := (*sm.State)(nil); st == nil || len(st.Unacked) != 1; st, _ = place.Load(ctx, account) {
			time.Sleep(time.Millisecond)
		}
		store.dead.Store(true)
		o.send(jid, "back")

		next := newClient(t, cfg, sm.Config{Storage: place, ResendOnNewSession: true})
		next.login()
		if err := next.m.WaitAcked(ctx); err != nil || next.MyJID() != jid || next.m.Stats().Resumed != 1 {
			t.Fatalf("%v, %v, %+v", err, next.MyJID(), next.m.Stats())
		}
		for (len(o.received()) < 2 || len(next.received()) < 1) && ctx.Err() == nil {
			time.Sleep(5 * time.Millisecond)
		}
		if got := o.received(); !slices.Equal(got, []string{"1", "2"}) {
			t.Errorf("received %v", got)
		}
		if got := next.received(); !slices.Equal(got, []string{"back"}) {
			t.Errorf("the next process received %v", got)
		}
		if err := next.Close(ctx); err != nil {
			t.Error(err)
		}

		st := &sm.State{Session: sm.Session{ID: "nobody-knows", JID: jid}, Updated: time.Now(), Unacked: []sm.Stanza{{
			XML:  stanza.Compact(stanza.NewMessage(stanza.Chat, o.MyJID(), "3").Element()),
			Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		}}}
		if err := place.Save(ctx, account, st); err != nil {
			t.Fatal(err)
		}
		last := newClient(t, cfg, sm.Config{Storage: place, ResendOnNewSession: true})
		last.login()
		if err := last.m.WaitAcked(ctx); err != nil {
			t.Fatal(err)
		}
		for len(o.received()) < 3 && ctx.Err() == nil {
			time.Sleep(5 * time.Millisecond)
		}
		if got := o.received(); !slices.Equal(got, []string{"1", "2", "3"}) || last.m.Stats().Resent != 1 {
			t.Errorf("received %v, %+v", got, last.m.Stats())
		}
		got := last.e.take()
		for !strings.Contains(got, "enabled(true)") && ctx.Err() == nil { // the events come on a queue
			time.Sleep(5 * time.Millisecond)
			got = strings.TrimPrefix(got+"; "+last.e.take(), "; ")
			got = strings.TrimSuffix(got, "; ")
		}
		if !strings.HasPrefix(got, "not resumed(item-not-found); end(); enabled(true)") {
			t.Error(got)
		}
	})
}
