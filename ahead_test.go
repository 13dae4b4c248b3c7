package xmpp_test

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp/internal/testserver"
	"github.com/go-xmppframework/xmpp/modules/sm"
)

// tripConn counts the round trips of a connection: as often as something is written after something was read.
type tripConn struct {
	net.Conn
	trips *atomic.Int32
	heard atomic.Bool
}

func (c *tripConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.heard.Store(true)
	}
	return n, err
}

func (c *tripConn) Write(p []byte) (int, error) {
	if c.heard.Swap(false) {
		c.trips.Add(1)
	}
	return c.Conn.Write(p)
}

// TestRoundTrips counts what a login takes, from the connection being there to the session, over direct TLS: one round trip is TLS's.
func TestRoundTrips(t *testing.T) {
	checkGoroutines(t)
	for _, tt := range []struct {
		name                     string
		sasl2, bind2, pipelining bool
		resume                   bool
		version                  string
		first, second            int
	}{
		{name: "classic", first: 6, second: 6},
		{name: "classic, pipelining", pipelining: true, first: 5, second: 4},
		{name: "SASL2", sasl2: true, first: 5, second: 4},
		{name: "SASL2 and Bind 2", sasl2: true, bind2: true, first: 4, second: 3},
		{name: "SASL2 and Bind 2, pipelining", sasl2: true, bind2: true, pipelining: true, first: 4, second: 2},
		{name: "SASL2 and a session that goes on", sasl2: true, bind2: true, resume: true, first: 4, second: 3},
		{name: "SASL2 and a session that goes on, pipelining", sasl2: true, bind2: true, pipelining: true, resume: true, first: 4, second: 2},
		{name: "by version", sasl2: true, bind2: true, version: "1", first: 4, second: 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := newServer(t, testserver.Options{SASL2: tt.sasl2, Login: testserver.LoginOptions{ConfigVersion: tt.version}})
			cfg := configFor(srv, "alice")
			cfg.DirectTLS, cfg.Port, cfg.Host = true, 5223, "server.invalid"
			cfg.Pipelining, cfg.Bind2 = tt.pipelining, tt.bind2
			var conn *tripConn
			var trips atomic.Int32
			dial := cfg.Dial
			cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				nc, err := dial(ctx, network, addr)
				if err != nil {
					return nil, err
				}
				trips.Store(0)
				conn = &tripConn{Conn: nc, trips: &trips}
				conn.heard.Store(true)
				return conn, nil
			}
			s := newStream(t, cfg)
			if tt.resume {
				if err := sm.New(sm.Config{}).Activate(s); err != nil {
					t.Fatal(err)
				}
			}
			for i, want := range []int{tt.first, tt.second} {
				if err := s.Login(within(t, 5*time.Second)); err != nil {
					t.Fatal(err)
				}
				sec := s.Security()
				if sec.RoundTrips != want {
					t.Errorf("login %d took %d round trips, want %d: %s", i+1, sec.RoundTrips, want, sec)
				}
				if sec.Resumed != (tt.resume && i > 0) || sec.Token != (tt.sasl2 && i > 0) {
					t.Errorf("login %d: %+v", i+1, sec)
				}
				if got := int(trips.Load()); got < want || got > want+1 { // the presence after it may be on its way
					t.Errorf("login %d: %d round trips on the wire, %d by Security", i+1, got, want)
				}
				if tt.resume {
					s.Fail(errByTest)
				} else {
					s.Disconnect()
				}
			}
		})
	}
}

// TestAheadFails begins logins by an offer that is not made any more, or with a token that is not good any more: they succeed all the same.
func TestAheadFails(t *testing.T) {
	checkGoroutines(t)
	for name, change := range map[string]func(*testserver.Server){
		"token revoked":   func(srv *testserver.Server) { srv.RevokeTokens("alice") },
		"token expired":   func(srv *testserver.Server) { srv.ExpireTokens("alice") },
		"another version": func(srv *testserver.Server) { srv.SetConfigVersion("2") },
		"both": func(srv *testserver.Server) {
			srv.RevokeTokens("alice")
			srv.SetConfigVersion("2")
		},
		"cut": func(srv *testserver.Server) { srv.Cut(testserver.StepSuccess, 1, testserver.CutReset, 0) },
	} {
		for _, noFAST := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				srv := newServer(t, testserver.Options{SASL2: true, Login: testserver.LoginOptions{ConfigVersion: "1"}})
				cfg := configFor(srv, "alice")
				cfg.Pipelining, cfg.NoFAST = true, noFAST
				s := newStream(t, cfg)
				for i := range 3 {
					if err := s.Login(within(t, 5*time.Second)); err != nil {
						t.Fatalf("login %d: %v", i, err)
					}
					s.Disconnect()
					if i == 0 {
						change(srv)
					}
				}
			})
		}
	}
}
