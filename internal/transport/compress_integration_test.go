package transport_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/internal/testkit"
	"github.com/go-xmppframework/xmpp/internal/transport"
	"github.com/go-xmppframework/xmpp/internal/xmlstream"
)

// TestIntegrationCompress speaks zlib with real servers: after the login (XEP-0138 section 3), stanzas that come one by one, in bursts,
// and that compress too well.
func TestIntegrationCompress(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		testkit.Goroutines(t)
		address, password := srv.NewAccount(t)
		user, domain, _ := strings.Cut(address, "@")
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		nc, err := new(net.Dialer).DialContext(ctx, "tcp", srv.Addr(integration.STARTTLS))
		testkit.Must(t, err)
		defer nc.Close()
		_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
		out := nc
		dec := xmlstream.NewDecoder(nc, xmlstream.Limits{})
		send := func(format string, args ...any) {
			t.Helper()
			_, err := fmt.Fprintf(out, format, args...)
			testkit.Must(t, err)
		}
		next := func(want string) *etree.Element {
			t.Helper()
			for {
				e, err := dec.Next()
				testkit.Must(t, err)
				if e.Tag == want {
					return e
				}
				if e.Tag != "message" && e.Tag != "iq" && e.Tag != "presence" {
					t.Fatalf("got <%s/>, want <%s/>", e.Tag, want)
				}
			}
		}
		open := func() *etree.Element {
			t.Helper()
			send("<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='%s' version='1.0'>", domain)
			_, err := dec.Header()
			testkit.Must(t, err)
			return next("features")
		}
		open()
		send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
		next("proceed")
		nc = tls.Client(nc, transport.ClientTLS(nil, domain, domain, srv.Roots(), false))
		out, dec = nc, xmlstream.NewDecoder(nc, xmlstream.Limits{})
		open()
		send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>%s</auth>", base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00"+password)))
		next("success")
		dec.Restart()
		if f := open(); f.FindElement("compression") == nil {
			t.Fatal("zlib is not offered")
		}
		send("<compress xmlns='http://jabber.org/protocol/compress'><method>zlib</method></compress>")
		next("compressed")

		const limit = 256 << 10
		zc := transport.Compress(nc, limit)
		out, dec = zc, xmlstream.NewDecoder(zc, xmlstream.Limits{})
		open()
		send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
		jid := next("iq").FindElement("bind/jid").Text()
		send("<presence/>")
		next("presence")
		got := func(n, size int) {
			t.Helper()
			for range n {
				if body := next("message").FindElement("body").Text(); len(body) != size {
					t.Fatalf("a body of %d bytes, want %d", len(body), size)
				}
				zc.Completed()
			}
		}
		message := func(size int) string {
			return "<message to='" + jid + "' type='chat'><body>" + strings.Repeat("a", size) + "</body></message>"
		}
		for range 10 {
			send("%s", message(10))
			got(1, 10)
		}
		send("%s", strings.Repeat(message(100), 20))
		got(20, 100)
		for range 10 { // a thousand times what the wire carries, and more than the limit together
			send("%s", message(40_000))
			got(1, 40_000)
		}
		send("</stream:stream>")
		if _, err := dec.Next(); err == nil {
			t.Error("the stream goes on")
		}
	}, integration.Compression)
}
