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

// TestSec_SM03 counts over 2^32, in both directions, and resumes before, at and behind it.
func TestSec_SM03(t *testing.T) {
	const start = 1<<32 - 3
	for _, k := range []int{0, 2, 3, 4, 10} {
		t.Run(fmt.Sprint("lost after ", k), func(t *testing.T) {
			bubble(t, func(t *testing.T, srv *xmpptest.Server) {
				romeo := newClient(t, srv.Config("romeo"), sm.Config{})
				romeo.login()
				if err := romeo.Send(t.Context(), stanza.NewPresence(stanza.Available, xmpp.JID{})); err != nil {
					t.Fatal(err)
				}
				settle()
				srv.SetStreamManagement(xmpptest.StreamManagement{StartHandled: start, StartSent: start})
				c := newClient(t, srv.Config("juliet"), quiet)
				c.m.StartCounts(start, start)
				c.login()
				settle()
				jid := c.MyJID()
				for i := range 10 {
					if i == k {
						c.lose(srv)
						c.login()
					}
					c.send(srv.JID("romeo"), fmt.Sprint(i))
					srv.Deliver("<message from='a@b.test' to='" + jid.String() + "'><body>" + fmt.Sprint(i) + "</body></message>")
					settle()
				}
				if k == 10 {
					c.lose(srv)
					c.login()
				}
				if err := c.m.WaitAcked(t.Context()); err != nil {
					t.Fatal(err)
				}
				settle()
				if n := c.m.Counts(); n != (sm.Counts{Sent: 7, Acked: 7, Handled: 7}) {
					t.Errorf("%+v", n)
				}
				if err := c.m.SendAck(); err != nil {
					t.Fatal(err)
				}
				settle()
				if st, ok := srv.SessionState(jid); !ok || st.Handled != 7 || st.Acked != 7 || st.Resumed != 1 || len(st.Unacked) != 0 {
					t.Errorf("the server: %v %+v", ok, st)
				}
				want := strings.Split("0 1 2 3 4 5 6 7 8 9", " ")
				if got := c.received(); !slices.Equal(got, want) {
					t.Errorf("received %v", got)
				}
				if got := romeo.received(); !slices.Equal(got, want) {
					t.Errorf("romeo received %v", got)
				}
			})
		})
	}
}

// TestSec_SM07 sends all that does not count, and some that does.
func TestSec_SM07(t *testing.T) {
	c, srv := scripted(t, quiet, begin+`
		S: <r xmlns='urn:xmpp:sm:3'/>
		C: <a xmlns='urn:xmpp:sm:3' h='0'/>
		S:     <a xmlns='urn:xmpp:sm:3' h='0'/> <unknown xmlns='urn:x'/> <active xmlns='urn:xmpp:csi:0'/> <stream:features/> <r xmlns='urn:xmpp:sm:3'/>
		C: <a xmlns='urn:xmpp:sm:3' h='0'/>
		S: <message/><presence from='a@b'/><iq type='result' id='nobody'/><iq type='nonsense'/><message from='@@'/><message type='error'/> <r xmlns='urn:xmpp:sm:3'/>
		C: <a xmlns='urn:xmpp:sm:3' h='6'/>
		S: <other xmlns='urn:xmpp:sm:3' h='17'/><r xmlns='urn:xmpp:sm:3'/>
		C: <a xmlns='urn:xmpp:sm:3' h='6'/>
		C: <active xmlns='urn:xmpp:csi:0'/>
		C: <presence/>
		C: <r xmlns='urn:xmpp:sm:3'/>
		S: <a xmlns='urn:xmpp:sm:3' h='2'/>`+tooHigh("2", "1"))
	drop := c.AddInterceptor(xmpp.Interceptor{WillReceivePresence: func(context.Context, *xmpp.Stream, *stanza.Presence) *stanza.Presence { return nil }})
	defer drop()
	defer c.RegisterElement("active", "urn:xmpp:csi:0")()
	c.login()
	for i := 0; c.m.Counts().Handled < 6 && i < 5000; i++ {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(20 * time.Millisecond) // for the last answer
	if err := c.Send(t.Context(), stanza.New("active", "urn:xmpp:csi:0")); err != nil {
		t.Fatal(err)
	}
	if err := c.Send(t.Context(), stanza.NewPresence(stanza.Available, xmpp.JID{})); err != nil {
		t.Fatal(err)
	}
	if n := c.m.Counts(); n.Sent != 1 {
		t.Errorf("%+v", n)
	}
	if err := c.m.RequestAck(); err != nil {
		t.Fatal(err)
	}
	_ = c.ended()
	srv.Wait()
}

// TestSec_SM08 acknowledges a part: nothing is sent again while the stream lives.
func TestSec_SM08(t *testing.T) {
	c, srv := scripted(t, quiet, begin+messages(1, 5)+"\nS: <a xmlns='urn:xmpp:sm:3' h='3'/>\nC!idle 300ms"+message("6")+"\nC!rest")
	c.login()
	rs := c.sendAll(1, 5)
	c.heard("enabled(true); acked(1,2,3)")
	time.Sleep(350 * time.Millisecond)
	rs = append(rs, c.sendAll(6, 6)...)
	srv.Wait()
	if got := states(rs); got != "acked,acked,acked,pending,pending,pending" || c.m.Stats().Unacked != 3 {
		t.Error(got)
	}
}

// TestSec_SM09 has stanzas on their way while stream management begins. Sent ones wait for its beginning, since they would be lost with the connection:
// so they count from <enable/>, and received ones, which nobody may lose, from <enabled/>.
func TestSec_SM09(t *testing.T) {
	c, srv := scripted(t, quiet, `
		S!login juliet
		C: <enable xmlns='urn:xmpp:sm:3' resume='true'/>
		S: <message><body>a</body></message><r xmlns='urn:xmpp:sm:3'/><a xmlns='urn:xmpp:sm:3' h='0'/><message><body>b</body></message>
		C!idle 100ms
		S: <enabled xmlns='urn:xmpp:sm:3' id='s1' resume='true'/><message><body>c</body></message>`+messages(1, 3)+`
		S: <r xmlns='urn:xmpp:sm:3'/><a xmlns='urn:xmpp:sm:3' h='2'/>
		C: <a xmlns='urn:xmpp:sm:3' h='1'/>
		S!reset`,
		"S!auth juliet\nC: <resume xmlns='urn:xmpp:sm:3' previd='s1' h='1'/>\nS: <resumed xmlns='urn:xmpp:sm:3' previd='s1' h='2'/>"+message("3")+"\nC: <r xmlns='urn:xmpp:sm:3'/>\nC!rest")
	c.login()
	rs := c.sendAll(1, 3)
	_ = c.ended()
	c.login()
	srv.Wait()
	if got := states(rs); got != "acked,acked,pending" {
		t.Error(got)
	}
	if got := c.received(); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("received %v", got)
	}
}

