package reconnect_test

import (
	"context"
	"errors"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/reconnect"
	"github.com/go-xmppframework/xmpp/stanza"
)

// TestIntegrationKilled: a real server is killed and started again; the stream is back, with a new session on which stanzas are answered.
func TestIntegrationKilled(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		addr, password := srv.NewAccount(t)
		host, port, err := net.SplitHostPort(srv.Addr(integration.STARTTLS))
		if err != nil {
			t.Fatal(err)
		}
		n, _ := strconv.Atoi(port)
		s, err := xmpp.New(xmpp.Config{JID: xmpp.MustParseJID(addr), Credentials: xmpp.Password(password), Host: host, Port: n, RootCAs: srv.Roots()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close(context.Background()) })
		// A killed ejabberd may have forgotten the account; it is made again a moment after the server is back.
		r := reconnect.New(reconnect.Config{InitialDelay: 100 * time.Millisecond, MaxDelay: time.Second, ResetAfter: -1, Policy: func(err error, _ int) reconnect.Decision {
			if errors.Is(err, xmpp.NotAuthorized) {
				return reconnect.Decision{}
			}
			return reconnect.PolicyFor(err)
		}})
		lost, back := make(chan time.Time, 10), make(chan xmpp.SessionKind, 10)
		r.AddDelegate(reconnect.Delegate{Outage: outages{lost, back}}, nil)
		if err := r.Activate(s); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		if err := s.Login(ctx); err != nil {
			t.Fatal(err)
		}
		for _, kill := range []bool{true, false} {
			killed := time.Now()
			srv.Restart(t, kill)
			up := time.Now()
			if d := (<-lost).Sub(killed); kill && d > time.Second {
				t.Errorf("the loss was told after %v", d)
			}
			select {
			case kind := <-back:
				if kind != xmpp.SessionNew {
					t.Errorf("the session is of kind %v", kind)
				}
			case <-time.After(15 * time.Second):
				t.Fatal("not back")
			}
			t.Logf("killed %v: back %v after the server", kill, time.Since(up).Round(time.Millisecond))
			if _, err := s.SendIQ(ctx, stanza.NewIQ(stanza.Get, xmpp.JID{}, stanza.New("query", "jabber:iq:roster"))); err != nil {
				t.Error(err)
			}
		}
	})
}

type outages struct {
	lost chan time.Time
	back chan xmpp.SessionKind
}

func (o outages) ReconnectDidDetectAccidentalDisconnect(context.Context, *reconnect.Reconnect, error) {
	o.lost <- time.Now()
}
func (o outages) ReconnectDidReconnect(_ context.Context, _ *reconnect.Reconnect, kind xmpp.SessionKind) {
	o.back <- kind
}
func (o outages) ReconnectDidGiveUp(context.Context, *reconnect.Reconnect, error) {}
