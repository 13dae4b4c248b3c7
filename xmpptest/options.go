package xmpptest

import (
	"crypto/tls"
	"testing"
	"time"

	"github.com/beevik/etree"

	xmpp "github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testserver"
)

// Option changes how a [Server] behaves.
type Option func(*settings)

type settings struct {
	server  testserver.Options
	timeout time.Duration
	trace   bool
	rooms   *Rooms
}

// WithDomain sets the domain that the server serves. Without it that is "example.test".
func WithDomain(domain string) Option {
	return func(s *settings) { s.server.Domain = domain }
}

// WithoutTLS makes a server that offers no encryption. [Server.Config] then allows it.
func WithoutTLS() Option {
	return func(s *settings) { s.server.TLS = testserver.TLSNone }
}

// WithOptionalTLS makes a server that offers STARTTLS and login side by side. Without it STARTTLS is required.
func WithOptionalTLS() Option {
	return func(s *settings) { s.server.TLS = testserver.TLSOptional }
}

// WithCertificate replaces the server's certificate, which otherwise fits the domain and the roots in [Server.Config].
func WithCertificate(cert tls.Certificate) Option {
	return func(s *settings) { s.server.Certificate = &cert }
}

// WithTLSConfig lets f change the server's configuration of every handshake.
func WithTLSConfig(f func(*tls.Config)) Option {
	return func(s *settings) { s.server.TLSConfig = f }
}

// WithMechanisms sets the SASL mechanisms that are offered, in this order and whatever the connection is.
// The server has SCRAM-SHA-1, -256 and -512, each also as -PLUS, PLAIN, ANONYMOUS, EXTERNAL (see [WithClientCertificates]),
// OAUTHBEARER and X-OAUTH2 (see [Server.AddOAuthToken]), and DIGEST-MD5; a login with any other name fails.
// Without it all of SCRAM are offered, PLAIN under TLS, and EXTERNAL to whom has a certificate.
func WithMechanisms(names ...string) Option {
	return func(s *settings) { s.server.Mechanisms = append([]string{}, names...) }
}

// WithBindingTypes sets the list of channel bindings of XEP-0440; with no types, no list is sent.
// Without it the list is what the connection has, and sent along with -PLUS mechanisms only.
func WithBindingTypes(types ...string) Option {
	return func(s *settings) { s.server.BindingTypes = append([]string{}, types...) }
}

// WithIterations sets the SCRAM iteration count. Without it that is 4096, the smallest that clients accept.
func WithIterations(n int) Option {
	return func(s *settings) { s.server.Iterations = n }
}

// Conflict says what a server does when a resource is bound that is in use.
type Conflict int

const (
	ConflictReplace Conflict = iota // the older session ends with the stream error conflict; the default
	ConflictRefuse                  // the request is answered with the stanza error conflict
	ConflictRename                  // the newer session gets another resource
)

// WithConflict sets what happens when a resource is in use.
func WithConflict(c Conflict) Option {
	return func(s *settings) { s.server.Conflict = testserver.ConflictPolicy(c) }
}

// WithFeatures adds XML elements to the stream features that follow the login.
// What they promise is up to a [Handler].
func WithFeatures(xml ...string) Option {
	return func(s *settings) { s.server.Features = append(s.server.Features, xml...) }
}

// Without takes away what the server can do, by namespaces: it neither announces them, nor answers requests in them.
// "urn:xmpp:features:rosterver" is roster versioning, "urn:xmpp:features:pre-approval" the pre-approval of subscriptions;
// the others are the namespaces of the requests, see the table in the package comment. Stream management has an option of its own.
// Without this option the server can do all of it.
func Without(namespaces ...string) Option {
	return func(s *settings) { s.server.Without = append(s.server.Without, namespaces...) }
}

// Handler sees every element that a client sends once it is logged in, before the server does.
// It runs on the goroutine that reads from that client. from is the client's full address, e belongs to the handler,
// send queues XML for that client. Returning true means that the element is dealt with.
type Handler func(from xmpp.JID, e *etree.Element, send func(xml string)) (handled bool)

// WithHandler makes the server ask h first.
func WithHandler(h Handler) Option {
	return func(s *settings) {
		s.server.Handler = func(c *testserver.Session, e *etree.Element) bool {
			return h(c.JID(), e, func(xml string) { c.SendRaw([]byte(xml)) })
		}
	}
}

// WithPipeBuffer sets how many bytes each direction of an in-memory connection holds before its writer waits.
// Without it that is 64 KiB.
func WithPipeBuffer(n int) Option {
	return func(s *settings) { s.server.PipeBuffer = n }
}

// WithTimeout sets how long scripts and [Peer]s wait for the client. Without it that is 5 seconds.
func WithTimeout(d time.Duration) Option {
	return func(s *settings) { s.timeout = d }
}

// WithTrace logs everything that is said to the test's log, passwords of PLAIN included.
func WithTrace() Option {
	return func(s *settings) { s.trace = true }
}

func newSettings(t testing.TB, opts []Option) settings {
	var s settings
	for _, o := range opts {
		o(&s)
	}
	if s.trace {
		s.server.Trace = func(line string) { t.Log(line) }
	}
	return s
}
