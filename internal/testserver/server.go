package testserver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/internal/xmlstream"
	"github.com/go-xmppframework/xmpp/jid"
)

// DefaultDomain is served when no other domain is asked for.
const DefaultDomain = "example.test"

// TLSMode says what a server does about STARTTLS.
type TLSMode int

const (
	TLSRequired TLSMode = iota // offered, and nothing else until it is used
	TLSOptional                // offered beside SASL
	TLSNone                    // neither STARTTLS nor direct TLS
)

// ConflictPolicy says what happens when a resource is bound that is in use (RFC 6120 §7.7.2.2).
type ConflictPolicy int

const (
	ConflictReplace ConflictPolicy = iota // the older session ends with the stream error conflict
	ConflictRefuse                        // the request is answered with the stanza error conflict
	ConflictRename                        // the newer session gets another resource
)

// Options configures a [Server]. The zero value is a working configuration.
type Options struct {
	// Domain is what the server serves, as a domainpart or an IP literal. If zero, [DefaultDomain].
	Domain string
	// TLS is the policy about encryption. If zero, [TLSRequired]. Direct TLS is accepted unless it is TLSNone.
	TLS TLSMode
	// Certificate is the server's. If nil, [DefaultAuthority] issues one for Domain.
	Certificate *tls.Certificate
	// TLSConfig may change the configuration of every handshake. If nil, it is TLS 1.2 or later.
	TLSConfig func(*tls.Config)
	// Mechanisms are offered exactly so, whatever the connection is.
	// If nil, all of SCRAM are, -PLUS when the connection has a channel binding, PLAIN under TLS, and EXTERNAL with a certificate of the client.
	// There are also ANONYMOUS, OAUTHBEARER, X-OAUTH2 and DIGEST-MD5.
	Mechanisms []string
	// BindingTypes is the XEP-0440 list, and what -PLUS accepts.
	// If nil, it is what the connection has, and sent along with -PLUS mechanisms only; if empty, no list is sent and the connection's own are accepted.
	BindingTypes []string
	// Iterations is the SCRAM iteration count. If zero, 4096.
	Iterations int
	// Conflict is what happens when a resource is in use. If zero, [ConflictReplace].
	Conflict ConflictPolicy
	// Limits bound what a client may send. If zero, those of the xmlstream package.
	Limits xmlstream.Limits
	// PipeBuffer is the size of each direction of an in-memory connection. If zero, [DefaultPipeBuffer].
	PipeBuffer int
	// Features are XML elements added to the features that follow authentication. If nil, there are none.
	Features []string
	// Without are namespaces that the server knows nothing of: it neither announces them, nor answers requests in them.
	// Roster versioning and pre-approval go by the namespaces of their stream features. For stream management there is NoSM. If nil, it knows all.
	Without []string
	// PEP gives accounts nodes (XEP-0163). If nil, they have none; otherwise these are further features that accounts announce.
	PEP []string
	// NoSM makes a server without stream management.
	NoSM bool
	// SM is how stream management is done; [Server.SetSM] changes it.
	SM SMOptions
	// SASL2 offers the login of XEP-0388 beside that of RFC 6120: with Bind 2, FAST and stream management in one go.
	SASL2 bool
	// Login is how clients log in, in detail.
	Login LoginOptions
	// ClientCAs are who may sign certificates of clients. With it handshakes ask for one, and EXTERNAL is offered to whom has one that is good.
	// If nil, they do not.
	ClientCAs *x509.CertPool
	// Compression offers zlib after the login (XEP-0138).
	Compression bool
	// Tamper changes what the server says at a step before it is sent, however it came to it: what it returns goes out.
	// It runs on the goroutine that reads that client, and must call no method of the server. If nil, nothing is changed.
	Tamper func(at Step, xml string) string
	// SASLTamper changes the data of a mechanism before it is encoded: that of challenges, or with last set that of the success.
	// It is for SASL and SASL2 alike. If nil, nothing is changed.
	SASLTamper func(mechanism string, last bool, data string) string
	// Web is what the server offers over HTTP.
	Web WebOptions
	// Registration lets clients make accounts, change their passwords and remove them (XEP-0077). If nil, they cannot.
	Registration *Registration
	// Handler sees every element that a client sends after binding, on the goroutine that reads that client.
	// Returning true means that it is dealt with. If nil, the server deals with all.
	Handler func(s *Session, e *etree.Element) (handled bool)
	// Trace is given every element read and everything written, as lines of text. If nil, there is no trace.
	// Passwords sent by PLAIN are in it.
	Trace func(line string)
}

