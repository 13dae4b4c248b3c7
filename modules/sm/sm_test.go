package sm_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// TestResume loses the connection and comes back: nothing is lost in either direction, nothing doubled, and it is one session.
func TestResume(t *testing.T) {
	bubble(t, func(t *testing.T, srv *xmpptest.Server) {
		romeo := srv.Client(t, "romeo")
		_ = romeo
		c := newClient(t, srv.Config("juliet"), sm.Config{})
		c.login()
		settle()
		c.e.want(t, "login", "enabled(true)")
		if !c.m.Enabled() || !c.m.CanResume() {
			t.Error("not enabled")
		}
		jid := c.MyJID()
		var receipts []*xmpp.Receipt
		for i := range 5 {
			receipts = append(receipts, c.send(srv.JID("romeo"), fmt.Sprint(i)))
		}
		time.Sleep(time.Second)
		settle()
		c.e.want(t, "after the delay", "acked(0,1,2,3,4)")
		srv.Freeze(jid, true)
		for i := 5; i < 8; i++ {
			receipts = append(receipts, c.send(srv.JID("romeo"), fmt.Sprint(i)))
		}
		settle()
		srv.Kill(jid)
		settle()
		for i := 8; i < 10; i++ { // while it is held
			receipts = append(receipts, c.send(srv.JID("romeo"), fmt.Sprint(i)))
		}
		srv.Deliver("<message from='a@b.test' to='" + jid.String() + "'><body>meanwhile</body></message>")
		srv.Freeze(jid, false)
		c.login()
		time.Sleep(time.Second)
		settle()
		got := c.e.take() // how far it had read is its own affair
		if !strings.Contains(got, "resumed(") || strings.Contains(got, "end") || strings.Contains(got, "enabled") || !strings.HasSuffix(got, "8,9)") {
			t.Errorf("after the resumption: %s", got)
		}
		if got := states(receipts); got != "acked,acked,acked,acked,acked,acked,acked,acked,acked,acked" {
			t.Error(got)
		}
		if got := c.received(); !slices.Equal(got, []string{"meanwhile"}) {
			t.Errorf("received %v", got)
		}
		if st, ok := srv.SessionState(jid); !ok || st.Resumed != 1 || st.Handled != 10 {
			t.Errorf("%v %+v", ok, st)
		}
		if c.MyJID() != jid {
			t.Errorf("the address has changed: %v", c.MyJID())
		}
		if st := c.m.Stats(); st.Sent != 10 || st.Acked != 10 || st.Received != 1 || st.Handled != 1 || st.Unacked != 0 || st.Sessions != 1 || st.Resumed != 1 {
			t.Errorf("%+v", st)
		}
		if n := c.m.Counts(); n != (sm.Counts{Sent: 10, Acked: 10, Handled: 1}) {
			t.Errorf("%+v", n)
		}
		c.Close(t.Context())
		settle()
		c.e.want(t, "closed", "end()")
	})
}

func TestModule(t *testing.T) {
	m := sm.New(sm.Config{})
	if m.Name() != "sm" {
		t.Error(m.Name())
	}
	var _ xmpp.Module = m
	var _ xmpp.Receiver = m
	var _ xmpp.SessionReceiver = m
	xmpptest.CheckDelegate(t, m)
	xmpptest.CheckDelegate(t, new(events), sm.Delegate{})
}
