package reconnect_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/internal/testkit"
	"github.com/go-xmppframework/xmpp/modules/reconnect"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// comeBack has a component log in a second time while its connection of before is held, which is gone once the server has said so.
// It returns what the server has said.
func comeBack(t *testing.T, cfg xmpp.Config) (refused error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	var streams [2]*xmpp.Stream
	for i := range streams {
		s, err := xmpp.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		streams[i] = s
		defer s.Disconnect()
	}
	before, s := streams[0], streams[1]
	if err := before.Login(ctx); err != nil {
		t.Fatal(err)
	}
	r := reconnect.New(reconnect.Config{LaterDelay: 200 * time.Millisecond, Policy: func(err error, _ int) reconnect.Decision {
		if refused == nil {
			refused = err
			before.Disconnect()
		}
		return reconnect.PolicyFor(err)
	}})
	if err := errors.Join(r.Activate(s), r.Login(ctx)); err != nil {
		t.Errorf("Login: %v", err)
	}
	if err := s.Close(ctx); err != nil {
		t.Errorf("Close: %v", err)
	}
	return refused
}

// TestRel_ComponentHeld: a component whose connection was lost comes back, though the server does not let it in as long as it holds the one before.
func TestRel_ComponentHeld(t *testing.T) {
	testkit.Goroutines(t)
	synctest.Test(t, func(t *testing.T) {
		srv := xmpptest.NewServer(t)
		c := srv.AddComponent("echo.example.test", "secret")
		err := comeBack(t, xmpp.Config{
			Component: true, JID: xmpp.MustParseJID("echo.example.test"), Credentials: xmpp.Password("secret"), Host: "127.0.0.1", Port: 5347, Dial: c.Dial,
		})
		if !errors.Is(err, &xmpp.StreamError{Condition: "conflict"}) {
			t.Errorf("refused with %v", err)
		}
	})
}

// TestIntegrationComponentHeld: Prosody says conflict, ejabberd takes both.
func TestIntegrationComponentHeld(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		err := comeBack(t, xmpp.Config{
			Component: true, JID: xmpp.MustParseJID(integration.ComponentFull), Credentials: xmpp.Password(integration.ComponentSecret),
			Host: "127.0.0.1", Port: int(srv.Port(integration.Component)),
		})
		prosody := srv.Kind.IsProsody()
		if got := errors.Is(err, &xmpp.StreamError{Condition: "conflict"}); got != prosody || !prosody && err != nil {
			t.Errorf("refused with %v", err)
		}
	})
}
