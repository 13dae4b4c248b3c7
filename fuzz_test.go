package xmpp_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testserver"
	"github.com/go-xmppframework/xmpp/stanza"
)

// FuzzFeatures plays a server that says anything at all. Parts of the script are separated by NUL; each is sent when
// the client has said something, or has been silent for a while. A TLS handshake is taken part in, and the script goes on inside.
// Under the policy Required no credentials may leave in clear text, Login must not succeed, and must end within a second.
func FuzzFeatures(f *testing.F) {
	mechs := offerSASL("PLAIN", "SCRAM-SHA-1")
	for _, parts := range [][]string{
		{header + features(offerTLS, mechs), proceed, header + features(mechs), "<challenge xmlns='" + nsSASL + "'>cj14</challenge>", "<success xmlns='" + nsSASL + "'/>"},
		{header + features(mechs), "<success xmlns='" + nsSASL + "'/>", header + features(offerBind)},
		{header + features(), features(mechs), features(offerTLS)},
		{header, features(offerTLS), "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", features(mechs)},
		{header + features(offerTLS), "<proceed xmlns='urn:wrong'/>", header + features(mechs)},
		{header + features(offerTLS), proceed + features(mechs)},
		{header + features(offerTLS), proceed, header + features(offerSASL("PLAIN")), "<success xmlns='" + nsSASL + "'/>", header + features(offerBind), strings.ReplaceAll(boundTo("alice@example.test/r"), "%s", "id"), "<message/>"},
		{"<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>", mechs},
		{header + "<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>evil.test</see-other-host></stream:error>"},
		{header + features("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls><mechanisms xmlns='"+nsSASL+"'/>"), proceed},
		{"\x16\x03\x01", "HTTP/1.1 400 Bad Request\r\n\r\n", "<!DOCTYPE x>"},
		{header, "<message/>", features(offerTLS), "</stream:stream>"},
	} {
		f.Add([]byte(strings.Join(parts, "\x00")))
	}
	cert := goodCertificate()
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 16<<10 {
			return
		}
		client, server := testserver.Pipe(0, "client", "server")
		var clear bytes.Buffer
		var done sync.WaitGroup
		done.Go(func() {
			defer server.Close()
			_ = server.SetWriteDeadline(time.Now().Add(time.Second))
			fuzzServer(server, &clear, &tls.Config{Certificates: []tls.Certificate{cert}}, bytes.Split(script, []byte{0}))
		})
		s, err := xmpp.New(xmpp.Config{
			JID: xmpp.MustParseJID("alice@" + rawDomain), Credentials: xmpp.Password(secret), Host: "server.invalid", AllowPlain: true,
			Dial:    func(context.Context, string, string) (net.Conn, error) { return client, nil },
			RootCAs: testserver.DefaultAuthority().Pool(), ConnectTimeout: 400 * time.Millisecond, NoInitialPresence: true,
			NewID: func() string { return "id" }, // so that a script can answer the request for a resource
		})
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		err = s.Login(context.Background())
		took := time.Since(begin)
		plain := bytes.Contains(script, []byte(">PLAIN<"))
		if err == nil && (!s.IsSecure() || !plain) { // PLAIN proves nothing of the server; the certificate does
			t.Error("logged in")
		}
		_ = s.Close(ended())
		done.Wait()
		if took > 2*time.Second {
			t.Errorf("Login took %v", took)
		}
		if what := credentialsIn(clear.Bytes()); what != "" {
			t.Errorf("in clear text %q was sent", what)
		}
	})
}

// ended is a ctx that has ended.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// fuzzServer sends a part whenever the client has sent something or is silent, and closes after the last.
func fuzzServer(server *testserver.Conn, clear *bytes.Buffer, cfg *tls.Config, parts [][]byte) {
	var rw io.ReadWriter = server
	buf := make([]byte, 4096)
	read := func() (int, error) {
		_ = server.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		n, err := rw.Read(buf)
		_ = server.SetReadDeadline(time.Now().Add(time.Second))
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = nil
		}
		return n, err
	}
	for _, p := range parts {
		n, err := read()
		if rw == io.ReadWriter(server) {
			if n > 0 && buf[0] == 0x16 { // a ClientHello
				tc := tls.Server(&prefixed{Conn: server, first: bytes.Clone(buf[:n])}, cfg)
				if tc.Handshake() != nil {
					return
				}
				rw = tc
				_, err = read()
			} else {
				clear.Write(buf[:n])
			}
		}
		if err != nil {
			return
		}
		if _, err := rw.Write(p); err != nil {
			return
		}
	}
	if rw == io.ReadWriter(server) { // whatever the client still says
		_ = server.CloseWrite()
		_, _ = io.Copy(clear, server)
	}
}

// prefixed gives back what was read of a connection.
type prefixed struct {
	*testserver.Conn
	first []byte
}

func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.first) > 0 {
		n := copy(b, p.first)
		p.first = p.first[n:]
		return n, nil
	}
	return p.Conn.Read(b)
}

