package sm_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// holder keeps callbacks waiting until it is told to let them go.
type holder struct {
	mu   sync.Mutex
	list []*stanza.Message
	gate chan struct{}
}

func (h *holder) DidReceiveMessage(_ context.Context, _ *xmpp.Stream, m *stanza.Message) {
	h.mu.Lock()
	h.list = append(h.list, m)
	h.mu.Unlock()
	if h.gate != nil {
		<-h.gate
	}
}

func (h *holder) got() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []string
	for _, m := range h.list {
		out = append(out, m.Body())
	}
	return strings.Join(out, ",")
}

func deliver(srv *xmpptest.Server, to xmpp.JID, bodies ...string) {
	for _, b := range bodies {
		srv.Deliver("<message from='a@b.test' to='" + to.String() + "' id='" + b + "'><body>" + b + "</body></message>")
	}
}

// TestSec_SM11: what a callback has not returned from is not handled. It comes again to another process, and not to this one.
func TestSec_SM11(t *testing.T) {
	bubble(t, func(t *testing.T, srv *xmpptest.Server) {
		store := sm.MemoryStorage()
		cfg := quiet
		cfg.HandledBy, cfg.Storage = sm.HandledReturned, store
		c := newClient(t, srv.Config("juliet"), cfg)
		h := &holder{gate: make(chan struct{})}
		c.AddDelegate(xmpp.Delegate{Message: h})
		c.login()
		settle()
		deliver(srv, c.MyJID(), "1", "2", "3", "4")
		settle()
		h.gate <- struct{}{}
		settle()
		handled := func(c *client, want uint32) {
			t.Helper()
			if n := c.m.Counts().Handled; n != want {
				t.Errorf("%d handled, want %d", n, want)
			}
			st, err := store.Load(t.Context(), srv.JID("juliet"))
			if err != nil || st == nil || st.Handled != want {
				t.Errorf("stored: %+v, %v", st, err)
			}
		}
		handled(c, 1)
		c.lose(srv) // the same process: the copies are dropped
		deliver(srv, c.MyJID(), "5")
		c.login()
		settle()
		handled(c, 1)
		if st, _ := srv.SessionState(c.MyJID()); len(st.Unacked) != 4 {
			t.Errorf("the server keeps %d", len(st.Unacked))
		}
		h.gate <- struct{}{}
		h.gate <- struct{}{}
		settle()
		handled(c, 3)
		if got := h.got(); got != "1,2,3,4" { // and 5 is in the queue
			t.Errorf("received %s", got)
		}
		// The process is killed: another one comes with what was stored.
		st, err := store.Load(t.Context(), srv.JID("juliet"))
		if err != nil {
			t.Fatal(err)
		}
		store2 := sm.MemoryStorage()
		if err := store2.Save(t.Context(), srv.JID("juliet"), st); err != nil {
			t.Fatal(err)
		}
		cfg.Storage = store2
		next := newClient(t, srv.Config("juliet"), cfg)
		next.login()
		settle()
		if got := next.received(); !slices.Equal(got, []string{"4", "5"}) || next.MyJID() != st.JID {
			t.Errorf("%v received %v", next.MyJID(), got)
		}
		if n := next.m.Counts().Handled; n != 5 {
			t.Errorf("%d handled", n)
		}
		close(h.gate)
	})
}

// TestHandledOutOfOrder: the count grows without gaps only.
func TestHandledOutOfOrder(t *testing.T) {
	bubble(t, func(t *testing.T, srv *xmpptest.Server) {
		cfg := quiet
		cfg.HandledBy = sm.HandledMarked
		c := newClient(t, srv.Config("juliet"), cfg)
		h := &holder{}
		c.AddDelegate(xmpp.Delegate{Message: h})
		stop := c.AddInterceptor(xmpp.Interceptor{WillReceiveMessage: func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) *stanza.Message {
			switch m.Body() {
			case "copied":
				return m.Copy()
			case "dropped":
				return nil
			}
			return m
		}})
		defer stop()
		c.login()
		settle()
		deliver(srv, c.MyJID(), "1", "copied", "dropped", "3")
		srv.Deliver("<presence from='a@b.test' to='" + c.MyJID().String() + "'/>")
		srv.Deliver("<message from='a@b.test' to='" + c.MyJID().String() + "' type='error'><body>e</body></message>")
		settle()
		step := func(i int, ok bool, want uint32) {
			t.Helper()
			if got := c.m.MarkHandled(h.list[i]); got != ok || c.m.Counts().Handled != want {
				t.Errorf("%d: %v, %d handled, want %v %d", i, got, c.m.Counts().Handled, ok, want)
			}
		}
		if got := h.got(); got != "1,copied,3,e" {
			t.Fatal(got)
		}
		step(2, true, 0)
		step(2, false, 0)
		step(3, false, 0) // an error need not be marked
		step(0, true, 1)
		step(1, true, 6)
		if c.m.MarkHandled(nil) || c.m.MarkHandled(stanza.NewMessage(stanza.Chat, xmpp.JID{}, "")) {
			t.Error("marked what was never received")
		}
		deliver(srv, c.MyJID(), "4")
		settle()
		if n := c.m.Counts().Handled; n != 6 {
			t.Errorf("%d handled", n)
		}
		c.Disconnect()
		settle()
		if c.m.MarkHandled(h.list[4]) {
			t.Error("marked in a session that is over")
		}
	})
}

