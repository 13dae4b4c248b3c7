package xmpp_test

import (
	"errors"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testserver"
)

// Later logins use what was set, in place of what the stream was made with.
func TestSetCredentials(t *testing.T) {
	checkGoroutines(t)
	s := login(t, configFor(newServer(t, testserver.Options{}), "alice"))
	s.Disconnect()
	s.SetCredentials(xmpp.Password("another"))
	var ae *xmpp.AuthError
	if err := s.Login(within(t, 5*time.Second)); !errors.As(err, &ae) {
		t.Errorf("with another password: %v", err)
	}
	s.SetCredentials(nil)
	if err := s.Login(within(t, 5*time.Second)); err != nil {
		t.Errorf("with that of the configuration: %v", err)
	}
}
