package xmpp

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"

	"github.com/go-xmppframework/xmpp/internal/transport"
	"github.com/go-xmppframework/xmpp/stanza"
)

// Transport is a way to reach a server: [TCP], [WebSocket] or [BOSH]. Config.Transports lists those to try.
type Transport struct {
	kind transportKind
	url  string
	host string // whose certificate is good at url, where a server has sent the client there; "" if it is that of url
}

type transportKind uint8

const (
	overTCP transportKind = iota
	overWebSocket
	overBOSH
)

// TCP is a connection of RFC 6120, with STARTTLS or direct TLS (XEP-0368), to the servers that DNS names, or to Config.Host.
func TCP() Transport { return Transport{} }

// WebSocket is a connection of RFC 7395 to a wss: address. With "" the address is looked up in the host-meta of the domain (XEP-0156).
// The certificate must be for the host of the address, or for the domain of the JID.
func WebSocket(address string) Transport { return Transport{kind: overWebSocket, url: address} }

// BOSH is a stream in HTTP requests (XEP-0124, XEP-0206), to an https: address, or to that in the host-meta of the domain with "".
// Of channel bindings only tls-server-end-point is possible.
func BOSH(address string) Transport { return Transport{kind: overBOSH, url: address} }

// String is "TCP", "WebSocket" or "BOSH", and the address if there is one, without query and credentials.
func (t Transport) String() string {
	name := [...]string{"TCP", "WebSocket", "BOSH"}[t.kind]
	if t.url != "" {
		name += " " + clip(webAddr(t.url))
	}
	return name
}

// webAddr is an address without what may be secret in it.
func webAddr(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "(not a URL)"
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}

// check reports what cannot work.
func (t Transport) check(insecure bool) error {
	if t.url == "" {
		return nil
	}
	safe, clear := "wss", "ws"
	if t.kind == overBOSH {
		safe, clear = "https", "http"
	}
	u, err := url.Parse(t.url)
	if err != nil || u.Host == "" || u.Scheme != safe && (u.Scheme != clear || !insecure) {
		return fmt.Errorf("%w: Config.Transports: %s is no %s: address", ErrInvalidParameter, t, safe)
	}
	return nil
}

// way is one thing to try: a server over TCP, or an address of the web.
type way struct {
	Transport
	target transport.Target
	safe   bool // TLS is required, whatever the policy: an encrypted stream has led here
}

func (w way) addr() string {
	if w.kind != overTCP {
		return webAddr(w.url)
	}
	return net.JoinHostPort(w.target.Host, strconv.Itoa(int(w.target.Port)))
}

// maxRedirects bounds how often a server may send a client elsewhere in one attempt to connect.
const maxRedirects = 3

// ways finds out where a transport leads to. The name of the step that failed is "" if none did.
func (s *Stream) ways(ctx context.Context, t Transport, domain string) (ways []way, step string, err error) {
	switch {
	case t.kind == overTCP && s.cfg.Host != "":
		return []way{{Transport: t, target: transport.Target{Host: s.cfg.Host, Port: uint16(s.cfg.Port), DirectTLS: s.cfg.DirectTLS}}}, "", nil
	case t.kind == overTCP:
		targets, err := transport.Resolve(ctx, s.cfg.Resolver, domain, transport.Options{})
		for _, target := range targets {
			ways = append(ways, way{Transport: t, target: target})
		}
		if err != nil {
			return nil, "resolve", err
		}
		return ways, "", nil
	case t.url != "":
		return []way{{Transport: t}}, "", nil
	}
	meta, err := transport.LookUpHostMeta(ctx, s.web(nil), domain)
	found := meta.WebSocket
	if t.kind == overBOSH {
		found = meta.BOSH
	}
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("%w: the host-meta of the domain names no address for %s", ErrUnsupported, t)
	}
	if err != nil {
		return nil, "host-meta", err
	}
	for _, address := range found {
		ways = append(ways, way{Transport: Transport{kind: t.kind, url: address}})
	}
	return ways, "", nil
}

