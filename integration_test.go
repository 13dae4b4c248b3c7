package xmpp_test

import (
	"context"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/stanza"
)

func realConfig(t *testing.T, srv *integration.Server, domain string, port integration.Port) xmpp.Config {
	t.Helper()
	addr, pw := srv.NewAccountAt(t, domain)
	host, p, err := net.SplitHostPort(srv.Addr(port))
	if err != nil {
		t.Fatal(err)
	}
	n, _ := strconv.Atoi(p)
	return xmpp.Config{
		JID: xmpp.MustParseJID(addr), Credentials: xmpp.Password(pw), RootCAs: srv.Roots(),
		Host: host, Port: n, DirectTLS: port == integration.DirectTLS,
	}
}

func TestIntegrationSmoke(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		for _, domain := range []string{integration.Full, integration.Lean, integration.Hashed} {
			for _, port := range []integration.Port{integration.STARTTLS, integration.DirectTLS} {
				a, err := xmpp.New(realConfig(t, srv, domain, port))
				if err != nil {
					t.Fatal(err)
				}
				got := make(chan string, 1)
				a.AddDelegate(xmpp.Delegate{Message: xmpp.MessageFunc(func(ctx context.Context, s *xmpp.Stream, m *stanza.Message) { got <- m.Body() })})
				start := time.Now()
				if err := a.Login(ctx); err != nil {
					t.Fatal(domain, port, err)
				}
				cs, _ := a.ConnectionState()
				t.Log(domain, port, a.MyJID(), time.Since(start), cs.Version)
				if err := a.Send(ctx, stanza.NewMessage(stanza.Chat, a.MyJID(), "héllo <&>")); err != nil {
					t.Fatal(err)
				}
				if g := <-got; g != "héllo <&>" {
					t.Error(g)
				}
				_, err = a.SendIQ(ctx, stanza.NewIQ(stanza.Get, xmpp.JID{}, stanza.New("query", "jabber:iq:roster")))
				if err != nil {
					t.Error(err)
				}
				if err := a.Close(ctx); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}