// FuzzStanza gives a stream any well-formed element, as it is and with additions of other namespaces.
// Nothing may panic, and the additions may change nothing that the typed getters say or the stream answers.
func FuzzStanza(f *testing.F) {
	for _, xml := range []string{
		"<message type='chat' id='1' from='bob@example.test/x' to='alice@example.test' xml:lang='de'><body>b</body><body xml:lang='en'>c</body><subject>s</subject><thread>t</thread></message>",
		"<message type='error' from='bob@example.test'><body>x</body><error type='cancel' by='example.test'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>xmpp:x@y</gone><text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>t</text></error></message>",
		"<presence from='bob@example.test/x'><show>away</show><status>s</status><priority>5</priority><idle xmlns='urn:xmpp:idle:1' since='2020-01-01T00:00:00Z'/></presence>",
		"<presence type='subscribe' from='bob@example.test'/>", "<presence><priority>-129</priority></presence>",
		"<iq type='get' id='1' from='bob@example.test/x'><query xmlns='jabber:iq:version'/></iq>",
		"<iq type='set' id='p' from='alice@example.test'><query xmlns='jabber:iq:roster'><item jid='evil@example.test' subscription='both'/></query></iq>",
		"<iq type='result' id='1'/>", "<iq type='error' id='1'><error code='404'/></iq>", "<iq type='result'/>", "<iq type='get'><x xmlns='urn:x'/></iq>", "<iq type='bogus'/>", "<iq type='get' id='1'/>", "<iq type='set' id='1'><a/><b/></iq>",
		"<message from='@@'/>", "<iq type='get' id='1' to='@@'><x xmlns='urn:x'/></iq>", "<message xmlns='jabber:server'/>", "<foo xmlns='urn:x'/>",
		"<message> <result xmlns='urn:xmpp:mam:2' queryid='q'><forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='bad'/><message xmlns='jabber:client' from='a@b'><body>x</body></message></forwarded></result></message>",
		"<message><received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='boss@example.test'><body>x</body></message></forwarded></received></message>",
		"<message" + foreign + "type='chat'>" + hostileChildren + "<body>b</body></message>", "<q:message xmlns:q='jabber:client'><q:body>x</q:body></q:message>",
		"<message id='A&quot;/&gt;&lt;evil'><body>]]&gt; &#13;&#10;</body></message>",
	} {
		f.Add(xml)
	}
	h := newFuzzHost(f)
	f.Fuzz(func(t *testing.T, xml string) {
		el, err := parse(xml)
		if err != nil || strings.Contains(xml, "zz") {
			return
		}
		want := h.give(t, el.Copy())
		spoilt := el.Copy()
		addForeign(spoilt, stanza.Is(el, "iq", stanza.NSClient))
		if got := h.give(t, spoilt); got != want {
			t.Errorf("%s\nwith additions  %s\nwithout         %s", xml, got, want)
		}
	})
}

// fuzzHost is a stream whose every reaction is recorded.
type fuzzHost struct {
	stream *xmpp.Stream
	peer   *testserver.Peer
	queue  *xmpp.Queue
	seen   []string
	n      int
}

func newFuzzHost(t testing.TB) *fuzzHost {
	h := &fuzzHost{queue: xmpp.NewQueue()}
	note := func(st stanza.Stanza) { h.seen = append(h.seen, summary(st)) }
	d := xmpp.Delegate{
		Queue: h.queue,
		Message: xmpp.MessageFunc(func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) {
			note(m)
			h.seen = append(h.seen, "answered to "+m.Reply("x").To().String())
		}),
		Presence: xmpp.PresenceFunc(func(_ context.Context, _ *xmpp.Stream, p *stanza.Presence) { note(p) }),
		IQ:       xmpp.IQFunc(func(_ context.Context, _ *xmpp.Stream, iq *stanza.IQ) bool { note(iq); return false }),
	}
	h.stream, h.peer = clearPeer(t, nil, d)
	if _, err := h.stream.HandleIQ(stanza.Get, "jabber:iq:version", "", h.queue, func(ctx context.Context, s *xmpp.Stream, iq *stanza.IQ) {
		if err := s.Send(ctx, iq.Result(stanza.New("query", "jabber:iq:version"))); err != nil {
			h.seen = append(h.seen, err.Error())
		}
	}); err != nil {
		t.Fatal(err)
	}
	return h
}

// give injects an element and returns all that came of it: events, and what was sent.
func (h *fuzzHost) give(t *testing.T, el *etree.Element) string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	h.seen = nil
	err := h.stream.Inject(ctx, stanza.Raw(el))
	for range 3 { // a request is offered, answered and written in turn
		if err := h.queue.Flush(ctx); err != nil {
			t.Fatal(err)
		}
	}
	h.n++
	mark := fmt.Sprintf("mark-%d", h.n)
	if err := h.stream.Send(ctx, withID(stanza.NewIQ(stanza.Result, xmpp.JID{}, nil), mark)); err != nil {
		t.Fatalf("the stream is down: %v", err)
	}
	out := append(h.seen, fmt.Sprint("error: ", err))
	for {
		e, err := h.peer.Next()
		if err != nil {
			t.Fatal(err)
		}
		if stanza.AttrOr(e, "id", "") == mark {
			return strings.Join(out, "\n")
		}
		out = append(out, "sent: "+stanza.Compact(e))
	}
}

// addForeign adds attributes of another namespace everywhere, and children of it to all but requests,
// where the number of children means something.
func addForeign(el *etree.Element, iq bool) {
	for _, child := range el.ChildElements() {
		addForeign(child, true)
	}
	el.CreateAttr("xmlns:zz", "urn:zz")
	for _, name := range []string{"from", "to", "id", "type", "jid", "stamp", "by", "code", "since"} {
		el.CreateAttr("zz:"+name, "forged")
	}
	if !iq {
		evil := etree.NewElement("body")
		evil.CreateAttr("xmlns", "urn:evil")
		evil.SetText("evil")
		el.InsertChildAt(0, evil)
	}
}
