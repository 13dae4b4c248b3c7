package testserver

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// held waits until the session of c is held.
func held(t testing.TB, srv *Server, c *client) {
	t.Helper()
	for range 2000 {
		if st, ok := srv.SMState(c.jid); ok && st.Held {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("the session of %s is not held", c.jid)
}

func TestSMResume(t *testing.T) {
	for _, acked := range []int{0, 1, 3, 7} {
		t.Run(fmt.Sprintf("%d of 7", acked), func(t *testing.T) {
			srv := newServer(t, Options{SM: SMOptions{RequestEvery: 100}})
			srv.AddContact("juliet", Contact{JID: "romeo@example.test", Subscription: "both"})
			srv.AddContact("romeo", Contact{JID: "juliet@example.test", Subscription: "both"})
			r := online(t, srv, "romeo", "r")
			c := online(t, srv, "juliet", "x")
			c.want("<presence from='romeo@example.test/r' to='*'/>")
			r.want("<presence from='juliet@example.test/x' to='*'/>")
			id := c.enable("300")
			c.write(chat("romeo@example.test", "one") + chat("romeo@example.test", "two"))
			r.body("one")
			r.body("two")
			tell(t, srv, c, 1, 4)
			c.tells(1, 4)
			srv.Kill(c.jid)
			held(t, srv, c)
			tell(t, srv, c, 5, 7) // queued; presence stays
			r.quiet()
			d := smAuth(t, srv, "juliet")
			d.resumes(c, id, uint32(acked), 2)
			d.tells(acked+1, 7)
			if acked < 7 {
				d.asked()
			}
			tell(t, srv, d, 8, 8)
			d.tells(8, 8)
			d.handled(2)
			d.write(chat("romeo@example.test", "three"))
			r.body("three")
			d.handled(3)
			if st := state(t, srv, d); st.Resumed != 1 || st.Held || st.ID != id || len(st.Unacked) != 8-acked {
				t.Errorf("%+v", st)
			}
			d.write("</stream:stream>")
			r.want("<presence type='unavailable' from='juliet@example.test/x' to='*'/>")
			if n := srv.Offline("juliet"); n != 8-acked {
				t.Errorf("%d messages stored, want %d", n, 8-acked)
			}
		})
	}
}

func TestSMWrap(t *testing.T) {
	srv := newServer(t, Options{SM: SMOptions{StartHandled: 1<<32 - 3, StartSent: 1<<32 - 3, RequestEvery: -1}})
	c := login(t, srv, "juliet", "x")
	id := c.enable("300")
	c.handled(1<<32 - 3)
	for range 5 {
		c.write("<message to='romeo@example.test'/>")
	}
	c.handled(2)
	tell(t, srv, c, 1, 10)
	c.tells(1, 10)
	c.write("<a xmlns='urn:xmpp:sm:3' h='4294967295'/>") // 2 of them
	c.quietly()
	if st := state(t, srv, c); len(st.Unacked) != 8 {
		t.Errorf("%d unacknowledged, want 8", len(st.Unacked))
	}
	c.conn.Close()
	held(t, srv, c)
	d := smAuth(t, srv, "juliet")
	d.resumes(c, id, 3, 2) // 6 of them
	d.tells(7, 10)
	d.write("<a xmlns='urn:xmpp:sm:3' h='2'/>") // back
	e := d.next()
	if x := child(e, "handled-count-too-high", nsSM); x == nil || attr(x, "send-count") != "7" {
		t.Errorf("an h that goes back: %s", pretty(e))
	}
}

// quietly is quiet without a stanza: what the client has sent before is handled.
func (c *client) quietly() {
	c.t.Helper()
	c.write("<r xmlns='urn:xmpp:sm:3'/>")
	c.want("<a xmlns='urn:xmpp:sm:3' h='*'/>")
}

func TestSMConflict(t *testing.T) {
	srv := newServer(t, Options{})
	c := online(t, srv, "juliet", "x")
	id := c.enable("300")
	last, sessions := c, 20
	for i := 1; i <= sessions; i++ {
		d := smAuth(t, srv, "juliet")
		d.resumes(last, id, uint32(i-1), 0)
		last.want(wantStreamError("conflict"))
		last.ends(true)
		tell(t, srv, d, i, i)
		d.tells(i, i)
		last = d
	}
	if got := srv.Sessions(last.jid.Bare()); len(got) != 1 {
		t.Errorf("%d sessions, want 1", len(got))
	}
}

func TestSMFrozen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, Options{})
		c := online(t, srv, "juliet", "x")
		id := c.enable("300")
		srv.Freeze(c.jid, true)
		c.write("<message to='romeo@example.test'/>")
		d := smAuth(t, srv, "juliet")
		d.resumes(c, id, 0, 0)
		d.handled(0)
		if n := srv.Offline("romeo"); n != 0 {
			t.Error("a connection that has lost the session was listened to")
		}
		c.ends(false) // the server gives it up
	})
}

