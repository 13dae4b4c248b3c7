package xmpptest

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/beevik/etree"

	xmpp "github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testserver"
)

// closeTimeout bounds how long the end of a test waits for a stream to close politely.
const closeTimeout = time.Second

// Server is an XMPP server inside the test's process.
// Its methods may be called at the same time; mistakes in using them fail the test.
type Server struct {
	t        testing.TB
	settings settings
	srv      *testserver.Server
	rooms    *testserver.Rooms // nil: none

	mu                     sync.Mutex
	passwords              map[string]string
	addr                   net.Addr
	webAddr, componentAddr net.Addr
	scripts                []*testserver.Script
}

// NewServer returns a running server, which is closed when the test ends.
func NewServer(t testing.TB, opts ...Option) *Server {
	t.Helper()
	s := NewUnstartedServer(t, opts...)
	s.Start()
	return s
}

// NewUnstartedServer returns a server that refuses connections until [Server.Start].
// It is closed when the test ends.
func NewUnstartedServer(t testing.TB, opts ...Option) *Server {
	t.Helper()
	s := &Server{t: t, settings: newSettings(t, opts), passwords: map[string]string{}}
	var err error
	if s.srv, err = testserver.New(s.settings.server); err != nil {
		t.Fatalf("xmpptest: %v", err)
	}
	s.addRooms()
	s.srv.Refuse(true)
	t.Cleanup(s.Close)
	return s
}

// Start makes the server accept connections.
func (s *Server) Start() { s.srv.Refuse(false) }

// Refuse makes new connections fail as where no server is, for as long as it is set. Those that exist go on.
func (s *Server) Refuse(on bool) { s.srv.Refuse(on) }

// Close waits for scripts that are being played, breaks what is still connected, and returns when nothing of the server runs any more.
// Clients see a lost connection; a polite end is [Server.Shutdown]. The end of the test calls it.
func (s *Server) Close() {
	s.t.Helper()
	s.settleScripts()
	s.srv.Close()
}

// Domain returns the address of the server.
func (s *Server) Domain() xmpp.JID { return s.srv.Domain() }

// Certificate returns the server's certificate, for tests of pinning.
func (s *Server) Certificate() *x509.Certificate { return s.srv.Certificate() }

// JID returns the bare address of an account.
func (s *Server) JID(user string) xmpp.JID {
	s.t.Helper()
	j, err := xmpp.NewJID(user, s.srv.Domain().Domain(), "")
	if err != nil {
		s.t.Fatalf("xmpptest: %v", err)
	}
	return j
}

// Addr returns the host and port where the server listens on loopback TCP, for STARTTLS and for direct TLS.
// The first call starts that. It cannot be used in a synctest bubble.
func (s *Server) Addr() string {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.addr == nil {
		addr, err := s.srv.Listen()
		if err != nil {
			s.t.Fatalf("xmpptest: %v", err)
		}
		s.addr = addr
	}
	return s.addr.String()
}

// AddAccount adds an account, or changes its password.
func (s *Server) AddAccount(user, password string) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addAccount(user, password)
}

func (s *Server) addAccount(user, password string) {
	s.t.Helper()
	if err := s.srv.AddAccount(user, password); err != nil {
		s.t.Fatalf("xmpptest: %v", err)
	}
	s.passwords[user] = password
}

// Config returns a configuration that is ready to log in as user, over an in-memory connection.
// An account that does not exist is added, with a password of its own.
func (s *Server) Config(user string) xmpp.Config {
	s.t.Helper()
	s.mu.Lock()
	if _, ok := s.passwords[user]; !ok {
		s.addAccount(user, rand.Text())
	}
	password := s.passwords[user]
	s.mu.Unlock()
	c := xmpp.Config{
		JID:         s.JID(user),
		Credentials: xmpp.Password(password),
		Host:        s.srv.Domain().Domain(),
		Port:        5222,
		RootCAs:     s.srv.Roots(),
		Dial:        s.srv.Dial,
	}
	if s.settings.server.TLS == testserver.TLSNone {
		c.TLSPolicy = xmpp.InsecureTLSPreferred
	}
	return c
}