// TestSec_SM10 is a server that never acknowledges: Send blocks at the bound, on a connection and without.
func TestSec_SM10(t *testing.T) {
	bubble(t, func(t *testing.T, srv *xmpptest.Server) {
		cfg := quiet
		cfg.Limit = 20
		c := newClient(t, srv.Config("juliet"), cfg)
		c.login()
		settle()
		full := func(what string) {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := c.Send(ctx, stanza.NewMessage(stanza.Chat, srv.JID("romeo"), "x")); err != context.DeadlineExceeded {
				t.Errorf("%s: %v", what, err)
			}
			if n := c.m.Stats().Unacked; n != 20 {
				t.Errorf("%s: %d unacknowledged", what, n)
			}
		}
		c.sendAll(1, 15)
		settle()
		c.sendAll(16, 20)
		full("connected")
		c.lose(srv)
		full("held")
		c.login() // the answer tells what was handled
		settle()
		if err := c.Send(t.Context(), stanza.NewMessage(stanza.Chat, srv.JID("romeo"), "x")); err != nil {
			t.Error(err)
		}
	}, xmpptest.WithStreamManagement(xmpptest.StreamManagement{NoAcks: true, RequestEvery: -1}))
}

// TestRel_R08 resumes after each possible count of 50: exactly the rest is sent again, in order, and before anything new.
func TestRel_R08(t *testing.T) {
	for k := range 51 {
		script := "S!auth juliet\nC: <resume xmlns='urn:xmpp:sm:3' previd='s1' h='0'/>\nS: <resumed xmlns='urn:xmpp:sm:3' previd='s1' h='" + fmt.Sprint(k) + "'/>" + messages(k+1, 50)
		if k < 50 {
			script += "\nC: <r xmlns='urn:xmpp:sm:3'/>"
		}
		script += "\nS: <a xmlns='urn:xmpp:sm:3' h='50'/>" + message("51") + "\nC: <r xmlns='urn:xmpp:sm:3'/>\nS: <a xmlns='urn:xmpp:sm:3' h='51'/>\nC!rest"
		c, srv := scripted(t, quiet, begin+messages(1, 50)+"\nS!reset", script)
		c.login()
		rs := c.sendAll(1, 50)
		_ = c.ended()
		c.login()
		if st, err := rs[49].Wait(t.Context()); st != xmpp.ReceiptAcked || err != nil {
			t.Fatalf("%d: %v %v", k, st, err)
		}
		rs = append(rs, c.sendAll(51, 51)...)
		if err := c.m.WaitAcked(t.Context()); err != nil {
			t.Fatalf("%d: %v", k, err)
		}
		srv.Wait()
		for _, r := range rs {
			if st, err := r.Wait(t.Context()); st != xmpp.ReceiptAcked || err != nil {
				t.Fatalf("%d: %v %v", k, st, err)
			}
		}
		if st := c.m.Stats(); st.Sent != 51 || st.Acked != 51 || st.Replayed != 50-k {
			t.Errorf("%d: %+v", k, st)
		}
		c.Disconnect()
	}
}
