package xmpp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-xmppframework/xmpp/internal/transport"
	"github.com/go-xmppframework/xmpp/internal/xmlstream"
	"github.com/go-xmppframework/xmpp/sasl"
	"github.com/go-xmppframework/xmpp/stanza"
)

// LevelTrace is the log level at which whole stanzas are logged. Credentials are never logged, at any level.
const LevelTrace = slog.LevelDebug - 4

// TLSPolicy says when a connection may stay unencrypted.
type TLSPolicy int

const (
	// TLSRequired refuses every connection that is not encrypted. It is the default.
	TLSRequired TLSPolicy = iota
	// InsecureTLSPreferred encrypts where the server offers it, and goes on in clear text where it does not.
	// Anybody on the path can remove the offer.
	InsecureTLSPreferred
	// InsecureTLSAllowed encrypts only where the server insists; see [Stream.Secure].
	InsecureTLSAllowed
)

// Resolver is what a stream asks of DNS; *[net.Resolver] has it.
type Resolver = transport.Resolver

// Config says who logs in, where and how. Only JID is required.
// A Config may be used for several streams; [New] copies it.
type Config struct {
	// JID is the account. A resource asks the server for that resource.
	// For anonymous logins a domain is enough.
	JID JID
	// Credentials prove who the account is: [Password], [PasswordFunc], [Anonymous] or [Mechanisms].
	// If zero, Login takes those of the last login that succeeded, and fails with [ErrNoCredentials] if there was none;
	// the Authenticate calls take their own.
	Credentials Credentials

	// Host is the host name or IP address to connect to.
	// The certificate is still checked against the JID's domain.
	// If zero, the servers are found through DNS (SRV records of the domain, then the domain itself).
	Host string
	// Port goes with Host. If zero, 5222, or 5223 with DirectTLS.
	Port int
	// DirectTLS starts TLS with the first byte (XEP-0368); it goes with Host.
	// If zero, STARTTLS is used there. DNS says it by itself.
	DirectTLS bool
	// Transports are the ways to reach the server, tried in order until one leads to it. If zero, [TCP] alone.
	Transports []Transport
	// Proxy is the address of a proxy for all connections: socks5://user:password@host:port, or http: or https: for HTTP CONNECT.
	// It looks the names of servers up; SRV records are still asked for here.
	// If zero, connections are made directly.
	Proxy *url.URL
	// HTTPClient makes the requests of WebSocket, BOSH and host-meta, and verifies certificates by itself. It replaces Dial and Proxy there.
	// If zero, the stream does that as it does for TCP.
	HTTPClient *http.Client
	// Component logs in as a component of the server (XEP-0114): JID is its domain, Host and Port lead to where the server waits for components,
	// Credentials are a [Password]. Nothing is bound and no presence sent, every stanza needs an address to go to; those that are sent without a
	// sender are from JID, any sender at its domain may be given.
	// There is no STARTTLS: with DirectTLS unset, Host must be this machine unless TLSPolicy is one that says Insecure.
	// If zero, the stream is that of a client.
	Component bool
	// PreferIPv4 tries IPv4 addresses first. If zero, IPv6 is tried first.
	PreferIPv4 bool
	// Dial makes the network connection to a host and port; it looks the name up itself.
	// If zero, both address families are tried side by side (RFC 8305) with a [net.Dialer].
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Resolver answers DNS queries. If zero, [net.DefaultResolver] does.
	Resolver Resolver

	// RootCAs are the certificate authorities to trust. If zero, the system's.
	RootCAs *x509.CertPool
	// TLS may change the settings of a handshake: client certificates, versions, key log.
	// TLS 1.2 stays the floor. A hook that sets InsecureSkipVerify is an error without Config.InsecureSkipVerify.
	// If zero, the defaults are used.
	TLS func(*tls.Config)
	// InsecureSkipVerify accepts any certificate. Anybody on the path can then read and change everything.
	// If zero, certificates are verified.
	InsecureSkipVerify bool
	// TLSPolicy says when a connection may stay unencrypted. If zero, never.
	TLSPolicy TLSPolicy
	// AllowPlain permits the PLAIN mechanism, which shows the password to the server.
	// It is used over verified TLS only, and after everything stronger.
	// If zero, PLAIN is never used.
	AllowPlain bool
	// MinMechanism is the weakest SASL mechanism to accept, such as "SCRAM-SHA-256".
	// If zero, any that is allowed, but never a weaker one than this Stream has used before.
	MinMechanism string

	// NoSASL2 leaves out the login in one step (XEP-0388). If zero, it is used where it is offered.
	NoSASL2 bool
	// Bind2 binds the resource along with such a login (XEP-0386), where that is offered and JID has no resource. The server may then throw away
	// the messages that came while nobody was online: they are to be fetched from the archive.
	// If zero, it is bound afterwards, unless a module that fetches them is active: a [CatchUpper].
	Bind2 bool
	// Pipelining saves round trips: STARTTLS is asked for with the stream's header, and from the second login on (with Logins, also of an earlier process)
	// the login is begun with it, by what the server offered the last time. A server that does not bear it costs one more attempt.
	// If zero, that is done only with servers that say when their offer changes (XEP-0509).
	Pipelining bool
	// NoFAST leaves out tokens (XEP-0484). If zero, Login asks for one where it is offered, and logs in with it from then on;
	// the credentials are used again when the server does not take it any more.
	NoFAST bool
	// InsecureUnboundTokens permits tokens that are not tied to the TLS connection: whoever gets hold of one can use it.
	// If zero, only tied ones are used.
	InsecureUnboundTokens bool
	// Logins keeps tokens, the id of the installation and the strongest mechanism used.
	// If zero, the stream keeps them as long as it lives.
	Logins LoginStorage
	// UserAgent describes the client to its own server, where that wants to know (XEP-0388).
	// If zero, nothing but a random id is told.
	UserAgent UserAgent

	// InsecureLegacyAuth permits the login of old servers that have no SASL (XEP-0078), and streams without a version:
	// with a digest of the password, over TLS and with AllowPlain with the password itself. Nothing shows that the server is the right one but its certificate.
	// If zero, such servers are refused.
	InsecureLegacyAuth bool
	// InsecureCompression compresses what is sent after the login where the server offers that (XEP-0138):
	// how much a message can be compressed tells who listens something of what is in it (CRIME).
	// If zero, nothing is compressed.
	InsecureCompression bool

	// Lang is the xml:lang of the stream. If zero, none is sent.
	Lang string
	// NoInitialPresence keeps Login from sending <presence/>.
	// If zero, Login sends it, and the server starts to deliver messages.
	NoInitialPresence bool
	// SkipSession leaves out the session request of RFC 3921 even where the server demands it.
	// If zero, it is sent where the server offers it and does not mark it optional.
	SkipSession bool
	// NewID makes ids for stanzas that have none. If zero, [stanza.NewID].
	NewID func() string

	// ConnectTimeout bounds each of Connect (all servers together) and an Authenticate call. A ctx shortens it.
	// If zero, 30 s.
	ConnectTimeout time.Duration
	// IQTimeout ends a [Stream.SendIQ] whose ctx has no deadline of its own. If zero, 30 s.
	IQTimeout time.Duration
	// CloseTimeout bounds [Stream.Close]. A ctx shortens it. If zero, 5 s.
	CloseTimeout time.Duration
	// WriteTimeout ends a connection that accepts no data for so long.
	// If zero, 60 s. If negative, never.
	WriteTimeout time.Duration
	// KeepAlive is the silence in both directions after which one white space character is sent.
	// At least 10 s. If zero, 120 s. If negative, never.
	KeepAlive time.Duration
	// KeepAliveCharacter is a space, tab or newline. If zero, a space.
	KeepAliveCharacter byte
	// MaxPause is how long the reader waits at most for a full queue before it looks at the connection again.
	// If zero, 10 s.
	MaxPause time.Duration

	// MaxStanzaBytes bounds a received stanza after login; MaxStanzaBytesBeforeLogin before.
	// If zero, 16 MiB and 64 KiB.
	MaxStanzaBytes, MaxStanzaBytesBeforeLogin int
	// MaxDepth, MaxAttributes and MaxNamespaces bound the elements of a received stanza.
	// If zero, 100 levels, 128 attributes and 32 namespace declarations an element.
	MaxDepth, MaxAttributes, MaxNamespaces int

	// ResetByteCounters sets the counters of [Stream.Stats] for bytes to zero at each Connect.
	// If zero, they go on.
	ResetByteCounters bool
	// Logger gets the log: at Warn what the application or the server should not have done, at Debug connections,
	// logins and their ends, at [LevelTrace] every stanza; secrets never.
	// If zero, nothing is logged.
	Logger *slog.Logger
	// OnPanic is told of a callback that panicked, on the goroutine of its queue, so maybe of several at once;
	// the stream goes on with the next one.
	// An IQ request whose handler panicked is answered internal-server-error.
	// If zero, panics are not swallowed: the program ends with a *[PanicError] that names the delegate.
	OnPanic func(*PanicError)
}