func TestSMTogether(t *testing.T) { // one winner, whatever the order
	srv := newServer(t, Options{})
	c := online(t, srv, "juliet", "x")
	id := c.enable("300")
	const n = 8
	var clients []*client
	for range n {
		d := smAuth(t, srv, "juliet")
		d.jid = c.jid
		clients = append(clients, d)
	}
	answers := make(chan string, n)
	for _, d := range clients {
		go func() {
			d.write("<resume xmlns='urn:xmpp:sm:3' h='0' previd='" + id + "'/>")
			e, err := d.read()
			if err == nil && e.Tag == "resumed" {
				e, err = d.read()
			}
			if err != nil {
				answers <- "winner" // all others hear of a conflict first
			} else if child(e, "conflict", nsStreamErrors) != nil {
				answers <- "conflict"
			} else {
				answers <- pretty(e)
			}
		}()
	}
	got := map[string]int{}
	for range n - 1 {
		got[<-answers]++
	}
	srv.Kill(c.jid)
	got[<-answers]++
	if got["conflict"] != n-1 || got["winner"] != 1 {
		t.Errorf("%v", got)
	}
}

func TestSMExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, Options{})
		srv.AddContact("juliet", Contact{JID: "romeo@example.test", Subscription: "both"})
		srv.AddContact("romeo", Contact{JID: "juliet@example.test", Subscription: "both"})
		r := online(t, srv, "romeo", "r")
		r.raw.SetReadDeadline(time.Time{})
		c := online(t, srv, "juliet", "x")
		c.want("<presence from='romeo@example.test/r' to='*'/>")
		r.want("<presence from='juliet@example.test/x' to='*'/>")
		id := c.enable("300")
		c.write("<message to='romeo@example.test'/>")
		r.want("<message to='*' from='*'/>")
		c.conn.Close()
		synctest.Wait()
		time.Sleep(299 * time.Second)
		d := smAuth(t, srv, "juliet")
		d.resumes(c, id, 0, 1)
		d.conn.Close()
		synctest.Wait()
		time.Sleep(299 * time.Second)
		tell(t, srv, c, 1, 2)
		r.write("<iq type='get' id='1' to='juliet@example.test/x'><ping xmlns='urn:xmpp:ping'/></iq>")
		if _, ok := srv.SMState(c.jid); !ok {
			t.Fatal("the time starts anew with each loss")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		r.want("<presence type='unavailable' from='juliet@example.test/x' to='*'/>")
		r.want("<iq type='error' id='1' from='juliet@example.test/x' to='*'><error type='cancel'><service-unavailable xmlns='" + nsStanzas + "'/></error></iq>")
		if n := srv.Offline("juliet"); n != 2 {
			t.Errorf("%d messages stored, want 2", n)
		}
		d = smAuth(t, srv, "juliet")
		d.write("<resume xmlns='urn:xmpp:sm:3' h='0' previd='" + id + "'/>")
		d.want(wantFailed("item-not-found", "1"))
		srv.SetSM(SMOptions{NoFailedCount: true})
		d.write("<resume xmlns='urn:xmpp:sm:3' h='0' previd='" + id + "'/>")
		d.want(wantFailed("item-not-found", ""))
		d.bind("x") // the stream goes on
		d.enable("300")
		d.handled(0)
	})
}
