// Package account is what the example programs share: flags that name an account on a real server,
// and accounts on a server inside the program for those who have none at hand.
package account

import (
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// Flags say which account to use. The zero value is a server inside the program.
type Flags struct {
	JID       string // user@domain; empty for a server inside the program
	Host      string // host or host:port; empty for what DNS says
	CA        string // file with a certificate authority in PEM; empty for the system's
	DirectTLS bool   // with Host
	Plain     bool   // allows the PLAIN mechanism
	Transport string // tcp, websocket or bosh; empty for tcp
	URL       string // address for WebSocket or BOSH; empty for what the domain says
}

// Register defines the flags.
func (f *Flags) Register(set *flag.FlagSet) {
	set.StringVar(&f.JID, "jid", "", "account on a real `server`, as user@domain; if empty, a server inside this program is used")
	set.StringVar(&f.Host, "host", "", "`host[:port]` to connect to, where DNS does not tell")
	set.BoolVar(&f.DirectTLS, "direct-tls", false, "with -host: start TLS with the first byte")
	set.StringVar(&f.CA, "ca", "", "`file` with the certificate authority to trust, in PEM, instead of the system's")
	set.BoolVar(&f.Plain, "plain", false, "allow the PLAIN mechanism, over TLS")
	set.StringVar(&f.Transport, "transport", "tcp", "`way` to the server: tcp, websocket or bosh")
	set.StringVar(&f.URL, "url", "", "`address` for WebSocket (wss:) or BOSH (https:), where the domain does not tell")
}

// Two returns configurations for two clients: two accounts of a server inside the program, which the caller closes;
// or twice the account on a real server, and no server. The password is read from XMPP_PASSWORD, or asked for.
func (f *Flags) Two() (first, second xmpp.Config, srv *xmpptest.Server, err error) {
	if f.JID == "" {
		srv = xmpptest.StartServer()
		first, second = overTCP(srv, "juliet"), overTCP(srv, "romeo")
		for _, cfg := range []*xmpp.Config{&first, &second} {
			if err := f.inside(cfg, srv); err != nil {
				srv.Close()
				return first, second, nil, err
			}
		}
		return first, second, srv, nil
	}
	cfg, err := f.real()
	return cfg, cfg, nil, err
}

// One returns the configuration for one client: that account of a server inside the program, made with opts, which the caller closes;
// or the account on a real server, and no server, as Two does.
func (f *Flags) One(user string, opts ...xmpptest.Option) (cfg xmpp.Config, srv *xmpptest.Server, err error) {
	if f.JID == "" {
		srv = xmpptest.StartServer(opts...)
		cfg = overTCP(srv, user)
		if err := f.inside(&cfg, srv); err != nil {
			srv.Close()
			return cfg, nil, err
		}
		return cfg, srv, nil
	}
	cfg, err = f.real()
	return cfg, nil, err
}

// overTCP is for an account on a server in the program, over a real connection, as to any server.
func overTCP(srv *xmpptest.Server, user string) xmpp.Config {
	cfg, addr := srv.Config(user), netip.MustParseAddrPort(srv.Addr())
	cfg.Dial, cfg.Host, cfg.Port = nil, addr.Addr().String(), int(addr.Port())
	return cfg
}

// inside sets the way to a server in the program.
func (f *Flags) inside(cfg *xmpp.Config, srv *xmpptest.Server) error {
	own := *f
	switch {
	case own.URL != "":
	case own.Transport == "websocket":
		own.URL, cfg.Dial = srv.WebSocketURL(), srv.Config(cfg.JID.Local()).Dial
	case own.Transport == "bosh":
		own.URL, cfg.Dial = srv.BOSHURL(), srv.Config(cfg.JID.Local()).Dial
	}
	return own.way(cfg)
}

// way sets the way to the server.
func (f *Flags) way(cfg *xmpp.Config) error {
	switch f.Transport {
	case "", "tcp":
		if f.URL != "" {
			return errors.New("-url is for -transport websocket or bosh")
		}
	case "websocket":
		cfg.Transports = []xmpp.Transport{xmpp.WebSocket(f.URL)}
	case "bosh":
		cfg.Transports = []xmpp.Transport{xmpp.BOSH(f.URL)}
	default:
		return fmt.Errorf("-transport %q: it may be tcp, websocket or bosh", f.Transport)
	}
	return nil
}

// real is for an account on a server out there.
func (f *Flags) real() (cfg xmpp.Config, err error) {
	if cfg.JID, err = xmpp.ParseJID(f.JID); err != nil {
		return cfg, err
	}
	cfg.DirectTLS, cfg.AllowPlain = f.DirectTLS, f.Plain
	if err := f.way(&cfg); err != nil {
		return cfg, err
	}
	if cfg.Host = f.Host; strings.Contains(f.Host, ":") {
		host, port, err := net.SplitHostPort(f.Host)
		if err != nil {
			return cfg, fmt.Errorf("-host: %w", err)
		}
		cfg.Host = host
		if cfg.Port, err = strconv.Atoi(port); err != nil {
			return cfg, fmt.Errorf("-host: port %q is no number", port)
		}
	}
	if f.CA != "" {
		pem, err := os.ReadFile(f.CA)
		if err != nil {
			return cfg, err
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return cfg, errors.New("-ca: no certificate in " + f.CA)
		}
	}
	password := os.Getenv("XMPP_PASSWORD")
	if password == "" {
		if password, err = ask("Password for " + cfg.JID.String() + ": "); err != nil {
			return cfg, fmt.Errorf("no password (XMPP_PASSWORD may hold it): %w", err)
		}
	}
	cfg.Credentials = xmpp.Password(password)
	return cfg, nil
}
