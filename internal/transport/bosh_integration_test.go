package transport_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/internal/testkit"
	"github.com/go-xmppframework/xmpp/internal/transport"
	"github.com/go-xmppframework/xmpp/internal/xmlstream"
)

// plainMeter is a Meter that looks at nothing.
type plainMeter struct{}

func (plainMeter) Read(f func() (int, error)) (int, error) { return f() }
func (plainMeter) WillWrite()                              {}
func (plainMeter) DidWrite(int)                            {}

func boshWeb(srv *integration.Server, insecure bool) transport.Web {
	return transport.Web{
		TLS: func(_ context.Context, host string) (*tls.Config, error) {
			return transport.ClientTLS(nil, host, host, srv.Roots(), false), nil
		},
		Insecure: insecure, Meter: plainMeter{},
	}
}

// write hands the items over one by one.
func write(t *testing.T, w transport.Wire, items ...[]byte) {
	t.Helper()
	var b []byte
	var ends []int
	for _, it := range items {
		b = append(b, it...)
		ends = append(ends, len(b))
	}
	if err := w.Write(b, ends); err != nil {
		t.Fatal(err)
	}
}

func next(t *testing.T, w transport.Wire, tag, ns string) *etree.Element {
	t.Helper()
	e, err := w.Next()
	if err != nil {
		t.Fatal(err)
	}
	if e.Tag != tag || e.NamespaceURI() != ns {
		doc := etree.NewDocumentWithRoot(e)
		s, _ := doc.WriteToString()
		t.Fatalf("got %s, want {%s}%s", s, ns, tag)
	}
	return e
}

const nsStreams = "http://etherx.jabber.org/streams"

// boshSession runs a session at a server: features, a login, bind, an echo, the end.
func boshSession(t *testing.T, srv *integration.Server, secure bool) {
	testkit.Goroutines(t)
	address, password := srv.NewAccount(t)
	user, _, _ := strings.Cut(address, "@")
	ctx, cancel := context.WithCancel(t.Context())
	w, err := transport.DialBOSH(ctx, boshWeb(srv, !secure), srv.BOSH(secure))
	if err != nil {
		t.Fatal(err)
	}
	cancel() // the session goes on
	defer w.Close()
	stop := context.AfterFunc(t.Context(), func() { _ = w.Close() })
	defer stop()
	watch := time.AfterFunc(20*time.Second, func() { _ = w.Close() })
	defer watch.Stop()

	open := func() {
		t.Helper()
		write(t, w, w.AppendHeader(nil, xmlstream.Header{To: integration.Full, From: address, Version: "1.0", Lang: "en"}))
		h, err := w.Header()
		if err != nil {
			t.Fatal(err)
		}
		if h.NamespaceURI() != nsStreams || h.SelectAttrValue("version", "") != "1.0" || h.SelectAttrValue("from", "") != integration.Full {
			t.Errorf("header %v", h.Attr)
		}
		next(t, w, "features", nsStreams)
	}
	open()
	state, bound, ok := w.(transport.Secured).ConnectionState()
	if ok != secure || bound || secure && (len(state.PeerCertificates) == 0 || !state.HandshakeComplete) {
		t.Errorf("connection state: bound %v, ok %v, %d certificates", bound, ok, len(state.PeerCertificates))
	}
	auth := etree.NewElement("auth")
	auth.CreateAttr("xmlns", "urn:ietf:params:xml:ns:xmpp-sasl")
	auth.CreateAttr("mechanism", "PLAIN")
	auth.SetText(b64("\x00" + user + "\x00" + password))
	b, err := w.AppendElement(nil, auth)
	if err != nil {
		t.Fatal(err)
	}
	write(t, w, b)
	next(t, w, "success", "urn:ietf:params:xml:ns:xmpp-sasl")
	w.Restart()
	open()
	write(t, w, []byte("<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"))
	iq := next(t, w, "iq", "jabber:client")
	full := iq.FindElement("bind/jid").Text()
	if w.Size() < len(full) {
		t.Errorf("size %d", w.Size())
	}
	// Many at once, to ourselves: they arrive in order.
	var items [][]byte
	for i := range 100 {
		items = append(items, []byte("<message xmlns='jabber:client' to='"+full+"' type='chat'><body>"+strings.Repeat("x", i*3)+"</body></message>"))
	}
	items = append([][]byte{[]byte("<presence xmlns='jabber:client'/>")}, items...)
	for i := 0; i < len(items); i += 10 {
		write(t, w, items[i:min(i+10, len(items))]...)
	}
	for got := 0; got < 100; {
		e, err := w.Next()
		if err != nil {
			t.Fatalf("after %d: %v", got, err)
		}
		if e.Tag != "message" || e.SelectElement("body") == nil {
			continue
		}
		if n := len(e.SelectElement("body").Text()); n != got*3 {
			t.Fatalf("message %d has %d bytes", got, n)
		}
		got++
	}
	write(t, w, w.AppendFooter(nil))
	for {
		if _, err := w.Next(); err != nil {
			if !errors.Is(err, io.EOF) {
				t.Errorf("the end: %v", err)
			}
			break
		}
	}
}

func TestBOSHServers(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		t.Run("https", func(t *testing.T) { boshSession(t, srv, true) })
		t.Run("http", func(t *testing.T) { boshSession(t, srv, false) })
		t.Run("unknown host", func(t *testing.T) {
			testkit.Goroutines(t)
			w, err := transport.DialBOSH(t.Context(), boshWeb(srv, false), srv.BOSH(true))
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			write(t, w, w.AppendHeader(nil, xmlstream.Header{To: "nobody.example", Version: "1.0"}))
			_, err = w.Header()
			if refused := (*transport.BOSHError)(nil); !errors.As(err, &refused) {
				t.Errorf("header: %v", err)
			} else {
				t.Log(refused)
			}
		})
	})
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