// web is what the wires over HTTP work with; c is nil for host-meta.
func (s *Stream) web(c *conn) transport.Web {
	w := transport.Web{
		Dial:     func(ctx context.Context, _, addr string) (net.Conn, error) { return s.dialWeb(ctx, addr) },
		TLS:      func(ctx context.Context, host string) (*tls.Config, error) { return s.webTLS(ctx, host, host) },
		Client:   s.cfg.HTTPClient,
		Insecure: s.cfg.TLSPolicy != TLSRequired,
		Limits:   s.cfg.limits(false),
	}
	if c != nil {
		w.Meter = (*meter)(c)
		if named := c.transport.host; named != "" {
			w.TLS = func(ctx context.Context, host string) (*tls.Config, error) { return s.webTLS(ctx, host, named) }
		}
	}
	return w
}

func (s *Stream) dialWeb(ctx context.Context, addr string) (net.Conn, error) {
	host, p, err := net.SplitHostPort(addr)
	port, perr := strconv.ParseUint(p, 10, 16)
	if err = errors.Join(err, perr); err != nil {
		return nil, err
	}
	return s.dial(ctx, transport.Target{Host: host, Port: uint16(port)}, addr)
}

// webTLS is the configuration for a host of the web: its certificate must be for named, or for the domain of the JID (XEP-0156 section 2.2).
func (s *Stream) webTLS(ctx context.Context, host, named string) (*tls.Config, error) {
	s.postWillSecure()
	base, err := s.baseTLS(ctx)
	if err != nil {
		return nil, err
	}
	domain, err := s.cfg.JID.ASCIIDomain()
	if err != nil {
		return nil, err
	}
	cfg := transport.ClientTLS(base, named, named, base.RootCAs, false)
	cfg.ServerName = host
	verify := either(cfg.VerifyConnection, transport.ClientTLS(base, domain, s.cfg.JID.Domain(), base.RootCAs, false).VerifyConnection)
	cfg.VerifyConnection = func(cs tls.ConnectionState) error {
		err := s.trusts(ctx, cs, verify(cs))
		if err == nil {
			s.postDidSecure(cs)
		}
		return err
	}
	return cfg, nil
}

// openWeb opens a stream over HTTP.
func (s *Stream) openWeb(ctx context.Context, w way) (_ *conn, step string, err error) {
	c := newConn(s, nil, w.addr())
	c.transport = w.Transport
	dial, step := transport.DialWebSocket, "websocket"
	if w.kind == overBOSH {
		dial, step = transport.DialBOSH, "bosh"
	}
	u, err := url.Parse(w.url)
	if err != nil {
		return nil, step, errors.New("not a URL")
	}
	c.safe = u.Scheme == "wss" || u.Scheme == "https"
	wire, err := dial(ctx, s.web(c), w.url)
	if err != nil {
		return nil, step, err
	}
	c.wire = wire
	c.web, _ = wire.(transport.Secured)
	if w.kind == overWebSocket {
		c.trips.Add(1) // the upgrade
		if state, _, ok := c.tlsState(); ok {
			c.trips.Add(handshakeTrips(state))
		}
	}
	stop := context.AfterFunc(ctx, func() { c.end(context.Cause(ctx)) })
	defer stop()
	if step, err = s.negotiate(ctx, c, ""); err != nil {
		return nil, step, err
	}
	return c, "", nil
}

