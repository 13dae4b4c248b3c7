package testserver

import (
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp/sasl"
)

// smAuth goes as far as the features after the login, on a new connection.
func smAuth(t testing.TB, srv *Server, user string) *client {
	t.Helper()
	c := dial(t, srv)
	c.open()
	c.startTLS(nil)
	c.open()
	if err := c.auth(sasl.ScramSHA256(), user, "secret", ""); err != nil {
		t.Fatalf("auth: %v", err)
	}
	c.open()
	return c
}

// enable returns the id of the session.
func (c *client) enable(max string) string {
	c.t.Helper()
	c.write("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
	return c.want("<enabled xmlns='urn:xmpp:sm:3' id='{id}' resume='true' max='" + max + "'/>")["id"]
}

// resumes takes the session of another client over.
func (c *client) resumes(old *client, id string, h, want uint32) {
	c.t.Helper()
	c.jid = old.jid
	c.write(fmt.Sprintf("<resume xmlns='urn:xmpp:sm:3' previd='%s' h='%d'/>", id, h))
	c.want(fmt.Sprintf("<resumed xmlns='urn:xmpp:sm:3' previd='%s' h='%d'/>", id, want))
}

// handled asks for an acknowledgement.
func (c *client) handled(want uint32) {
	c.t.Helper()
	c.write("<r xmlns='urn:xmpp:sm:3'/>")
	c.want(fmt.Sprintf("<a xmlns='urn:xmpp:sm:3' h='%d'/>", want))
}

func (c *client) asked() { c.t.Helper(); c.want("<r xmlns='urn:xmpp:sm:3'/>") }

func (c *client) body(text string) {
	c.t.Helper()
	c.want("<message to='*' from='*' type='chat'><body>" + text + "</body></message>")
}

func chat(to, text string) string {
	return "<message to='" + to + "' type='chat'><body>" + text + "</body></message>"
}

// tell delivers numbered messages to a client.
func tell(t testing.TB, srv *Server, to *client, first, last int) {
	t.Helper()
	for i := first; i <= last; i++ {
		xml := fmt.Sprintf("<message to='%s' from='nurse@capulet.test' type='chat'><body>%d</body></message>", to.jid, i)
		if err := srv.Deliver(xml); err != nil {
			t.Fatal(err)
		}
	}
}

func (c *client) tells(first, last int) {
	c.t.Helper()
	for i := first; i <= last; i++ {
		c.body(fmt.Sprint(i))
	}
}

// state fails the test if there is no session.
func state(t testing.TB, srv *Server, c *client) SMState {
	t.Helper()
	st, ok := srv.SMState(c.jid)
	if !ok {
		t.Fatalf("%s has no session with stream management", c.jid)
	}
	return st
}

func wantFailed(cond, h string) string { return failed(cond, h) }

func TestSMEnable(t *testing.T) {
	t.Run("before binding", func(t *testing.T) {
		srv := newServer(t, Options{})
		c := smAuth(t, srv, "juliet")
		if child(c.features, "sm", nsSM) == nil {
			t.Errorf("features: %s", pretty(c.features))
		}
		c.write("<enable xmlns='urn:xmpp:sm:3'/>")
		c.want(wantFailed("unexpected-request", ""))
		c.bind("x")
		c.write("<enable xmlns='urn:xmpp:sm:3'/>")
		c.want("<enabled xmlns='urn:xmpp:sm:3'/>")
		if st := state(t, srv, c); st.ID != "" {
			t.Errorf("a session that was not to be resumable: %+v", st)
		}
	})
	t.Run("twice, and resuming a bound stream", func(t *testing.T) {
		srv := newServer(t, Options{})
		c := login(t, srv, "juliet", "x")
		id := c.enable("300")
		c.write("<enable xmlns='urn:xmpp:sm:3' resume='true'/><resume xmlns='urn:xmpp:sm:3' h='0' previd='" + id + "'/>")
		c.want(wantFailed("unexpected-request", ""))
		c.want(wantFailed("unexpected-request", ""))
		c.quiet()
	})
	t.Run("switched off", func(t *testing.T) {
		srv := newServer(t, Options{NoSM: true})
		c := login(t, srv, "juliet", "x")
		if child(c.features, "sm", nsSM) != nil {
			t.Errorf("features: %s", pretty(c.features))
		}
		c.write("<enable xmlns='urn:xmpp:sm:3'/>")
		c.want(wantStreamError("unsupported-stanza-type"))
	})
	for _, tt := range []struct {
		name         string
		o            SMOptions
		enable, want string
	}{
		{"location", SMOptions{Location: "[2001:db8::1]:5222", Max: time.Minute}, "resume='1'",
			"<enabled xmlns='urn:xmpp:sm:3' id='*' resume='true' max='60' location='[2001:db8::1]:5222'/>"},
		{"less", SMOptions{}, "resume='true' max='7'", "<enabled xmlns='urn:xmpp:sm:3' id='*' resume='true' max='7'/>"},
		{"more", SMOptions{}, "resume='true' max='7000'", "<enabled xmlns='urn:xmpp:sm:3' id='*' resume='true' max='300'/>"},
		{"a fraction", SMOptions{Max: 100 * time.Millisecond}, "resume='true'", "<enabled xmlns='urn:xmpp:sm:3' id='*' resume='true' max='1'/>"},
		{"never resumable", SMOptions{Max: -1}, "resume='true'", "<enabled xmlns='urn:xmpp:sm:3'/>"},
		{"refused", SMOptions{RefuseEnable: true}, "resume='true'", wantFailed("internal-server-error", "")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := login(t, newServer(t, Options{SM: tt.o}), "juliet", "x")
			c.write("<enable xmlns='urn:xmpp:sm:3' " + tt.enable + "/>")
			c.want(tt.want)
			c.quiet()
		})
	}
}

func TestSMCount(t *testing.T) {
	srv := newServer(t, Options{})
	c := online(t, srv, "juliet", "x") // none of this counts
	c.enable("300")
	c.handled(0)
	tell(t, srv, c, 1, 4)
	c.tells(1, 4)
	c.write(" \n<a xmlns='urn:xmpp:sm:3' h='2'/><a xmlns='urn:xmpp:sm:3' h='2'/>")
	c.handled(0)
	if st := state(t, srv, c); st.Acked != 2 || len(st.Unacked) != 2 || st.Held {
		t.Errorf("2 of 4 acknowledged: %+v", st)
	}
	tell(t, srv, c, 5, 5)
	c.tells(5, 5)
	c.asked() // after 5
	c.write("<presence/><message/>")
	c.want("<presence to='*' from='*'/>")
	c.body1()
	c.handled(2)
	if err := srv.SendRaw(c.jid, []byte("<message type='chat'><body>raw</body></message><a xmlns='urn:xmpp:sm:3' h='2'/> <presence from='x'/><iq")); err != nil {
		t.Fatal(err)
	}
	if st := state(t, srv, c); len(st.Unacked) != 7 || st.Unacked[6] != "<presence from='x'/>" {
		t.Errorf("bytes sent raw: %d %q", len(st.Unacked), st.Unacked)
	}
}

// body1 reads the message that a client has sent to itself.
func (c *client) body1() { c.t.Helper(); c.want("<message to='*' from='*'/>") }

func TestSMAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, Options{SM: SMOptions{AckDelay: time.Minute, RequestEvery: -1}})
		c := login(t, srv, "juliet", "x")
		c.enable("300")
		start := time.Now()
		c.write("<message to='romeo@example.test'/><r xmlns='urn:xmpp:sm:3'/>")
		time.Sleep(30 * time.Second)
		c.write("<message to='romeo@example.test'/>")
		c.raw.SetReadDeadline(time.Now().Add(time.Hour))
		if e, err := c.dec.Next(); err != nil || attr(e, "h") != "2" || time.Since(start) != time.Minute {
			t.Errorf("after %v: %s, %v", time.Since(start), pretty(e), err)
		}
		srv.SetSM(SMOptions{NoAcks: true, RequestEvery: -1})
		c.write("<r xmlns='urn:xmpp:sm:3'/>")
		tell(t, srv, c, 1, 20)
		c.tells(1, 20)
		c.quiet()
		srv.SetSM(SMOptions{RequestEvery: 1})
		c.handled(3)
		tell(t, srv, c, 1, 1)
		c.tells(1, 1)
		c.asked()
		c.write("<message to='romeo@example.test'/></stream:stream>")
		c.want("<a xmlns='urn:xmpp:sm:3' h='4'/>") // news, before the end
		c.ends(true)
	})
}

func TestSMTooHigh(t *testing.T) {
	tooHigh := func(h, sent string) string {
		return "<stream:error><undefined-condition xmlns='" + nsStreamErrors + "'/><text xmlns='" + nsStreamErrors + "' xml:lang='en'>*</text>" +
			"<handled-count-too-high xmlns='urn:xmpp:sm:3' h='" + h + "' send-count='" + sent + "'/></stream:error>"
	}
	for _, h := range []string{"3", "4294967295"} {
		t.Run("a "+h, func(t *testing.T) {
			srv := newServer(t, Options{})
			c := login(t, srv, "juliet", "x")
			id := c.enable("300")
			tell(t, srv, c, 1, 2)
			c.tells(1, 2)
			c.write("<a xmlns='urn:xmpp:sm:3' h='" + h + "'/>")
			c.want(tooHigh(h, "2"))
			c.ends(true)
			c.conn.Close()
			c = smAuth(t, srv, "juliet")
			c.write("<resume xmlns='urn:xmpp:sm:3' h='0' previd='" + id + "'/>")
			c.want(wantFailed("item-not-found", "0")) // a stream error ends the session
		})
	}
	t.Run("resume", func(t *testing.T) {
		srv := newServer(t, Options{})
		c := login(t, srv, "juliet", "x")
		id := c.enable("300")
		c.conn.Close()
		d := smAuth(t, srv, "juliet")
		d.write("<resume xmlns='urn:xmpp:sm:3' h='1' previd='" + id + "'/>")
		d.want(tooHigh("1", "0"))
		d.ends(true)
		if got := srv.Sessions(c.jid); len(got) != 0 {
			t.Errorf("%d sessions, want none", len(got))
		}
	})
	for _, h := range []string{"", "-1", "1.5", "0x5", "+1", "4294967296", "٣"} {
		t.Run("no number "+h, func(t *testing.T) {
			c := login(t, newServer(t, Options{}), "juliet", "x")
			c.enable("300")
			c.write("<a xmlns='urn:xmpp:sm:3' h='" + h + "'/>")
			c.want(wantStreamError("bad-format"))
			d := smAuth(t, c.srv, "juliet")
			d.write("<resume xmlns='urn:xmpp:sm:3' previd='x' h='" + h + "'/>")
			d.want(wantStreamError("bad-format"))
			if _, err := d.read(); err != io.EOF {
				t.Errorf("after the error: %v", err)
			}
		})
	}
}