// Server is an XMPP server. Make it with [New].
type Server struct {
	opts    Options
	domain  jid.JID
	started time.Time
	ascii   string
	cert    tls.Certificate
	wg      sync.WaitGroup

	mu         sync.Mutex
	closed     bool
	refusing   bool
	dialled    int
	listeners  []net.Listener
	links      map[*link]struct{}
	accounts   map[string]*account // by localpart
	hosts      map[string]func(*etree.Element)
	scripts    []*Script
	scripted   bool     // connections beyond the scripts are refused
	later      []func() // to be done after mu is released
	bound      int      // resources bound so far
	plans      map[Step]*plan
	cuts       int // connections cut so far
	sm         smServer
	web        webServer
	components map[string]*Component // by domain
	invites    map[string]*invite    // by token
	redirects  map[Step]*redirect

	configVersion string            // see LoginOptions
	oauth         map[string]string // users by token
}

// New returns a server that is ready to be dialled. It starts no goroutine before it is.
func New(o Options) (*Server, error) {
	if o.Domain == "" {
		o.Domain = DefaultDomain
	}
	if o.Iterations == 0 {
		o.Iterations = 4096
	}
	domain, err := jid.New("", o.Domain, "")
	if err != nil {
		return nil, fmt.Errorf("testserver: domain: %w", err)
	}
	ascii, err := domain.ASCIIDomain()
	if err != nil {
		return nil, fmt.Errorf("testserver: domain: %w", err)
	}
	s := &Server{
		opts: o, domain: domain, ascii: ascii, started: time.Now(),
		configVersion: o.Login.ConfigVersion,
		links:         map[*link]struct{}{}, accounts: map[string]*account{}, hosts: map[string]func(*etree.Element){},
	}
	s.sm.init(o.SM)
	if o.Certificate != nil {
		s.cert = *o.Certificate
		if s.cert.PrivateKey == nil || len(s.cert.Certificate) == 0 {
			return nil, errors.New("testserver: certificate without a key")
		}
		if s.cert.Leaf == nil { // channel binding needs it; without, there is no tls-server-end-point
			s.cert.Leaf, _ = x509.ParseCertificate(s.cert.Certificate[0])
		}
	} else {
		names := CertOptions{DNSNames: []string{ascii}}
		if ip := net.ParseIP(ascii); ip != nil {
			names = CertOptions{IPs: []net.IP{ip}}
		}
		s.cert = DefaultAuthority().Issue(names)
	}
	return s, nil
}

// Domain returns the domain that the server serves.
func (s *Server) Domain() jid.JID { return s.domain }

// Certificate returns the server's own certificate.
func (s *Server) Certificate() *x509.Certificate { return s.cert.Leaf }

// Roots returns a pool with the root that signed the default certificate.
func (s *Server) Roots() *x509.CertPool { return DefaultAuthority().Pool() }

func (s *Server) tlsConfig(direct bool) *tls.Config {
	c := &tls.Config{Certificates: []tls.Certificate{s.cert}, MinVersion: tls.VersionTLS12}
	if direct {
		c.NextProtos = []string{"xmpp-client"} // XEP-0368; STARTTLS has no ALPN
	}
	if s.opts.ClientCAs != nil {
		c.ClientAuth = tls.RequestClientCert // one that is no good does not end the handshake: it is worth nothing
	}
	if s.opts.TLSConfig != nil {
		s.opts.TLSConfig(c)
	}
	return c
}

// Listen makes the server reachable on a free port of 127.0.0.1 and returns the address.
// Real sockets are not usable in a synctest bubble; use [Server.Dial] there.
func (s *Server) Listen() (net.Addr, error) { return s.listen(s.serve) }

// Dial connects in memory. The host is ignored and so is the port, but for those where there is no client's stream:
// 443, 5443, 80 and 5280 are [Server.DialWeb], 5347 is [Server.DialComponent]. The connection is a *[Conn].
func (s *Server) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	switch _, port, _ := net.SplitHostPort(addr); port {
	case "443", "5443", "80", "5280":
		return s.DialWeb(ctx, network, addr)
	case "5347":
		return s.DialComponent(ctx, network, addr)
	}
	return s.dial(ctx, s.serve)
}

