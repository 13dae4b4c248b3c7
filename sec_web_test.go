package xmpp_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// TestSec_TLS03_Web: the certificate must be for the host of the address, which comes from the user or from the host-meta of the domain,
// or for the domain of the JID.
func TestSec_TLS03_Web(t *testing.T) {
	checkGoroutines(t)
	certs := map[string]string{
		"SRV target": "target.srv.test", "Host": "host.override.test", "see-other-host": "other.redirect.test", "location of a session": "location.sm.test",
		"domain of the JID": rawDomain, "host of the address": "web.test", "host above that": "test", "wildcard": "*.web.test",
	}
	paths := map[string]xmpp.Transport{
		"WebSocket": xmpp.WebSocket("wss://web.test/xmpp-websocket"), "WebSocket by host-meta": xmpp.WebSocket(""),
		"BOSH": xmpp.BOSH("https://web.test/http-bind"), "BOSH by host-meta": xmpp.BOSH(""),
	}
	for certName, name := range certs {
		for path, way := range paths {
			t.Run(certName+", "+path, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					web := xmpptest.NewServer(t, xmpptest.WithCertificate(certFor(name)))
					meta := xmpptest.NewServer(t, xmpptest.WithWeb(xmpptest.Web{Links: map[string]string{
						"urn:xmpp:alt-connections:websocket": "wss://web.test/xmpp-websocket", "urn:xmpp:alt-connections:xbosh": "https://web.test/http-bind",
					}}))
					n := &internet{hosts: map[string]func(context.Context, string, string) (net.Conn, error){
						"web.test": web.Config("alice").Dial, rawDomain: meta.Config("alice").Dial,
					}}
					cfg := web.Config("alice")
					cfg.Host, cfg.Port, cfg.Dial, cfg.Transports = "", 0, n.Dial, []xmpp.Transport{way}
					s := newStream(t, cfg)
					err := s.Login(within(t, time.Minute))
					var ve *tls.CertificateVerificationError
					good := name == rawDomain || name == "web.test"
					if good && err != nil || !good && !errors.As(err, &ve) || len(web.Sessions("alice")) > 0 != good {
						t.Errorf("Login returned %v", err)
					}
				})
			})
		}
	}
}

// TestSec_TLS03_WebTrust: certificates that are for the right name and must not be trusted are not, there either.
func TestSec_TLS03_WebTrust(t *testing.T) {
	checkGoroutines(t)
	for name, cert := range badCertificates() {
		for _, way := range []xmpp.Transport{xmpp.WebSocket(wsURL), xmpp.BOSH(boshURL)} {
			srv := xmpptest.NewServer(t, xmpptest.WithCertificate(cert))
			cfg := srv.Config("alice")
			cfg.Transports = []xmpp.Transport{way}
			err := newStream(t, cfg).Login(within(t, 10*time.Second))
			if err == nil || len(srv.Sessions("alice")) > 0 {
				t.Errorf("%s, %v: logged in", name, way)
			}
			for _, secret := range []string{"password", "SCRAM"} {
				if strings.Contains(fmt.Sprint(err), secret) {
					t.Errorf("%s, %v: %v", name, way, err)
				}
			}
		}
	}
}

