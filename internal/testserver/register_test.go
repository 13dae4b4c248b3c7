package testserver

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/internal/xmlstream"
	"github.com/go-xmppframework/xmpp/sasl"
)

const regOpen = "<query xmlns='jabber:iq:register'>"

// stranger is a client that has no account.
func stranger(t testing.TB, srv *Server) *client {
	t.Helper()
	c := dial(t, srv)
	c.open()
	if child(c.features, "register", nsRegisterFeature) != nil {
		t.Error("the registration is offered in clear text")
	}
	c.startTLS(nil)
	c.open()
	return c
}

// put sends a request and returns its answer; cond is empty for a result.
func (c *client) put(typ, payload string) (answer *etree.Element, cond string) {
	c.t.Helper()
	c.write("<iq type='" + typ + "' id='r'>" + payload + "</iq>")
	e := c.next()
	if attr(e, "id") != "r" {
		c.t.Fatalf("got %s", pretty(e))
	}
	if x := child(e, "error", nsClient); x != nil {
		return e, x.ChildElements()[0].Tag
	}
	return e, ""
}

func (c *client) refused(cond, payload string) {
	c.t.Helper()
	if _, got := c.put("set", payload); got != cond {
		c.t.Errorf("%s: got %q, want %q", payload, got, cond)
	}
}

func TestRegister(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, Options{Registration: &Registration{Fields: []string{"email"}, Instructions: "Hi."}})
		c := stranger(t, srv)
		if child(c.features, "register", nsRegisterFeature) == nil || child(c.features, "register", nsTokens) == nil {
			t.Errorf("features: %s", pretty(c.features))
		}
		c.write("<iq type='get' id='1'><query xmlns='jabber:iq:register'/></iq>")
		c.want("<iq type='result' id='1' from='example.test'>" + regOpen + "<instructions>Hi.</instructions><username/><password/><email/></query></iq>")
		c.refused("conflict", regOpen+"<username>Juliet</username><password>x</password><email>x</email></query>")
		c.refused("not-acceptable", regOpen+"<username>nurse</username><password>x</password></query>")
		c.refused("not-acceptable", regOpen+"<username>a@b</username><password>x</password><email>x</email></query>")
		c.refused("not-acceptable", regOpen+"<x xmlns='jabber:x:data' type='submit'/></query>")
		c.refused("unexpected-request", regOpen+"<remove/></query>")
		c.refused("", regOpen+"<username>nurse</username><password>secret</password><email>x</email></query>")
		if !srv.HasAccount("nurse") {
			t.Fatal("there is no account")
		}
		if err := c.auth(sasl.ScramSHA256(), "nurse", "secret", ""); err != nil {
			t.Fatal(err)
		}
		c.open()
		c.bind("x")

		if e, cond := c.put("get", "<query xmlns='jabber:iq:register'/>"); cond != "" || child(e.ChildElements()[0], "registered", nsRegister) == nil {
			t.Errorf("logged in: %s", pretty(e))
		}
		c.refused("bad-request", regOpen+"<username>nurse</username><password/></query>")
		c.refused("not-allowed", regOpen+"<username>juliet</username><password>other</password></query>")
		c.refused("", regOpen+"<username>nurse</username><password>other</password></query>")
		c.refused("bad-request", regOpen+"<remove/><username>nurse</username></query>")
		if again := stranger(t, srv); again.auth(sasl.ScramSHA256(), "nurse", "secret", "") == nil {
			t.Error("the old password is good")
		}
		if again := stranger(t, srv); again.auth(sasl.ScramSHA256(), "nurse", "other", "") != nil {
			t.Error("the new password is not")
		}
		c.refused("", regOpen+"<remove/></query>")
		if e := c.next(); !is(e, "error", nsStreams) || child(e, "not-authorized", nsStreamErrors) == nil {
			t.Errorf("got %s", pretty(e))
		}
		if _, err := c.read(); err != io.EOF || srv.HasAccount("nurse") {
			t.Errorf("after the removal: %v, %v", err, srv.HasAccount("nurse"))
		}
	})
}

func TestRegisterOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := stranger(t, newServer(t, Options{}))
		if child(c.features, "register", nsRegisterFeature) != nil {
			t.Error("it is offered")
		}
		c.write("<iq type='get' id='1'><query xmlns='jabber:iq:register'/></iq>")
		if e := c.next(); !is(e, "error", nsStreams) {
			t.Errorf("got %s", pretty(e))
		}
	})
}