// withDefaults checks the configuration and fills in the zeros.
func (c Config) withDefaults() (Config, error) {
	if c.JID.IsZero() {
		return c, fmt.Errorf("%w: Config.JID is empty", ErrInvalidParameter)
	}
	if c.Port < 0 || c.Port > 65535 {
		return c, fmt.Errorf("%w: Config.Port %d is not in 1…65535", ErrInvalidParameter, c.Port)
	}
	if strings.Contains(c.Host, "/") {
		return c, fmt.Errorf("%w: Config.Host %q is no host name", ErrInvalidParameter, clip(c.Host))
	}
	if _, _, err := net.SplitHostPort(c.Host); err == nil {
		return c, fmt.Errorf("%w: Config.Host %q: the port goes into Config.Port", ErrInvalidParameter, clip(c.Host))
	}
	if pc, ok := c.Credentials.(*passwordCredentials); ok && pc.password != nil && c.JID.Local() == "" && !c.Component {
		return c, fmt.Errorf("%w: Config.JID %q has no user part, as in user@domain", ErrInvalidParameter, clip(c.JID.String()))
	}
	if c.Component {
		if err := c.checkComponent(); err != nil {
			return c, err
		}
	}
	for _, t := range c.Transports {
		if err := t.check(c.TLSPolicy != TLSRequired); err != nil {
			return c, err
		}
	}
	if c.Proxy != nil {
		if _, err := transport.ProxyDial(c.Proxy, nil); err != nil {
			return c, fmt.Errorf("%w: Config.Proxy: %w", ErrInvalidParameter, err)
		}
	}
	if c.Host == "" && (c.Port != 0 || c.DirectTLS) {
		return c, fmt.Errorf("%w: Config.Port and DirectTLS need Config.Host", ErrInvalidParameter)
	}
	switch c.KeepAliveCharacter {
	case 0:
		c.KeepAliveCharacter = ' '
	case ' ', '\t', '\n':
	default:
		return c, fmt.Errorf("%w: Config.KeepAliveCharacter %q is no white space", ErrInvalidParameter, c.KeepAliveCharacter)
	}
	if c.MinMechanism != "" && sasl.Rank(c.MinMechanism) <= 0 && !offers(c.Credentials, c.MinMechanism) {
		return c, fmt.Errorf("%w: Config.MinMechanism %q is unknown", ErrInvalidParameter, c.MinMechanism)
	}
	for _, text := range []string{c.UserAgent.ID, c.UserAgent.Software, c.UserAgent.Device} {
		if _, err := xmlstream.AppendStandalone(nil, stanza.New("x", "x").T(text).Element()); err != nil || len(text) > 256 {
			return c, fmt.Errorf("%w: Config.UserAgent %q", ErrInvalidParameter, clip(text))
		}
	}
	if c.Port == 0 {
		c.Port = 5222
		if c.DirectTLS {
			c.Port = 5223
		}
	}
	if c.Resolver == nil {
		c.Resolver = net.DefaultResolver
	}
	if c.NewID == nil {
		c.NewID = stanza.NewID
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	setDefault(&c.ConnectTimeout, 30*time.Second)
	setDefault(&c.IQTimeout, 30*time.Second)
	setDefault(&c.CloseTimeout, 5*time.Second)
	setDefault(&c.WriteTimeout, time.Minute)
	c.KeepAlive = clampKeepAlive(c.KeepAlive)
	setDefault(&c.MaxPause, 10*time.Second)
	setDefault(&c.MaxStanzaBytes, 16<<20)
	setDefault(&c.MaxStanzaBytesBeforeLogin, 64<<10)
	return c, nil
}

// offers reports whether the credentials have a mechanism of that name, maybe one of the application's own.
func offers(c Credentials, name string) bool {
	return c != nil && slices.ContainsFunc(c.Mechanisms(), func(m sasl.Mechanism) bool { return m.Name == name })
}

func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// contentNS is the namespace of stanzas on the wire; "" for that of clients.
func (c *Config) contentNS() string {
	if c.Component {
		return nsComponent
	}
	return ""
}

func (c *Config) limits(loggedIn bool) xmlstream.Limits {
	l := xmlstream.Limits{StanzaBytes: c.MaxStanzaBytesBeforeLogin, Depth: c.MaxDepth, Attrs: c.MaxAttributes, NSDecls: c.MaxNamespaces}
	if loggedIn {
		l.StanzaBytes = c.MaxStanzaBytes
	}
	return l
}
