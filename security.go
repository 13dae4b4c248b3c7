package xmpp

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-xmppframework/xmpp/internal/transport"
	"github.com/go-xmppframework/xmpp/stanza"
)

// IsSecure reports whether the connection is encrypted.
func (s *Stream) IsSecure() bool {
	_, ok := s.ConnectionState()
	return ok
}

// ConnectionState describes the TLS connection, over BOSH the last one; ok is false when there is none.
func (s *Stream) ConnectionState() (state tls.ConnectionState, ok bool) {
	if c := s.current(); c != nil {
		state, _, ok = c.tlsState()
	}
	return state, ok
}

// Security is what protects a connection.
type Security struct {
	Transport      string // "TCP", "direct TLS", "WebSocket" or "BOSH"; empty when not connected
	TLS            bool
	TLSVersion     uint16 // such as tls.VersionTLS13
	CipherSuite    uint16
	Mechanism      string // of the login, such as "SCRAM-SHA-256-PLUS"; empty before it
	ChannelBinding string // the type that ties the login to the TLS connection, such as "tls-exporter"; empty if none
	SASL2          bool   // the login was done in one step with what belongs to it (XEP-0388)
	Bind2          bool   // and so was binding (XEP-0386)
	Token          bool   // it was with a token, not with the credentials (XEP-0484)
	Resumed        bool   // an earlier session goes on (XEP-0198)
	RoundTrips     int    // that it took from the connection being there to the session, TLS included
}

// Security tells what protects the connection; the zero value when not connected.
func (s *Stream) Security() Security {
	var sec Security
	if cs, ok := s.ConnectionState(); ok {
		sec.TLS, sec.TLSVersion, sec.CipherSuite = true, cs.Version, cs.CipherSuite
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.conn; c != nil {
		if sec.Transport = (Transport{kind: c.transport.kind}).String(); c.direct {
			sec.Transport = "direct TLS"
		}
	}
	if s.authed {
		used := s.used
		used.Transport, used.TLS, used.TLSVersion, used.CipherSuite = sec.Transport, sec.TLS, sec.TLSVersion, sec.CipherSuite
		return used
	}
	return sec
}

// String is for people: "TLS 1.3, TLS_AES_128_GCM_SHA256, SCRAM-SHA-256-PLUS (tls-exporter)".
func (s Security) String() string {
	parts := []string{"no encryption"}
	if s.TLS {
		parts = []string{tls.VersionName(s.TLSVersion), tls.CipherSuiteName(s.CipherSuite)}
	}
	if s.Mechanism != "" {
		m := s.Mechanism
		if s.ChannelBinding != "" {
			m += " (" + s.ChannelBinding + ")"
		}
		parts = append(parts, m)
	}
	return strings.Join(parts, ", ")
}

const startTLS = "<starttls xmlns='" + nsStartTLS + "'/>"

// startsTLSAhead reports whether STARTTLS is asked for with the stream's header: nothing else can come of it where TLS is required.
func (c *conn) startsTLSAhead() bool {
	cfg := &c.s.cfg
	return cfg.Pipelining && cfg.TLSPolicy == TLSRequired && !cfg.Component && c.raw != nil
}

// startTLS upgrades the connection, RFC 6120 section 5, and opens the stream anew.
func (c *conn) startTLS(ctx context.Context, domain string) (step string, err error) {
	c.setState(StateStartTLS)
	if !c.startsTLSAhead() {
		c.w.raw([]byte(startTLS), false)
	}
	el, err := c.receive(ctx)
	if err != nil {
		return "starttls", err
	}
	switch {
	case stanza.Is(el, "failure", nsStartTLS):
		return "starttls", fmt.Errorf("%w: the server refused STARTTLS", ErrUnsupported)
	case !stanza.Is(el, "proceed", nsStartTLS):
		return "starttls", c.unexpected(el, "proceed")
	case c.wire.(*transport.XML).Buffered() > 0:
		return "starttls", ErrTLSInjection
	}
	if err := c.w.idle(ctx); err != nil {
		return "starttls", err
	}
	if err := c.handshake(ctx, domain, false); err != nil {
		return "TLS", err
	}
	// All that was learnt in clear text is forgotten with the old decoder.
	c.header.Store(nil)
	c.overBytes()
	if err := c.openStream(ctx, true, c.plan(ctx)...); err != nil {
		return "stream", err
	}
	return "", nil
}

// eager reports whether something may be waiting for what comes in next.
func (c *conn) eager(since time.Time) bool {
	return c.s.waiters.Load() > 0 || c.w.lastWrite.Load() >= int64(since.Sub(c.began))
}

// handshake runs TLS on the connection. The reader and the writer are idle.
func (c *conn) handshake(ctx context.Context, domain string, direct bool) error {
	s := c.s
	s.postWillSecure()
	base, err := s.baseTLS(ctx)
	if err != nil {
		return err
	}
	cfg := transport.ClientTLS(base, domain, s.cfg.JID.Domain(), base.RootCAs, direct)
	verify := cfg.VerifyConnection
	if s.cfg.Component { // which has no certificate of its own
		cfg = transport.ClientTLS(base, s.cfg.Host, s.cfg.Host, base.RootCAs, false)
		verify = either(cfg.VerifyConnection, verify)
	}
	asking := ctx // not kept by the connection, as long as it lasts
	defer func() { asking = nil }()
	cfg.VerifyConnection = func(cs tls.ConnectionState) error { return s.trusts(asking, cs, verify(cs)) }
	tc := tls.Client(transport.ReadAhead(c.raw, c.eager), cfg)
	if err := tc.HandshakeContext(ctx); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return err
	}
	c.nc = tc
	c.tls.Store(tc)
	c.trips.Add(handshakeTrips(tc.ConnectionState()))
	s.postDidSecure(tc.ConnectionState())
	return nil
}