func TestRegisterForm(t *testing.T) {
	submit := func(fields string) string {
		return regOpen + "<x xmlns='jabber:x:data' type='submit'><field var='username'><value>nurse</value></field><field var='password'><value>secret</value></field>" + fields + "</x></query>"
	}
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, Options{Registration: &Registration{CAPTCHA: "7nHL3"}})
		c := stranger(t, srv)
		e, _ := c.put("get", "<query xmlns='jabber:iq:register'/>")
		q := child(e, "query", nsRegister)
		x, data := child(q, "x", nsForms), child(q, "data", nsBoB)
		if x == nil || data == nil || !strings.Contains(pretty(x), "cid:"+attr(data, "cid")) {
			t.Errorf("got %s", pretty(e))
		}
		c.refused("not-acceptable", regOpen+"<username>nurse</username><password>secret</password></query>")
		c.refused("not-acceptable", submit("<field var='ocr'><value>wrong</value></field>"))
		c.refused("bad-request", strings.Replace(submit(""), "<x ", "<username>nurse</username><x ", 1))
		c.refused("", submit("<field var='ocr'><value>7nHL3</value></field>"))
		if !srv.HasAccount("nurse") {
			t.Error("there is no account")
		}
	})
	synctest.Test(t, func(t *testing.T) {
		c := stranger(t, newServer(t, Options{Registration: &Registration{URL: "https://example.test/join"}}))
		c.write("<iq type='get' id='1'><query xmlns='jabber:iq:register'/></iq>")
		c.want("<iq type='result' id='1' from='example.test'>" + regOpen + "<instructions>*</instructions><x xmlns='jabber:x:oob'><url>https://example.test/join</url></x></query></iq>")
		c.refused("not-allowed", regOpen+"<username>nurse</username><password>secret</password></query>")
	})
	synctest.Test(t, func(t *testing.T) {
		c := login(t, newServer(t, Options{Registration: &Registration{PasswordForm: true, RemoveByError: true}}), "juliet", "x")
		e, cond := c.put("set", regOpen+"<username>juliet</username><password>other</password></query>")
		if cond != "not-authorized" || child(child(e, "query", nsRegister), "x", nsForms) == nil {
			t.Errorf("got %s", pretty(e))
		}
		change := func(old string) string {
			return regOpen + "<x xmlns='jabber:x:data' type='submit'><field var='username'><value>juliet</value></field><field var='password'><value>other</value></field><field var='old_password'><value>" + old + "</value></field></x></query>"
		}
		c.refused("not-authorized", change("wrong"))
		c.refused("", change("secret"))
		c.write("<iq type='set' id='r'>" + regOpen + "<remove/></query></iq>")
		if e := c.next(); !is(e, "error", nsStreams) {
			t.Errorf("got %s", pretty(e))
		}
	})
}

func TestInvitations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, Options{Registration: &Registration{InviteOnly: true}})
		juliet := online(t, srv, "juliet", "balcony")
		juliet.write("<iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>")
		juliet.next()
		inv, err := srv.Invite("juliet")
		if err != nil {
			t.Fatal(err)
		}
		if want := "xmpp:juliet@example.test?roster;preauth=" + inv.Token + ";ibr=y"; inv.Roster != want {
			t.Errorf("got %s, want %s", inv.Roster, want)
		}
		nurse := regOpen + "<username>nurse</username><password>secret</password></query>"
		token := func(t string) string { return "<preauth xmlns='urn:xmpp:pars:0' token='" + t + "'/>" }
		c := stranger(t, srv)
		c.refused("not-allowed", nurse)
		c.refused("bad-request", token(""))
		c.refused("item-not-found", token("wrong"))
		c.refused("", token(inv.Token))
		c.refused("", nurse)
		juliet.want("<iq type='set' id='*' from='juliet@example.test' to='juliet@example.test/balcony'><query xmlns='jabber:iq:roster' ver='*'><item jid='nurse@example.test' subscription='both'/></query></iq>")
		stranger(t, srv).refused("item-not-found", token(inv.Token))
		if err := c.auth(sasl.ScramSHA256(), "nurse", "secret", ""); err != nil {
			t.Fatal(err)
		}
		c.open()
		c.bind("x")
		c.write("<presence/>")
		c.next()
		c.want("<presence from='juliet@example.test/balcony' to='" + c.jid.String() + "'/>")

		// Who has an account becomes a contact.
		inv, err = srv.Invite("juliet")
		if err != nil {
			t.Fatal(err)
		}
		for range 1 { // nurse's presence
			juliet.next()
		}
		romeo := online(t, srv, "romeo", "x")
		romeo.write("<presence type='subscribe' to='juliet@example.test'>" + token(inv.Token) + "</presence>")
		romeo.write("<presence type='subscribed' to='juliet@example.test'/>")
		synctest.Wait()
		for _, who := range []string{"juliet", "romeo"} {
			srv.mu.Lock()
			for _, it := range srv.accounts[who].sorted() {
				if it.jid.Local() != "nurse" && it.subscription() != "both" {
					t.Errorf("%s: %s is %s", who, it.jid, it.subscription())
				}
			}
			srv.mu.Unlock()
		}
		if _, err := srv.Invite("nobody"); err == nil {
			t.Error("nobody has invited")
		}
		romeo.write(xmlstream.Footer)
	})
}