// TestAnswers looks at when the server is told what was handled.
func TestAnswers(t *testing.T) {
	r := "<r xmlns='urn:xmpp:sm:3'/>"
	a := func(n int) string { return fmt.Sprintf("<a xmlns='urn:xmpp:sm:3' h='%d'/>", n) }
	type rig struct {
		c    *client
		peer *xmpptest.Peer
		at   func(want time.Duration, xml string)
	}
	run := func(name string, cfg sm.Config, f func(t *testing.T, x rig)) {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, srv *xmpptest.Server) {
				peer := srv.Peer("juliet")
				c := newClient(t, srv.Config("juliet"), cfg)
				done := make(chan struct{})
				go func() {
					defer close(done)
					c.login()
				}()
				peer.Play("C: <enable xmlns='urn:xmpp:sm:3' resume='true'/>\nS: <enabled xmlns='urn:xmpp:sm:3' id='s1' resume='true'/>")
				<-done
				settle()
				f(t, rig{c, peer, func(want time.Duration, xml string) {
					t.Helper()
					start := time.Now()
					peer.Expect(xml)
					if d := time.Since(start); d != want {
						t.Errorf("%s came after %v, want %v", xml, d, want)
					}
				}})
				c.Disconnect()
			})
		})
	}
	run("at once", quiet, func(t *testing.T, x rig) {
		x.peer.Inject("<message/>" + r)
		x.at(0, a(1))
	})
	run("many questions", quiet, func(t *testing.T, x rig) {
		x.peer.Inject(strings.Repeat("<message/>"+r, 100))
		x.at(0, a(1))
		x.at(5*time.Millisecond, a(100))
		x.peer.Play("C!idle 1s")
		x.peer.Inject("<message/>" + r)
		x.at(0, a(101))
	})
	delayed := quiet
	delayed.AckDelay = 2 * time.Second
	run("delayed", delayed, func(t *testing.T, x rig) {
		x.peer.Inject(r + "<message/>" + r)
		x.at(2*time.Second, a(1))
		x.peer.Inject("<message/>" + r)
		x.at(2*time.Second, a(2))
		if err := x.c.m.SendAck(); err != nil {
			t.Error(err)
		}
		x.at(0, a(2))
	})
	number := quiet
	number.AckAfter = 3
	run("after three", number, func(t *testing.T, x rig) {
		x.peer.Inject("<message/><message/>")
		x.peer.Play("C!idle 1s")
		x.peer.Inject("<message/><message/>" + r + "<message/><message/><message/>")
		x.at(0, a(3))
		x.at(0, a(6)) // and not the 4 in between: an answer waits a moment after another
		x.peer.Inject(r)
		x.at(5*time.Millisecond, a(7))
	})
	run("at the end", quiet, func(t *testing.T, x rig) {
		x.peer.Inject("<message/><message/>")
		synctest.Wait()
		go x.c.Close(x.c.t.Context())
		x.at(0, a(2))
		x.peer.Expect("</stream:stream>")
		synctest.Wait()
	})
	run("at the end, with something unacknowledged", quiet, func(t *testing.T, x rig) {
		rs := x.c.sendAll(1, 1)
		go x.c.Close(x.c.t.Context())
		x.peer.Next()
		x.at(0, a(0))
		x.at(0, r)
		x.peer.Inject("<a xmlns='urn:xmpp:sm:3' h='1'/>")
		x.peer.Expect("</stream:stream>")
		synctest.Wait()
		if got := states(rs); got != "acked" {
			t.Error(got)
		}
	})
	interval := quiet
	interval.AckInterval = time.Second
	run("after a second", interval, func(t *testing.T, x rig) {
		x.peer.Inject("<message/>")
		time.Sleep(600 * time.Millisecond)
		x.peer.Inject("<message/>")
		x.at(400*time.Millisecond, a(2))
		x.peer.Play("C!idle 10s")
	})
	marked := quiet
	marked.HandledBy = sm.HandledMarked
	run("again when it is true", marked, func(t *testing.T, x rig) {
		h := &holder{}
		x.c.AddDelegate(xmpp.Delegate{Message: h})
		x.peer.Inject("<message id='1'/><message id='2'/>" + r)
		x.at(0, a(0))
		synctest.Wait()
		x.c.m.MarkHandled(h.list[0])
		x.peer.Play("C!idle 1s")
		x.c.m.MarkHandled(h.list[1])
		x.at(0, a(2))
		x.peer.Inject("<message id='3'/>")
		synctest.Wait()
		x.c.m.MarkHandled(h.list[2])
		x.peer.Play("C!idle 1s") // nobody has asked
	})
}
