package compat

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// way is how a client gets to a server.
type way string

const (
	startTLS  way = "STARTTLS"
	directTLS way = "direct TLS"
	webSocket way = "WebSocket"
	bosh      way = "BOSH"
)

var ways = []way{startTLS, directTLS, webSocket, bosh}

// over is what Security calls it.
func (w way) over() string {
	if w == startTLS {
		return "TCP"
	}
	return string(w)
}

// site is a server to measure.
type site struct {
	name string // the head of its column
	// account makes an account at a domain of internal/integration.
	account func(domain string) (xmpp.JID, string)
	// config leads to it, without credentials; cert is for who logs in by certificate.
	config func(w way, jid xmpp.JID, cert bool) xmpp.Config
	cert   func(jid xmpp.JID) tls.Certificate
	// token makes an OAuth token. Real servers get one that is none: there is nobody who gives them out.
	token func(jid xmpp.JID) string
	// component is where components connect: Config.JID, Host, Port and RootCAs, and the secret; strange is a name that nobody has told the server of.
	component func() (xmpp.Config, string)
	strange   string
	old       bool // there are digestDomain and passwordDomain
	// redirect has the next login at a domain sent to elsewhere, if there is a way to have the server do that.
	redirect func(w way) (domain string)
}

var siteNames = map[integration.Kind]string{
	integration.Prosody: "Prosody 0.12", integration.Prosody13: "Prosody 13",
	integration.Ejabberd: "ejabberd 23", integration.Ejabberd26: "ejabberd 26",
}

// columns are the heads of the columns.
var columns = []string{
	inProcess,
	siteNames[integration.Prosody], siteNames[integration.Prosody13], siteNames[integration.Ejabberd], siteNames[integration.Ejabberd26],
}

// realSite is a server of internal/integration.
func realSite(t *testing.T, srv *integration.Server) *site {
	var d net.Dialer
	s := &site{name: siteNames[srv.Kind], strange: "strange.test"}
	s.account = func(domain string) (xmpp.JID, string) {
		if domain == integration.Anon {
			return xmpp.MustParseJID(domain), ""
		}
		address, password := srv.NewAccountAt(t, domain)
		return xmpp.MustParseJID(address), password
	}
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		if addr == integration.Full+":443" { // host-meta
			addr = srv.Addr(integration.HTTPS)
		}
		return d.DialContext(ctx, network, strings.Replace(addr, integration.Full+":", "127.0.0.1:", 1))
	}
	s.config = func(w way, jid xmpp.JID, cert bool) xmpp.Config {
		cfg := xmpp.Config{JID: jid, RootCAs: srv.Roots(), Dial: dial}
		switch w {
		case startTLS, directTLS:
			port := integration.STARTTLS
			if cert {
				port = integration.ClientCert
			}
			if cfg.DirectTLS = w == directTLS; cfg.DirectTLS {
				port = integration.DirectTLS
			}
			cfg.Host, cfg.Port = "127.0.0.1", int(srv.Port(port))
		case webSocket:
			cfg.Transports = []xmpp.Transport{xmpp.WebSocket(srv.WebSocket(true))}
		case bosh:
			cfg.Transports = []xmpp.Transport{xmpp.BOSH(srv.BOSH(true))}
		}
		return cfg
	}
	s.cert = func(jid xmpp.JID) tls.Certificate { return srv.ClientCertificate(t, jid.Bare().String()) }
	s.token = func(xmpp.JID) string { return "t0ken" }
	s.redirect = func(way) string { return integration.Full }
	s.component = func() (xmpp.Config, string) {
		return xmpp.Config{
			JID: xmpp.MustParseJID(integration.ComponentFull), Component: true, Host: "127.0.0.1", Port: int(srv.Port(integration.Component)), RootCAs: srv.Roots(), Dial: dial,
		}, integration.ComponentSecret
	}
	return s
}

// inProcess is the head of the column of xmpptest.
const inProcess = "in the process"