// redirect notes where the server sends the client to: after TLS only, since anybody can say so before.
func (c *conn) redirect(err error) {
	if err == nil || !c.secure() {
		return
	}
	var se *StreamError
	var ws *transport.SeeOtherURIError
	var bosh *transport.BOSHError
	to := way{Transport: c.transport, safe: true}
	if u, err := url.Parse(to.url); err == nil && to.host == "" { // it is still to be the one that was asked for, RFC 6120 section 4.9.3.19
		to.host = u.Hostname()
	}
	switch {
	case errors.As(err, &ws):
		to.kind, to.url = overWebSocket, ws.URI
	case errors.As(err, &bosh) && bosh.URI != "":
		to.kind, to.url = overBOSH, bosh.URI
	case errors.As(err, &se) && c.transport.kind == overTCP:
		host, port := se.OtherHost()
		if port == 0 && c.direct {
			port = 5223
		}
		to.target = transport.Target{Host: host, Port: cmp.Or(port, 5222), DirectTLS: c.direct}
	}
	if to.url != "" && to.check(false) != nil || to.url == "" && to.target.Host == "" || to.url == c.transport.url && to.addr() == c.addr {
		return
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.s.redirects++; c.s.redirects <= maxRedirects {
		c.s.prefer, c.s.redirected = &to, true
	}
}

// sameOnStreams are the conditions of BOSH that mean on streams what they mean there.
var sameOnStreams = []string{"host-unknown", "host-gone", "system-shutdown", "policy-violation", "internal-server-error"}

// ofWire says in the words of a stream what a wire over HTTP has ended with.
func ofWire(err error) error {
	var ws *transport.SeeOtherURIError
	var bosh *transport.BOSHError
	se := &StreamError{Err: err}
	switch {
	case errors.As(err, &ws), errors.As(err, &bosh) && bosh.URI != "":
		se.Condition = "see-other-host"
	case bosh == nil:
		return err
	case bosh.Stream != nil:
		se.Element, se.Condition = bosh.Stream, "undefined-condition"
		for child := range stanza.Children(bosh.Stream, stanza.Any, stanza.NSStreamErrors) {
			if child.Tag != "text" {
				se.Condition = cut(child.Tag)
			}
		}
	case slices.Contains(sameOnStreams, bosh.Condition):
		se.Condition = bosh.Condition
	default:
		return err
	}
	return se
}

// followRedirects begins, or ends, a Login, which may be sent elsewhere after it has connected.
func (s *Stream) followRedirects(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loggingIn, s.redirects, s.redirected = on, 0, false
}

// takeRedirect reports whether the server that an attempt has ended at has said where to go instead.
func (s *Stream) takeRedirect() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	again := s.redirected
	s.redirected = false
	return again
}

// takePrefer is what is to be tried first, once.
func (s *Stream) takePrefer() *way {
	s.mu.Lock()
	defer s.mu.Unlock()
	prefer := s.prefer
	s.prefer, s.redirected = nil, false
	return prefer
}

func (s *Stream) postWillSecure() {
	for _, e := range s.delegates.all() {
		if d := e.v.Secure; d != nil {
			s.post(&e.listener, false, func(ctx context.Context) { d.WillSecure(ctx, s) })
		}
	}
}

func (s *Stream) postDidSecure(state tls.ConnectionState) {
	for _, e := range s.delegates.all() {
		if d := e.v.Secure; d != nil {
			s.post(&e.listener, false, func(ctx context.Context) { d.DidSecure(ctx, s, state) })
		}
	}
}

const nsCompress = "http://jabber.org/protocol/compress"

// compress has both sides compress what they send, XEP-0138: after authentication only.
func (c *conn) compress(ctx context.Context) error {
	const feature = "http://jabber.org/features/compress"
	wire, ok := c.wire.(*transport.XML)
	if !ok || !c.s.cfg.InsecureCompression {
		return nil
	}
	zlib := false
	for m := range stanza.Children(stanza.Child(c.features.Load(), "compression", feature), "method", feature) {
		zlib = zlib || stanza.Text(m) == "zlib"
	}
	if !zlib {
		return nil
	}
	c.w.raw([]byte("<compress xmlns='"+nsCompress+"'><method>zlib</method></compress>"), false)
	el, err := c.receive(ctx)
	switch {
	case err != nil:
		return err
	case stanza.Is(el, "failure", nsCompress):
		return nil // it goes on without
	case !stanza.Is(el, "compressed", nsCompress):
		return c.unexpected(el, "compressed")
	case wire.Buffered() > 0:
		return fmt.Errorf("%w: data before compression", ErrUnexpectedElement)
	}
	if err := c.w.idle(ctx); err != nil {
		return err
	}
	c.zip = transport.Compress(c.nc, c.s.cfg.MaxStanzaBytes)
	c.nc = c.zip
	c.overBytes()
	c.wire.SetLimits(c.s.cfg.limits(true))
	return c.openStream(ctx, true)
}