// TestSec_TLS09_Login: what host-meta says is followed only to encrypted addresses of the Internet; nothing else is dialled.
func TestSec_TLS09_Login(t *testing.T) {
	checkGoroutines(t)
	xrd := func(links ...string) string {
		x := "<?xml version='1.0' encoding='utf-8'?><XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>"
		for _, l := range links {
			x += "<Link rel='urn:xmpp:alt-connections:websocket' href='" + l + "'/><Link rel='urn:xmpp:alt-connections:xbosh' href='" + l + "'/>"
		}
		return x + "</XRD>"
	}
	text := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, body) }
	}
	to := func(location func(r *http.Request) string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, location(r), http.StatusFound) }
	}
	long := "<Link rel='x' href='" + strings.Repeat("x", 1<<20) + "'/>"
	hops := 0
	for name, h := range map[string]http.HandlerFunc{
		"ws link":               text(xrd("ws://evil.test/ws")),
		"http link":             text(xrd("http://evil.test/bosh")),
		"link to the metadata":  text(xrd("wss://169.254.169.254/", "https://169.254.169.254/latest")),
		"links to this machine": text(xrd("wss://127.0.0.1/", "https://localhost/", "wss://[::1]/", "https://2130706433/", "wss://0x7f000001/", "https://10.0.0.1/")),
		"link with a user":      text(xrd("wss://a:b@evil.test/ws", "https://a:b@evil.test/")),
		"no link":               text(xrd()),
		"DOCTYPE":               text(strings.Replace(xrd("wss://evil.test/ws", "https://evil.test/"), "<XRD", "<!DOCTYPE XRD [<!ENTITY a 'b'>]><XRD", 1)),
		"a comment":             text(strings.Replace(xrd("wss://evil.test/ws", "https://evil.test/"), "<Link", "<!-- x --><Link", 1)),
		"no XML":                text("<html><body>wss://evil.test/ws"),
		"nothing":               text(""),
		"not found":             http.NotFound,
		"1 GiB": func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, strings.TrimSuffix(xrd("wss://evil.test/ws", "https://evil.test/"), "</XRD>"))
			for range 1024 {
				if _, err := io.WriteString(w, long); err != nil {
					return
				}
			}
			_, _ = io.WriteString(w, "</XRD>")
		},
		"redirected to http":     to(func(*http.Request) string { return "http://evil.test/.well-known/host-meta" }),
		"redirected in a circle": to(func(r *http.Request) string { return r.URL.Path }),
		"redirected for ever":    to(func(r *http.Request) string { hops++; return fmt.Sprintf("/%d", hops) }),
		"redirected to here":     to(func(*http.Request) string { return "https://127.0.0.1:8443/" }),
		"redirected to metadata": to(func(*http.Request) string { return "https://169.254.169.254/" }),
		"redirected to a file":   to(func(*http.Request) string { return "file:///etc/passwd" }),
	} {
		t.Run(name, func(t *testing.T) {
			web := httptest.NewUnstartedServer(h)
			web.TLS = &tls.Config{Certificates: []tls.Certificate{goodCertificate()}}
			web.Config.ErrorLog = log.New(io.Discard, "", 0)
			web.StartTLS()
			defer web.Close()
			n := &internet{hosts: map[string]func(context.Context, string, string) (net.Conn, error){
				rawDomain: func(ctx context.Context, _, _ string) (net.Conn, error) {
					return new(net.Dialer).DialContext(ctx, "tcp", web.Listener.Addr().String())
				},
			}}
			cfg := newRawServer(t, nil).config()
			cfg.Host, cfg.Dial, cfg.Transports = "", n.Dial, []xmpp.Transport{xmpp.WebSocket(""), xmpp.BOSH("")}
			start := time.Now()
			err := newStream(t, cfg).Login(within(t, 20*time.Second))
			var ce *xmpp.ConnectError
			if !errors.As(err, &ce) || len(ce.Attempts) != 2 || ce.Attempts[0].Step != "host-meta" || ce.Attempts[1].Step != "host-meta" {
				t.Errorf("Login returned %v", err)
			}
			lasted(t, start, 2*time.Second, "Login")
			for _, addr := range n.take() {
				if addr != rawDomain+":443" {
					t.Errorf("%s was dialled", addr)
				}
			}
		})
	}
}

// TestSec_TLS09_Config: addresses that are not encrypted are refused before anything is dialled, unless the policy permits clear text.
func TestSec_TLS09_Config(t *testing.T) {
	cfg := newRawServer(t, nil).config()
	for _, way := range []xmpp.Transport{
		xmpp.WebSocket("ws://web.test/"), xmpp.BOSH("http://web.test/"), xmpp.WebSocket("https://web.test/"), xmpp.BOSH("wss://web.test/"),
		xmpp.WebSocket("web.test"), xmpp.BOSH("/bosh"), xmpp.WebSocket("wss:///x"), xmpp.BOSH("https://%zz/"), xmpp.BOSH("file:///x"),
	} {
		cfg.Transports = []xmpp.Transport{way}
		if _, err := xmpp.New(cfg); !errors.Is(err, xmpp.ErrInvalidParameter) {
			t.Errorf("%v: New returned %v", way, err)
		}
	}
	cfg.TLSPolicy = xmpp.InsecureTLSPreferred
	cfg.Transports = []xmpp.Transport{xmpp.WebSocket("ws://web.test/"), xmpp.BOSH("http://web.test/")}
	if _, err := xmpp.New(cfg); err != nil {
		t.Errorf("in clear text, as permitted: %v", err)
	}
	if s := fmt.Sprintf("%v %+v", xmpp.WebSocket("wss://user:secret@web.test/a?token=secret#secret"), xmpp.BOSH("https://u:secret@h/?secret")); strings.Contains(s, "secret") {
		t.Error(s)
	}
}

// TestWays_InClear: WebSocket and BOSH in clear text, where the policy permits that and the server has nothing else.
func TestWays_InClear(t *testing.T) {
	checkGoroutines(t)
	for _, web := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			srv := xmpptest.NewServer(t, xmpptest.WithoutTLS())
			cfg := srv.Config("alice")
			cfg.Transports = []xmpp.Transport{xmpp.WebSocket(srv.WebSocketURL())}
			if web {
				cfg.Transports = []xmpp.Transport{xmpp.BOSH(srv.BOSHURL())}
			}
			s := newStream(t, cfg)
			err := s.Login(within(t, time.Minute))
			if err != nil || s.IsSecure() || s.Security().TLS {
				t.Errorf("Login returned %v, %+v", err, s.Security())
			}
		})
	}
}