// processSite is the server of package xmpptest, with all that it can do.
func processSite(t *testing.T) *site {
	servers := map[string]*xmpptest.Server{
		integration.Full: xmpptest.NewServer(t, xmpptest.WithDomain(integration.Full), xmpptest.WithSASL2(), xmpptest.WithCompression(),
			xmpptest.WithMechanisms("SCRAM-SHA-512-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1",
				"PLAIN", "DIGEST-MD5", "OAUTHBEARER", "X-OAUTH2")),
		integration.Hashed: xmpptest.NewServer(t, xmpptest.WithDomain(integration.Hashed), xmpptest.WithSASL2(),
			xmpptest.WithLogin(xmpptest.LoginRules{Upgrades: []string{"SCRAM-SHA-512"}})),
		integration.CertHost: xmpptest.NewServer(t, xmpptest.WithDomain(integration.CertHost), xmpptest.WithClientCertificates(nil)),
		digestDomain:         xmpptest.NewServer(t, xmpptest.WithDomain(digestDomain), xmpptest.WithLogin(xmpptest.LoginRules{IQAuth: true, NoSASL: true})),
		passwordDomain: xmpptest.NewServer(t, xmpptest.WithDomain(passwordDomain),
			xmpptest.WithLogin(xmpptest.LoginRules{IQAuth: true, NoSASL: true, NoDigest: true})),
		integration.Anon: xmpptest.NewServer(t, xmpptest.WithDomain(integration.Anon), xmpptest.WithMechanisms("ANONYMOUS")),
	}
	full := servers[integration.Full]
	full.AddComponent(integration.ComponentFull, integration.ComponentSecret)
	s := &site{name: inProcess, strange: "strange.test", old: true}
	s.account = func(domain string) (xmpp.JID, string) {
		if domain == integration.Anon {
			return xmpp.MustParseJID(domain), ""
		}
		user, password := newUser(), "secret"
		servers[domain].AddAccount(user, password)
		return servers[domain].JID(user), password
	}
	s.config = func(w way, jid xmpp.JID, _ bool) xmpp.Config {
		srv := servers[jid.Domain()]
		base := srv.Config("nobody")
		cfg := xmpp.Config{JID: jid, RootCAs: base.RootCAs, Dial: base.Dial}
		switch w {
		case startTLS, directTLS:
			cfg.Host, cfg.Port = base.Host, 5222
			if cfg.DirectTLS = w == directTLS; cfg.DirectTLS {
				cfg.Port = 5223
			}
		case webSocket:
			cfg.Transports = []xmpp.Transport{xmpp.WebSocket(srv.WebSocketURL())}
		case bosh:
			cfg.Transports = []xmpp.Transport{xmpp.BOSH(srv.BOSHURL())}
		}
		return cfg
	}
	s.cert = func(jid xmpp.JID) tls.Certificate {
		return servers[integration.CertHost].ClientCertificate(jid.Local())
	}
	s.token = func(jid xmpp.JID) string {
		token := "token-" + jid.Local()
		servers[jid.Domain()].AddOAuthToken(jid.Local(), token)
		return token
	}
	for i, w := range ways {
		domain := fmt.Sprintf("redirect%d.test", i)
		servers[domain] = xmpptest.NewServer(t, xmpptest.WithDomain(domain))
		host := elsewhere
		if w == webSocket {
			host = strings.Replace(servers[domain].WebSocketURL(), domain, elsewhere, 1)
		}
		servers[domain].SeeOtherHost(xmpptest.StepSecureFeatures, 1, host)
	}
	s.redirect = func(w way) string { return fmt.Sprintf("redirect%d.test", slices.Index(ways, w)) }
	s.component = func() (xmpp.Config, string) {
		base := full.Config("nobody")
		return xmpp.Config{
			JID: xmpp.MustParseJID(integration.ComponentFull), Component: true, Host: "localhost", Port: 5347, RootCAs: base.RootCAs, Dial: base.Dial,
		}, integration.ComponentSecret
	}
	return s
}

var lastUser atomic.Int64

func newUser() string { return fmt.Sprintf("compat%d", lastUser.Add(1)) }
