package xmpp_test

import (
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp/internal/testserver"
)

// TestInvalidateToken ends a token with the login that it is used for; the next one is with the password, and brings another.
func TestInvalidateToken(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{SASL2: true})
	s := newStream(t, configFor(srv, "alice"))
	for i, want := range []struct {
		token bool
		left  int
	}{{false, 1}, {true, 0}, {false, 1}, {true, 1}} {
		if i == 1 {
			s.InvalidateToken()
		}
		if err := s.Login(within(t, 5*time.Second)); err != nil {
			t.Fatal(err)
		}
		if got := s.Security().Token; got != want.token {
			t.Errorf("login %d with a token: %t", i, got)
		}
		if got := srv.Tokens("alice"); min(got, 1) != want.left {
			t.Errorf("after login %d the server takes %d tokens", i, got)
		}
		s.Disconnect()
	}
}
