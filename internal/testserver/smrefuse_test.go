package testserver

import (
	"errors"
	"fmt"
	"syscall"
	"testing"
)

func TestSMRefusals(t *testing.T) {
	start := func(t *testing.T) (*Server, *client, *client, string) {
		srv := newServer(t, Options{})
		c := online(t, srv, "juliet", "x")
		id := c.enable("300")
		c.write("<message to='romeo@example.test'/>")
		tell(t, srv, c, 1, 1)
		c.tells(1, 1)
		c.quietly()
		return srv, c, smAuth(t, srv, "juliet"), "<resume xmlns='urn:xmpp:sm:3' h='0' previd='" + id + "'/>"
	}
	t.Run("somebody else's", func(t *testing.T) {
		srv, c, _, resume := start(t)
		d := smAuth(t, srv, "romeo")
		d.write(resume)
		d.want(wantFailed("item-not-found", ""))
		c.handled(1)
	})
	for _, count := range []bool{true, false} {
		t.Run(fmt.Sprintf("forced, count %v", count), func(t *testing.T) {
			srv, c, d, resume := start(t)
			srv.FailResume("juliet", count)
			d.write(resume)
			h := ""
			if count {
				h = "1"
			}
			d.want(wantFailed("item-not-found", h))
			c.want(wantStreamError("conflict"))
			if n := srv.Offline("juliet"); n != 1 {
				t.Errorf("%d messages stored, want 1", n)
			}
			d.bind("x")
			id := d.enable("300")
			d.conn.Close()
			held(t, srv, d)
			e := smAuth(t, srv, "juliet")
			e.resumes(d, id, 0, 0) // it was for one attempt
		})
	}
	t.Run("forgotten", func(t *testing.T) {
		srv, c, d, resume := start(t)
		if err := srv.ForgetSessions(c.jid.Bare()); err != nil {
			t.Fatal(err)
		}
		c.handled(1)
		d.write(resume)
		d.want(wantFailed("item-not-found", ""))
		if st := state(t, srv, c); st.ID != "" {
			t.Errorf("%+v", st)
		}
	})
	t.Run("forgotten while held", func(t *testing.T) {
		srv, c, d, resume := start(t)
		c.conn.Close()
		held(t, srv, c)
		srv.ForgetSessions(c.jid)
		d.write(resume)
		d.want(wantFailed("item-not-found", ""))
		if n := len(srv.Sessions(c.jid)) + srv.Offline("juliet"); n != 0 {
			t.Errorf("%d sessions and messages are left", n)
		}
	})
	t.Run("replaced by binding", func(t *testing.T) {
		srv, c, d, resume := start(t)
		c.conn.Close()
		held(t, srv, c)
		d.bind("x")
		e := smAuth(t, srv, "juliet")
		e.write(resume)
		e.want(wantFailed("item-not-found", "1"))
		if n := srv.Offline("juliet"); n != 1 {
			t.Errorf("%d messages stored, want 1", n)
		}
		d.quiet()
	})
	t.Run("ended by the server", func(t *testing.T) {
		srv, c, d, resume := start(t)
		srv.StreamError(c.jid, StreamError{Condition: "policy-violation"})
		d.write(resume)
		d.want(wantFailed("item-not-found", "1"))
	})
	t.Run("played by hand", func(t *testing.T) {
		srv, _, d, resume := start(t)
		srv.Peer("juliet")
		d.write(resume)
		d.want(wantFailed("item-not-found", ""))
	})
}

func TestSMRestart(t *testing.T) {
	srv := newServer(t, Options{})
	srv.AddContact("juliet", Contact{JID: "romeo@example.test", Subscription: "both"})
	c := online(t, srv, "juliet", "x")
	id := c.enable("300")
	r := online(t, srv, "romeo", "x")
	old := r.enable("300")
	r.conn.Close()
	held(t, srv, r)
	waiting := dial(t, srv)
	srv.Restart()
	if _, err := c.read(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a session: %v, want a reset", err)
	}
	if _, err := waiting.conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a connection before the login: %v, want a reset", err)
	}
	if n := len(srv.Sessions(c.jid.Bare())) + len(srv.Sessions(r.jid.Bare())); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
	d := smAuth(t, srv, "juliet")
	for _, id := range []string{id, old} {
		d.write("<resume xmlns='urn:xmpp:sm:3' h='0' previd='" + id + "'/>")
		d.want(wantFailed("item-not-found", ""))
	}
	d.bind("x")
	d.write("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
	d.want("<iq type='result' id='r' from='*' to='*'><query xmlns='jabber:iq:roster' ver='*'><item jid='romeo@example.test' subscription='both'/></query></iq>")
}

func TestSMCut(t *testing.T) {
	srv := newServer(t, Options{})
	c := login(t, srv, "juliet", "x")
	id := c.enable("300")
	tell(t, srv, c, 1, 2)
	c.tells(1, 2)
	for _, kind := range []CutKind{CutReset, CutClose} {
		srv.Cut(StepResume, 1, kind, 10)
		d := smAuth(t, srv, "juliet")
		d.write("<resume xmlns='urn:xmpp:sm:3' h='1' previd='" + id + "'/>")
		d.ends(false)
		held(t, srv, c)
	}
	d := smAuth(t, srv, "juliet")
	d.resumes(c, id, 1, 0)
	d.tells(2, 2)
	if st := state(t, srv, c); st.Resumed != 3 {
		t.Errorf("%+v", st)
	}
	srv.Cut(StepEnable, 1, CutClose, 0)
	e := login(t, srv, "romeo", "x")
	e.write("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
	e.ends(false)
	held(t, srv, e)
}

func TestScriptAuth(t *testing.T) {
	srv := newServer(t, Options{})
	sc := mustScript(t, srv, "S!auth juliet\nC: <resume xmlns='urn:xmpp:sm:3' h='5' previd='x'/>\nS: <resumed xmlns='urn:xmpp:sm:3' h='1' previd='y'/>")
	c := smAuth(t, srv, "juliet")
	c.write("<resume xmlns='urn:xmpp:sm:3' h='5' previd='x'/>")
	c.want("<resumed xmlns='urn:xmpp:sm:3' h='1' previd='y'/>")
	c.conn.Close()
	<-sc.Done()
	if err := sc.Err(); err != nil {
		t.Error(err)
	}
	sc = mustScript(t, srv, "S!auth\nS!login juliet\nC: <presence/>")
	c = login(t, srv, "juliet", "x")
	c.write("<presence/>")
	<-sc.Done()
	if err := sc.Err(); err != nil {
		t.Error(err)
	}
}
