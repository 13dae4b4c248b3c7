package reconnect_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/reconnect"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// atAttempt is a log handler that runs a function when an attempt has been decided on and is about to begin.
type atAttempt struct{ run func() }

func (atAttempt) Enabled(context.Context, slog.Level) bool { return true }
func (h atAttempt) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "reconnect: attempt" {
		h.run()
	}
	return nil
}
func (h atAttempt) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h atAttempt) WithGroup(string) slog.Handler      { return h }

// slow holds up what the module hears.
type slow struct{}

func (slow) WasToldToDisconnect(context.Context, *xmpp.Stream)        { time.Sleep(10 * time.Second) }
func (slow) DidSendClosingStreamStanza(context.Context, *xmpp.Stream) {}

// TestDisconnectAtAttempt: the application disconnects in the moment in which an attempt begins, and the module hears of it only after the attempt has succeeded.
func TestDisconnectAtAttempt(t *testing.T) {
	for name, again := range map[string]bool{"disconnects": false, "and logs in": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv, r := xmpptest.NewServer(t), reconnect.New(reconnect.Config{})
				var s *xmpp.Stream
				cfg := srv.Config("juliet")
				cfg.Logger = slog.New(atAttempt{func() {
					s.Disconnect()
					if again {
						if err := s.Login(context.Background()); err != nil {
							t.Error(err)
						}
					}
				}})
				s, err := xmpp.New(cfg)
				if err != nil {
					t.Fatal(err)
				}
				s.AddDelegate(xmpp.Delegate{Queue: r.Queue(), Disconnect: slow{}})
				if err := errors.Join(r.Activate(s), s.Login(t.Context())); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				srv.Kill(s.MyJID())
				time.Sleep(time.Minute)
				synctest.Wait()
				if n := len(srv.Sessions("juliet")); s.IsAuthenticated() != again || r.IsArmed() != again || r.IsReconnecting() || n != 0 && !again {
					t.Errorf("logged in %v, armed %v, reconnecting %v, %d sessions", s.IsAuthenticated(), r.IsArmed(), r.IsReconnecting(), n)
				}
				s.Disconnect()
				time.Sleep(time.Minute)
			})
		})
	}
}

// TestCaptivePortal: a wrong certificate is what a portal shows; the attempts are rare until somebody has logged in there.
func TestCaptivePortal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var caught atomic.Bool
		g := newRig(t, reconnect.Config{}, func(c *xmpp.Config) {
			c.TLS = func(tc *tls.Config) {
				if caught.Load() {
					tc.RootCAs = x509.NewCertPool() // its certificate is by nobody we know
				}
			}
		})
		g.login(t)
		caught.Store(true)
		g.lose()
		time.Sleep(time.Hour)
		if n := strings.Count(g.e.take(), "failed"); n < 59 || n > 101 {
			t.Errorf("%d attempts in an hour", n)
		}
		caught.Store(false)
		time.Sleep(time.Minute)
		g.up(t)
	})
}