// either accepts what one of two accepts; the error is that of the first.
func either(a, b func(tls.ConnectionState) error) func(tls.ConnectionState) error {
	return func(cs tls.ConnectionState) error {
		err := a(cs)
		if err != nil && b(cs) == nil {
			return nil
		}
		return err
	}
}

// baseTLS is what the application says of handshakes.
func (s *Stream) baseTLS(ctx context.Context) (*tls.Config, error) {
	base := &tls.Config{RootCAs: s.cfg.RootCAs, DynamicRecordSizingDisabled: true}
	s.mu.Lock()
	creds := cmp.Or(s.newCreds, s.cfg.Credentials, s.lastCreds)
	s.mu.Unlock()
	if c, ok := creds.(*certificateCredentials); ok {
		base.Certificates = []tls.Certificate{c.cert}
	}
	base, err := s.askTLS(ctx, base)
	if err != nil {
		return nil, err
	}
	if base.InsecureSkipVerify && !s.cfg.InsecureSkipVerify {
		return nil, fmt.Errorf("%w: Config.TLS leaves verification off; that needs Config.InsecureSkipVerify", ErrInvalidParameter)
	}
	base.DynamicRecordSizingDisabled = true // a batch of stanzas is one record where it fits
	return base, nil
}

// trusts decides about a certificate, of which the ordinary verification says err.
func (s *Stream) trusts(ctx context.Context, cs tls.ConnectionState, err error) error {
	if asked, answer := s.askTrust(ctx, cs, err); asked {
		return answer
	}
	if s.cfg.InsecureSkipVerify {
		return nil
	}
	return err
}

// handshakeTrips is how many round trips a handshake took.
func handshakeTrips(cs tls.ConnectionState) int32 {
	if cs.Version == tls.VersionTLS13 && !cs.HelloRetryRequest || cs.Version < tls.VersionTLS13 && cs.DidResume {
		return 1
	}
	return 2
}

// Secure upgrades an unencrypted connection by STARTTLS, where Config.TLSPolicy left it so.
// DidConnect is posted again when the stream is open anew. An error ends the connection,
// unless it is [ErrInvalidState] (not connected, logged in, or secure already) or [ErrUnsupported] (not offered).
func (s *Stream) Secure(ctx context.Context) error {
	if s.IsSecure() {
		return fmt.Errorf("%w: the connection is secure", ErrInvalidState)
	}
	if !s.HasFeature("starttls", nsStartTLS) {
		if !s.IsConnected() {
			return fmt.Errorf("%w: the stream is %s", ErrInvalidState, s.State())
		}
		return ErrUnsupported
	}
	ctx, done, err := s.begin(ctx, StateConnected, StateStartTLS)
	if err != nil {
		return err
	}
	defer done()
	c := s.current()
	if c == nil {
		return &DisconnectedError{}
	}
	domain, err := s.cfg.JID.ASCIIDomain()
	if err != nil {
		return err
	}
	told := s.willTell(c)
	defer told()
	c.negotiating.Store(true)
	step, err := c.startTLS(ctx, domain)
	s.mu.Lock()
	if err == nil && s.conn == c {
		s.state = StateConnected
		s.postDidConnect()
	} else if err == nil {
		step, err = "stream", c.lostError()
	}
	s.mu.Unlock()
	if err == nil {
		c.rest()
		return nil
	}
	if ctx.Err() != nil && !errors.Is(err, context.Cause(ctx)) {
		err = context.Cause(ctx)
	}
	told()
	c.end(err)
	<-c.readDone
	return &ConnectError{Domain: s.cfg.JID.Domain(), Attempts: []Attempt{{step, c.addr, err}}}
}

// String names the account and the state.
func (s *Stream) String() string {
	return fmt.Sprintf("xmpp.Stream(%s, %s)", clip(s.MyJID().String()), s.State())
}

// GoString is String.
func (s *Stream) GoString() string { return s.String() }

// Format writes String for every verb: fmt would read the fields without their locks.
func (s *Stream) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }
