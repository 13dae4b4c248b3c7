package integration

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// Config is how an account logs in at the server: with STARTTLS, on a stream of its own.
func (s *Server) Config(address, password string) xmpp.Config {
	return xmpp.Config{
		JID: xmpp.MustParseJID(address), Credentials: xmpp.Password(password),
		Host: "127.0.0.1", Port: int(s.Port(STARTTLS)), RootCAs: s.Roots(),
	}
}

// Client logs a new account of the domain [Full] in. setup gets the stream before it connects: modules and delegates belong there.
// The stream is closed when the test ends.
func (s *Server) Client(t testing.TB, setup ...func(*xmpp.Stream)) *xmpp.Stream {
	t.Helper()
	return s.ClientAt(t, Full, setup...)
}

// ClientAt is Client with an account of another domain.
func (s *Server) ClientAt(t testing.TB, domain string, setup ...func(*xmpp.Stream)) *xmpp.Stream {
	t.Helper()
	return s.Login(t, s.Config(s.NewAccountAt(t, domain)), setup...)
}

// Login makes a stream and logs it in, within 20 s, and waits until the server has taken its presence: what others send to the account before that may be kept
// for a client that is to come. setup and the end are as with Client.
func (s *Server) Login(t testing.TB, cfg xmpp.Config, setup ...func(*xmpp.Stream)) *xmpp.Stream {
	t.Helper()
	stream, err := xmpp.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stream.Close(context.Background()) })
	for _, f := range setup {
		f(stream)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := stream.Login(ctx); err != nil {
		t.Fatalf("%s at %s: %v", cfg.JID, s.Kind, err)
	}
	refusal := (*stanza.Error)(nil)
	if _, err := stream.SendIQ(ctx, stanza.NewIQ(stanza.Get, xmpp.JID{}, stanza.New("ping", "urn:xmpp:ping"))); err != nil && !errors.As(err, &refusal) {
		t.Fatalf("%s at %s, after the login: %v", cfg.JID, s.Kind, err)
	}
	return stream
}
