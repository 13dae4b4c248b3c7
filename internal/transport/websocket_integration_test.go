package transport_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/internal/testkit"
	"github.com/go-xmppframework/xmpp/internal/transport"
	"github.com/go-xmppframework/xmpp/internal/xmlstream"
)

const webStreams = "http://etherx.jabber.org/streams"

// webMeter is a Meter that looks at nothing.
type webMeter struct{}

func (webMeter) Read(f func() (int, error)) (int, error) { return f() }
func (webMeter) WillWrite()                              {}
func (webMeter) DidWrite(int)                            {}

// webWrite hands the items over all at once.
func webWrite(t *testing.T, w transport.Wire, items ...[]byte) {
	t.Helper()
	var b []byte
	var ends []int
	for _, it := range items {
		b = append(b, it...)
		ends = append(ends, len(b))
	}
	testkit.Must(t, w.Write(b, ends))
}

func webNext(t *testing.T, w transport.Wire, tag, ns string) *etree.Element {
	t.Helper()
	e, err := w.Next()
	testkit.Must(t, err)
	if e.Tag != tag || e.NamespaceURI() != ns {
		s, _ := etree.NewDocumentWithRoot(e).WriteToString()
		t.Fatalf("got %s, want {%s}%s", s, ns, tag)
	}
	return e
}

// webSocketWeb is for addresses of the server; a lookup without a port goes to its port for HTTPS.
func webSocketWeb(srv *integration.Server, insecure bool) transport.Web {
	return transport.Web{
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if host, port, _ := net.SplitHostPort(addr); port == "443" && host == integration.Full {
				addr = srv.Addr(integration.HTTPS)
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
		TLS: func(_ context.Context, host string) (*tls.Config, error) {
			return transport.ClientTLS(nil, host, host, srv.Roots(), false), nil
		},
		Insecure: insecure, Meter: webMeter{},
	}
}

// webSocketSession runs a session at a server: features, a login, bind, much to ourselves, the end.
func webSocketSession(t *testing.T, srv *integration.Server, w transport.Wire, secure bool) {
	t.Helper()
	address, password := srv.NewAccount(t)
	user, _, _ := strings.Cut(address, "@")
	watch := time.AfterFunc(20*time.Second, func() { _ = w.Close() })
	defer watch.Stop()
	open := func() *etree.Element {
		t.Helper()
		webWrite(t, w, w.AppendHeader(nil, xmlstream.Header{To: integration.Full, Version: "1.0", Lang: "en"}))
		h, err := w.Header()
		if err != nil {
			t.Fatal(err)
		}
		if h.NamespaceURI() != webStreams || h.SelectAttrValue("version", "") != "1.0" || h.SelectAttrValue("from", "") != integration.Full ||
			h.SelectAttrValue("id", "") == "" {
			t.Errorf("header %v", h.Attr)
		}
		return webNext(t, w, "features", webStreams)
	}
	f := open()
	if f.FindElement("mechanisms") == nil || f.FindElement("starttls") != nil {
		s, _ := etree.NewDocumentWithRoot(f.Copy()).WriteToString()
		t.Errorf("features %s", s)
	}
	if state, bound, ok := w.(transport.Secured).ConnectionState(); ok != secure || bound != secure || secure && len(state.PeerCertificates) == 0 {
		t.Errorf("connection state: bound %v, ok %v, %d certificates", bound, ok, len(state.PeerCertificates))
	}
	auth := etree.NewElement("auth")
	auth.CreateAttr("xmlns", "urn:ietf:params:xml:ns:xmpp-sasl")
	auth.CreateAttr("mechanism", "PLAIN")
	auth.SetText(base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + password)))
	b, err := w.AppendElement(nil, auth)
	testkit.Must(t, err)
	webWrite(t, w, b)
	webNext(t, w, "success", "urn:ietf:params:xml:ns:xmpp-sasl")
	w.Restart()
	open()
	webWrite(t, w, []byte("<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"))
	full := webNext(t, w, "iq", "jabber:client").FindElement("bind/jid").Text()
	if b := w.KeepAlive(' '); b != nil {
		t.Errorf("to be written: %q", b)
	}
	const many = 50 // ejabberd lets through some kB a second
	items := [][]byte{[]byte("<presence xmlns='jabber:client'/>")}
	for i := range many {
		items = append(items, []byte("<message xmlns='jabber:client' to='"+full+"' type='chat'><body>"+strings.Repeat("x", i*3)+"</body></message>"))
	}
	webWrite(t, w, items...)
	for got := 0; got < many; {
		e, err := w.Next()
		if err != nil {
			t.Fatalf("after %d: %v", got, err)
		}
		if e.Tag != "message" || e.SelectElement("body") == nil {
			continue
		}
		if n := len(e.SelectElement("body").Text()); n != got*3 || e.NamespaceURI() != "jabber:client" {
			t.Fatalf("message %d has %d characters", got, n)
		}
		got++
	}
	webWrite(t, w, w.AppendFooter(nil))
	for {
		if _, err = w.Next(); err != nil {
			break
		}
	}
	if err != io.EOF {
		t.Errorf("the end: %v, want io.EOF", err)
	}
	testkit.Must(t, w.Close())
}

func TestIntegrationWebSocket(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		for _, secure := range []bool{true, false} {
			t.Run(map[bool]string{true: "wss", false: "ws"}[secure], func(t *testing.T) {
				testkit.Goroutines(t)
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				w, err := transport.DialWebSocket(ctx, webSocketWeb(srv, !secure), srv.WebSocket(secure))
				cancel() // the wire goes on
				testkit.Must(t, err)
				defer w.Close()
				webSocketSession(t, srv, w, secure)
			})
		}
	})
}

// The certificate of the port is verified by the roots that are given, and by no others.
func TestIntegrationWebSocketCertificate(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		testkit.Goroutines(t)
		web := webSocketWeb(srv, false)
		web.TLS = func(_ context.Context, host string) (*tls.Config, error) {
			return transport.ClientTLS(nil, host, host, x509.NewCertPool(), false), nil
		}
		var unknown x509.UnknownAuthorityError
		if _, err := transport.DialWebSocket(t.Context(), web, srv.WebSocket(true)); !errors.As(err, &unknown) {
			t.Errorf("error %v, want an unknown authority", err)
		}
	})
}

func TestIntegrationHostMeta(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		testkit.Goroutines(t)
		m, err := transport.LookUpHostMeta(t.Context(), webSocketWeb(srv, false), integration.Full)
		testkit.Must(t, err)
		t.Logf("%+v", m)
		if !slices.Contains(m.WebSocket, srv.WebSocket(true)) || !slices.Contains(m.BOSH, srv.BOSH(true)) {
			t.Errorf("got %+v, want %s and %s", m, srv.WebSocket(true), srv.BOSH(true))
		}
	}, integration.HostMeta)
}
