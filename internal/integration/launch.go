package integration

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"
)

// startLimit is how long a server may take to come up; on an idle machine it takes a second.
const startLimit = 60 * time.Second

// settings are what an Option changes.
type settings struct {
	LogLevel      string
	ResumeTimeout int // seconds
	StanzaSize    int // bytes
	MaxItems      int
}

// Option changes how a server is configured.
type Option func(*settings)

// LogLevel sets what the server logs: "debug", "info", "warn" or "error". Without it, "info".
func LogLevel(level string) Option { return func(s *settings) { s.LogLevel = level } }

// ResumeTimeout sets for how long a stream can be resumed (XEP-0198), in whole seconds. Without it, one minute.
func ResumeTimeout(d time.Duration) Option {
	return func(s *settings) { s.ResumeTimeout = int(d / time.Second) }
}

// StanzaSize sets how long a stanza may be, in bytes, after authentication. Without it, 1 MiB.
func StanzaSize(n int) Option { return func(s *settings) { s.StanzaSize = n } }

// MaxItems sets how many items a PubSub node of ejabberd may be configured to keep. Without it, 1,000.
func MaxItems(n int) Option { return func(s *settings) { s.MaxItems = n } }

// Launch starts a server and returns when clients can connect.
// The caller closes it; should the program end first, the kernel kills the server, and the next Launch removes its folder.
// Tests rather use [Each], [Shared] or [Start].
func Launch(k Kind, opts ...Option) (*Server, error) {
	prog, err := locate(k)
	if err != nil {
		return nil, err
	}
	s := &Server{
		Kind: k, Version: prog.version, prog: prog,
		set:      settings{LogLevel: "info", ResumeTimeout: 60, StanzaSize: 1 << 20, MaxItems: 1000},
		accounts: make(map[account]string),
	}
	for _, o := range opts {
		o(&s.set)
	}
	if prog.root != "/" {
		// An install that replaces the side root waits for this lock.
		if s.rootLock, err = lockFile(filepath.Join(CacheDir(), "root.lock"), true, true); err != nil {
			return nil, err
		}
	}
	sweepOnce.Do(sweep)
	if err = s.makeDir(); err == nil {
		err = s.firstRun()
	}
	if err != nil {
		err = fmt.Errorf("%s %s did not start: %w\n%s", k, s.Version, err, s.Log())
		return nil, errors.Join(err, s.Close())
	}
	live.Store(s, nil)
	return s, nil
}

// live holds the servers that are not closed: for Main, and because the collector would close the lock files of one that nobody refers to.
var live sync.Map

// firstRun chooses ports and runs the server. A port may be taken between choosing and listening: then it tries once more.
func (s *Server) firstRun() error {
	for again := true; ; again = false {
		var err error
		if s.ports, err = choosePorts(); err != nil {
			return err
		}
		if s.Kind.IsProsody() { // tells domains apart, not ports
			for _, p := range []Port{PlainAllowed, ClientCert, TLS12} {
				s.ports[p] = s.ports[STARTTLS]
			}
		}
		if err = s.configure(); err != nil {
			return err
		}
		err = s.run()
		if err == nil || !again || !errors.Is(err, errPortTaken) {
			return err
		}
		if err = s.halt(0); err != nil {
			return err
		}
	}
}

// choosePorts is freePorts, unless a test wants other ports to be chosen.
var choosePorts = freePorts

var errPortTaken = errors.New("a port was taken by another program")

// portTaken is what the servers log then.
var portTaken = regexp.MustCompile(`(?i)address (already )?in use|eaddrinuse|failed to open server port`)

// run starts the process and waits until it serves.
func (s *Server) run() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.New("the server is closed")
	}
	before := s.logSize()
	argv, env := s.command()
	proc, err := spawn(argv, env, s.dir, filepath.Join(s.dir, logFile))
	if err != nil {
		return err
	}
	s.proc = proc
	return s.await(func() error {
		switch {
		case portTaken.MatchString(s.logSince(before)): // Prosody runs on without that port
			return errPortTaken
		case !proc.alive():
			return errors.New("the process ended")
		}
		return nil
	})
}

