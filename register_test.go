package xmpp_test

import (
	"context"
	"errors"
	"regexp"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// registerEvents notes what a RegisterDelegate is told.
type registerEvents chan error

func (r registerEvents) DidRegister(context.Context, *xmpp.Stream)                 { r <- nil }
func (r registerEvents) DidNotRegister(_ context.Context, _ *xmpp.Stream, e error) { r <- e }

// TestRegister asks for an account before the login: a refusal leaves the stream connected, and then it is made, and logged in with.
func TestRegister(t *testing.T) {
	checkGoroutines(t)
	raw := newRawServer(t, func(c *rawConn) {
		c.open(offerSASL("ANONYMOUS"))
		id := func(before string) string {
			return regexp.MustCompile(`<iq[^>]* id=.([^'"]*)`).FindStringSubmatch(before)[1]
		}
		first := id(c.wait("<username>juliet</username></query></iq>"))
		c.say("<iq type='error' id='" + first + "'><error type='cancel'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>")
		c.say("<iq type='result' id='" + id(c.wait("<username>juliet2</username></query></iq>")) + "'/>")
		c.auth()
		c.say("<message/>")
	})
	events := make(registerEvents, 2)
	s := newStream(t, raw.plainConfig(), xmpp.Delegate{Register: events})
	query := func(user string) stanza.Elementer {
		return stanza.New("query", "jabber:iq:register").C("username").T(user).Up()
	}
	if err := s.Register(t.Context(), query("juliet")); !errors.Is(err, xmpp.ErrInvalidState) {
		t.Errorf("not connected: %v", err)
	}
	if err := s.Connect(within(t, 5*time.Second)); err != nil {
		t.Fatal(err)
	}
	if err := s.Register(t.Context(), query("juliet")); !errors.Is(err, stanza.Conflict) || !s.IsConnected() {
		t.Errorf("taken: %v, %v", err, s.State())
	}
	if err := s.Register(t.Context(), query("juliet2")); err != nil || !s.IsConnected() {
		t.Errorf("free: %v, %v", err, s.State())
	}
	if err := soon(t, events, time.Second, "DidNotRegister"); !errors.Is(err, stanza.Conflict) {
		t.Errorf("DidNotRegister was told %v", err)
	}
	if err := soon(t, events, time.Second, "DidRegister"); err != nil {
		t.Errorf("DidRegister: %v", err)
	}
	if _, err := s.SendIQBeforeLogin(t.Context(), stanza.NewIQ(stanza.Result, xmpp.JID{}, nil)); !errors.Is(err, xmpp.ErrInvalidParameter) {
		t.Errorf("no request: %v", err)
	}
}

// TestRegisterInClear sends nothing over an unencrypted connection.
func TestRegisterInClear(t *testing.T) {
	checkGoroutines(t)
	raw := newRawServer(t, func(c *rawConn) { c.open(offerSASL("ANONYMOUS")) })
	cfg := raw.plainConfig()
	cfg.TLSPolicy = xmpp.TLSRequired
	s := newStream(t, cfg)
	_ = s.Connect(within(t, 5*time.Second))
	if err := s.Register(t.Context(), stanza.New("query", "jabber:iq:register")); err == nil {
		t.Error("registered in clear text")
	}
}