// Client returns a stream that is logged in as user and has sent initial presence.
// The delegates are added before it connects. It is closed when the test t ends.
func (s *Server) Client(t testing.TB, user string, delegates ...xmpp.Delegate) *xmpp.Stream {
	t.Helper()
	return login(t, s.Config(user), func(stream *xmpp.Stream) {
		for _, d := range delegates {
			stream.AddDelegate(d)
		}
	})
}

func login(t testing.TB, c xmpp.Config, setup ...func(*xmpp.Stream)) *xmpp.Stream {
	t.Helper()
	stream, err := xmpp.New(c)
	if err != nil {
		t.Fatalf("xmpptest: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		stream.Close(ctx) // the server may be gone by now, or frozen
	})
	for _, f := range setup {
		f(stream)
	}
	if err := stream.Login(t.Context()); err != nil {
		t.Fatalf("xmpptest: login as %s: %v", c.JID, err)
	}
	return stream
}

// Contact is an item of a roster.
type Contact struct {
	JID          string
	Name         string
	Groups       []string
	Subscription string // none, to, from or both. If empty, none.
	Ask          bool   // a subscription request to the contact is pending
}

// AddContact puts a contact into the roster of an account, on that side only.
// Clients that have asked for the roster get a push.
func (s *Server) AddContact(user string, c Contact) {
	s.t.Helper()
	s.Config(user) // so that the account exists
	s.check(s.srv.AddContact(user, testserver.Contact(c)))
}

// Offline returns how many messages are stored for an account.
func (s *Server) Offline(user string) int { return s.srv.Offline(user) }

// Sessions returns the full addresses that are bound for an account, in no order; those of sessions that are held are among them.
func (s *Server) Sessions(user string) []xmpp.JID {
	s.t.Helper()
	var out []xmpp.JID
	for _, c := range s.srv.Sessions(s.JID(user)) {
		out = append(out, c.JID())
	}
	return out
}

// Deliver routes a stanza that comes from elsewhere: a contact on another server, a room, a component.
// Its from is taken as it is; its to is an address of this server. The namespace is jabber:client where none is given.
func (s *Server) Deliver(xml string) {
	s.t.Helper()
	s.check(s.srv.Deliver(xml))
}

// HandleDomain makes f the receiver of all stanzas for another domain, as a component or a remote server would be.
// It may answer with [Server.Deliver]. It runs on the goroutine that reads from the sender.
func (s *Server) HandleDomain(domain string, f func(e *etree.Element)) { s.srv.HandleDomain(domain, f) }

// SendRaw sends bytes to the sessions of j as they are, well-formed or not. Stream management counts the complete stanzas among them.
func (s *Server) SendRaw(j xmpp.JID, b []byte) {
	s.t.Helper()
	s.check(s.srv.SendRaw(j, b))
}

// StreamError ends the sessions of j, one resource or all of an account, with a stream error.
// content is the character data of the condition, which see-other-host has; mostly it is empty.
func (s *Server) StreamError(j xmpp.JID, condition, content string) {
	s.t.Helper()
	s.check(s.srv.StreamError(j, testserver.StreamError{Condition: condition, Content: content}))
}

// CloseStream ends the sessions of j politely, by the closing tag.
func (s *Server) CloseStream(j xmpp.JID) {
	s.t.Helper()
	s.check(s.srv.CloseStream(j))
}

// Kill breaks the connections of j, as a TCP reset does.
func (s *Server) Kill(j xmpp.JID) {
	s.t.Helper()
	s.check(s.srv.Kill(j))
}

// Freeze makes the server silent towards j for as long as it is set:
// the connections stay, nothing is sent, and what arrives is not handled.
func (s *Server) Freeze(j xmpp.JID, on bool) {
	s.t.Helper()
	s.check(s.srv.Freeze(j, on))
}

// Drip makes the server send to j one byte at a time, for as long as it is set.
func (s *Server) Drip(j xmpp.JID, on bool) {
	s.t.Helper()
	s.check(s.srv.Drip(j, on))
}

// Shutdown ends every stream with the error system-shutdown and refuses new connections until [Server.Start].
func (s *Server) Shutdown() { s.srv.Shutdown() }

func (s *Server) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Errorf("xmpptest: %v", err)
	}
}