// listen accepts connections for serve on a free port of 127.0.0.1.
func (s *Server) listen(serve func(net.Conn) error) (net.Addr, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		ln.Close()
		return nil, net.ErrClosed
	}
	s.listeners = append(s.listeners, ln)
	s.wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			if serve(c) != nil {
				c.Close()
			}
		}
	})
	return ln.Addr(), nil
}

// dial connects in memory to serve.
func (s *Server) dial(ctx context.Context, serve func(net.Conn) error) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.dialled++
	name := fmt.Sprintf("client-%d", s.dialled)
	s.mu.Unlock()
	client, server := Pipe(s.opts.PipeBuffer, name, s.ascii)
	if err := serve(server); err != nil {
		return nil, &net.OpError{Op: "dial", Net: "pipe", Addr: pipeAddr(s.ascii), Err: err}
	}
	return client, nil
}

// serve starts a session on c, unless the server takes none.
func (s *Server) serve(c net.Conn) error {
	_, err := s.serveLink(c, func(*link) {})
	return err
}

// serveLink is serve for a connection that setup knows more about.
func (s *Server) serveLink(c net.Conn, setup func(*link)) (*link, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.refusing || (s.scripted && len(s.scripts) == 0) {
		return nil, syscall.ECONNREFUSED
	}
	l := newLink(s, c)
	setup(l)
	var cut plan
	lost := false
	if !l.web { // there the connection below it has met the step
		cut, lost = s.takeCut(StepDial)
	}
	if _, memory := c.(*Conn); lost && memory && cut.kind == CutReset {
		return nil, syscall.ECONNREFUSED
	}
	var script *Script
	if len(s.scripts) > 0 && !lost {
		script, s.scripts = s.scripts[0], s.scripts[1:]
	}
	session := &Session{link: l}
	s.links[l] = struct{}{}
	s.wg.Go(func() {
		switch {
		case lost:
			l.cut(cut.kind)
		case script != nil:
			session.runScript(script)
		case l.component:
			session.runComponent()
		default:
			session.run()
		}
		s.mu.Lock()
		delete(s.links, l)
		s.mu.Unlock()
	})
	return l, nil
}

// Refuse makes new connections fail with ECONNREFUSED for as long as it is set.
func (s *Server) Refuse(on bool) {
	s.mu.Lock()
	s.refusing = on
	s.mu.Unlock()
}

// Dialled returns how many connections were asked for with [Server.Dial], refused ones included.
func (s *Server) Dialled() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dialled
}

// Close closes every connection and listener and returns when every goroutine of the server has ended.
// Clients see a closed connection without a closing tag; for a polite end see [Server.Shutdown].
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	for _, ln := range s.listeners {
		ln.Close()
	}
	for l := range s.links {
		l.kill()
	}
	for _, m := range s.sm.byID {
		m.stopTimer()
	}
	unused := s.scripts
	s.scripts = nil
	s.mu.Unlock()
	s.closeWeb()
	s.wg.Wait()
	for _, sc := range unused {
		sc.finish(errors.New("no client has connected for this script"))
	}
}

// unlock releases mu and then does what was put off.
func (s *Server) unlock() {
	later := s.later
	s.later = nil
	s.mu.Unlock()
	for _, f := range later {
		f()
	}
}

// AddAccount adds an account; one that exists gets the new password.
func (s *Server) AddAccount(user, password string) error {
	bare, err := jid.New(user, s.domain.Domain(), "")
	if err != nil {
		return fmt.Errorf("testserver: account: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts[bare.Local()]
	if a == nil {
		a = newAccount(bare)
		s.accounts[bare.Local()] = a
	}
	a.setPassword(password)
	return nil
}

// setPassword is called with mu held.
func (a *account) setPassword(password string) {
	a.password, a.keys = password, map[string]*scramKeys{}
	clear(a.upgraded)
	clear(a.fast) // XEP-0484 §5: tokens go with the password
}

// HandleDomain makes f the receiver of all stanzas for another domain, as a component or a remote server would be.
// It answers with [Server.Deliver]. f must not keep the server waiting: it runs on the goroutine that reads the sender.
func (s *Server) HandleDomain(domain string, f func(e *etree.Element)) {
	s.mu.Lock()
	s.hosts[strings.ToLower(domain)] = f
	s.mu.Unlock()
}

// account finds the local account of j; mu is held.
func (s *Server) account(j jid.JID) *account {
	if j.Domain() != s.domain.Domain() || j.Local() == "" {
		return nil
	}
	return s.accounts[j.Local()]
}