// await waits until all ports listen and that for clients answers with features, or failed says that this will not be.
func (s *Server) await(failed func() error) error {
	for end := time.Now().Add(startLimit); ; time.Sleep(20 * time.Millisecond) {
		closed, err := s.closedPorts()
		if err == nil && len(closed) > 0 {
			err = fmt.Errorf("nothing listens on the ports %v", closed)
		}
		if err == nil {
			err = s.answers(STARTTLS)
		}
		if failure := failed(); failure != nil {
			return failure
		}
		if err == nil {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("not up within %v: %w", startLimit, err)
		}
	}
}

// closedPorts returns the TCP ports that nothing listens on.
// It asks the kernel: a connection would be noted in the server's log.
func (s *Server) closedPorts() (missing []Port, err error) {
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return nil, err
	}
	for _, p := range AllPorts() {
		const listen = " 00000000:0000 0A " // no peer, TCP_LISTEN
		if local := fmt.Sprintf(" 0100007F:%04X", s.Port(p)); p != STUN && !bytes.Contains(table, []byte(local+listen)) {
			missing = append(missing, p)
		}
	}
	return missing, nil
}

// answers opens a stream, waits for features and closes it.
func (s *Server) answers(p Port) error {
	c, err := net.DialTimeout("tcp4", s.Addr(p), time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(2 * time.Second))
	io.WriteString(c, "<?xml version='1.0'?><stream:stream to='"+Full+
		"' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>")
	var got []byte
	buf := make([]byte, 2048)
	for !bytes.Contains(got, []byte("</stream:features>")) {
		n, err := c.Read(buf)
		got = append(got, buf[:n]...)
		if err != nil {
			return fmt.Errorf("%w after %q", err, got)
		}
	}
	_, err = io.WriteString(c, "</stream:stream>")
	return err
}

// dirPrefix begins the names of the servers' folders in os.TempDir.
const dirPrefix = "xmpp-server-"

// makeDir makes the folder. Its lock says that somebody is using it.
func (s *Server) makeDir() (err error) {
	if s.dir, err = os.MkdirTemp("", dirPrefix+string(s.Kind)+"-"); err != nil {
		return err
	}
	s.inner = s.dir
	if s.prog.root != "/" {
		s.inner = sideRootMount
	}
	if s.lock, err = lockDir(s.dir); err != nil {
		return err
	}
	for _, sub := range []string{"data", "files", "upload"} {
		if err = os.Mkdir(filepath.Join(s.dir, sub), 0o700); err != nil {
			return err
		}
	}
	return writeCertificates(filepath.Join(s.dir, "tls"))
}

// lockDir says that somebody is using the folder, until the file is closed or the program ends.
func lockDir(dir string) (*os.File, error) {
	// The lock is taken under another name, so that a sweeper never sees the file before it is locked.
	tmp := filepath.Join(dir, "lock.new")
	f, err := lockFile(tmp, false, false)
	if err != nil {
		return nil, err
	}
	return f, os.Rename(tmp, filepath.Join(dir, "lock"))
}

var sweepOnce sync.Once

// sweep removes the folders of programs that were killed.
func sweep() {
	locks, _ := filepath.Glob(filepath.Join(os.TempDir(), dirPrefix+"*", "lock"))
	for _, path := range locks {
		if f, err := lockFile(path, false, false); err == nil {
			os.RemoveAll(filepath.Dir(path))
			f.Close()
		}
	}
}

// readTail returns whole lines from the end of the file, or of a very long line its end; nothing from before the offset.
func readTail(f *os.File, from int64) []byte {
	st, err := f.Stat()
	if err != nil {
		return nil
	}
	cut := st.Size()-logTail > from
	if cut {
		from = st.Size() - logTail
	}
	b, _ := io.ReadAll(io.NewSectionReader(f, from, logTail))
	if _, rest, _ := bytes.Cut(b, []byte("\n")); cut && len(rest) > 0 {
		b = rest
	}
	if len(b) > 0 && b[len(b)-1] != '\n' {
		b = append(b, '\n')
	}
	return b
}
