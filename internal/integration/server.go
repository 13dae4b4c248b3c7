package integration

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"
)

// stopGrace is how long a server has for an orderly stop.
const stopGrace = 6 * time.Second

// Server is a real server on 127.0.0.1. Its methods may be called from several goroutines.
type Server struct {
	Kind    Kind
	Version string // as the package says: "0.12.3", "26.07"

	prog     program
	set      settings
	dir      string // holds configuration, certificates, data and logs
	inner    string // dir as the server sees it: another path inside a side root
	lock     *os.File
	rootLock *os.File // held while the side root is in use; nil on the machine itself
	ports    [numPorts]uint16

	mu       sync.Mutex // guards the process and the accounts
	proc     *process   // nil after Stop
	accounts map[account]string
	closed   bool
}

type account struct{ user, domain string }

// Addr returns "127.0.0.1:port".
func (s *Server) Addr(p Port) string { return fmt.Sprintf("127.0.0.1:%d", s.Port(p)) }

// Port returns the number of the port. It stays the same over a restart.
func (s *Server) Port(p Port) uint16 { return s.ports[p] }

// Has reports whether the server can do all of that.
func (s *Server) Has(need ...Feature) bool { return s.Kind.Has(need...) }

// Roots returns a pool with the authority that signed the server's certificate.
// The certificate names every domain, all names one label below them, and the address 127.0.0.1.
func (s *Server) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	if ca, err := testAuthority(); err == nil {
		pool.AddCert(ca.cert)
	}
	return pool
}

// CACertFile returns the path of the authority's certificate in PEM. It is gone when the server is.
func (s *Server) CACertFile() string { return filepath.Join(s.dir, "tls", "ca.pem") }

// Dir returns the server's folder: configuration, data, logs. It is gone when the server is.
func (s *Server) Dir() string { return s.dir }

// ClientCertificate returns a certificate that names the addresses; without a resource, mostly one at CertHost.
// ejabberd wants an account of that name besides, see AddAccount, and for several addresses an authorization identity.
func (s *Server) ClientCertificate(t testing.TB, addresses ...string) tls.Certificate {
	t.Helper()
	return clientCertificate(t, testAuthority, addresses)
}

// RogueCertificate is like ClientCertificate, signed by an authority that the server does not trust.
func (s *Server) RogueCertificate(t testing.TB, addresses ...string) tls.Certificate {
	t.Helper()
	return clientCertificate(t, rogueAuthority, addresses)
}

func clientCertificate(t testing.TB, authority func() (*authority, error), addresses []string) tls.Certificate {
	t.Helper()
	ca, err := authority()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.clientCertificate(addresses...)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// BOSH returns the URL for HTTP binding, over TLS or not.
func (s *Server) BOSH(secure bool) string {
	if s.Kind.IsProsody() {
		return s.url("http", secure, "/http-bind")
	}
	return s.url("http", secure, "/bosh")
}

// WebSocket returns the URL for XMPP over WebSocket, over TLS or not.
func (s *Server) WebSocket(secure bool) string {
	if s.Kind.IsProsody() {
		return s.url("ws", secure, "/xmpp-websocket")
	}
	return s.url("ws", secure, "/ws")
}

// url names localhost, since Prosody chooses the host by that name.
func (s *Server) url(scheme string, secure bool, path string) string {
	if secure {
		return fmt.Sprintf("%ss://localhost:%d%s", scheme, s.Port(HTTPS), path)
	}
	return fmt.Sprintf("%s://localhost:%d%s", scheme, s.Port(HTTP), path)
}

// CPU is the processor time, user and system, that the server has taken since it was started; zero when it does not run.
func (s *Server) CPU() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		return 0
	}
	return s.proc.cpu()
}

// Stop stops the server in order, as an administrator would, or kills it after six seconds. Data stays for Restart.
// Clients see the connection closed, mostly after system-shutdown: at times a server closes before it has sent that.
// A stopped server is left alone.
func (s *Server) Stop(t testing.TB) { t.Helper(); s.must(t, "stop", s.halt(stopGrace)) }

// Kill ends the server by SIGKILL: clients see their connections cut off. Data stays for Restart.
func (s *Server) Kill(t testing.TB) { t.Helper(); s.must(t, "kill", s.halt(0)) }

// Restart stops or kills the server, if it runs, and starts it with the same ports, data and accounts.
// It returns when clients can connect. What ejabberd was told in the last seconds before a kill may be lost, except accounts.
func (s *Server) Restart(t testing.TB, kill bool) {
	t.Helper()
	grace := stopGrace
	if kill {
		grace = 0
	}
	s.must(t, "restart", s.restart(grace))
}

func (s *Server) must(t testing.TB, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", s.Kind, what, err, s.Log())
	}
}

func (s *Server) restart(grace time.Duration) error {
	if err := s.halt(grace); err != nil {
		return err
	}
	if err := s.run(); err != nil {
		return err
	}
	if grace == 0 && !s.Kind.IsProsody() {
		return s.restoreAccounts()
	}
	return nil
}

// halt ends the process and keeps the data.
func (s *Server) halt(grace time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		return nil
	}
	err := s.proc.stop(grace)
	s.proc = nil
	return err
}

// Close kills the server and removes its folder. Closing again does nothing.
func (s *Server) Close() error {
	err := s.halt(0)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return err
	}
	s.closed = true
	live.Delete(s)
	if rm := os.RemoveAll(s.dir); err == nil {
		err = rm
	}
	for _, f := range []*os.File{s.lock, s.rootLock} {
		if f != nil {
			f.Close()
		}
	}
	return err
}

// logFile is what the server writes, in its folder. ejabberd writes a file of its own besides, some seconds late.
const logFile = "output.log"

// logTail is how much of a log is shown.
const logTail = 6 << 10

// Log returns the last lines that the server logged.
func (s *Server) Log() string { return s.logSince(0) }

// logSize returns where the log ends now, for logSince.
func (s *Server) logSize() int64 {
	st, err := os.Stat(filepath.Join(s.dir, logFile))
	if err != nil {
		return 0
	}
	return st.Size()
}

// colour is what ejabberd adds for terminals.
var colour = regexp.MustCompile("\x1b\\[[0-9;]*m")

// logSince returns the last lines written after the log had that size.
func (s *Server) logSince(size int64) string {
	f, err := os.Open(filepath.Join(s.dir, logFile))
	if err != nil {
		return ""
	}
	defer f.Close()
	tail := colour.ReplaceAll(readTail(f, size), nil)
	if len(tail) == 0 {
		return ""
	}
	return fmt.Sprintf("--- what %s logged last\n%s", s.Kind, tail)
}
