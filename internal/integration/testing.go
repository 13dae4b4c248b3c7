package integration

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp/internal/testkit"
)

// mode is the value of XMPP_INTEGRATION.
type mode string

const (
	whenThere mode = ""
	required  mode = "required"
	off       mode = "off"
)

// currentMode reads XMPP_INTEGRATION and ends the test where it says off.
func currentMode(t testing.TB) mode {
	t.Helper()
	switch m := mode(os.Getenv("XMPP_INTEGRATION")); m {
	case whenThere, required:
		return m
	case off:
		t.Skip("real servers: XMPP_INTEGRATION=off")
	default:
		t.Fatalf("XMPP_INTEGRATION=%q: it may be %q, %q or unset", m, required, off)
	}
	panic("unreachable")
}

const installHint = "go run ./internal/integration/cmd/servers install"

// check ends the test if there is no server of that kind.
func check(t testing.TB, k Kind) {
	t.Helper()
	m := currentMode(t)
	if _, err := locate(k); err != nil {
		if m == required {
			t.Fatalf("XMPP_INTEGRATION=required: %v; run: %s", err, installHint)
		}
		t.Skipf("real servers: %v; run: %s", err, installHint)
	}
}

// Start starts a server for this test alone: one that may be stopped, killed, restarted. It is gone at the test's end.
func Start(t testing.TB, k Kind, opts ...Option) *Server {
	t.Helper()
	check(t, k)
	takeSlot(t)
	s, err := Launch(k, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(s.Log())
		}
		if err := s.Close(); err != nil {
			t.Errorf("%s: %v", k, err)
		}
	})
	return s
}

// shared are the servers of this program that all its tests use.
var shared = func() map[Kind]func() (*Server, error) {
	m := make(map[Kind]func() (*Server, error))
	for _, k := range Kinds() {
		m[k] = sync.OnceValues(func() (*Server, error) { return Launch(k) })
	}
	return m
}()

// Shared returns the program's server of that kind, which it starts at the first call; Main stops it.
// It is shared with all other tests: use accounts and rooms of your own, and leave it running.
// If the test fails, what the server logged meanwhile is printed.
func Shared(t testing.TB, k Kind) *Server {
	t.Helper()
	check(t, k)
	takeSlot(t)
	s, err := shared[k]()
	if err != nil {
		t.Fatal(err)
	}
	before := s.logSize()
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(s.logSince(before))
		}
	})
	return s
}

// Each runs f as a subtest, named as the kind, with the shared server of every kind that has the features.
// A kind that lacks one is left out; that none has them all is a failure. A kind that is not installed is skipped or fails, see Shared.
func Each(t *testing.T, f func(t *testing.T, s *Server), need ...Feature) {
	t.Helper()
	for _, k := range started(t, need) {
		t.Run(string(k), func(t *testing.T) {
			t.Helper()
			f(t, Shared(t, k))
		})
	}
}

// EachAtOnce is Each with several kinds at the same time, for tests that wait more than they work.
// It fails if the test ends with more goroutines than it began with; f must not count them.
func EachAtOnce(t *testing.T, f func(t *testing.T, s *Server), need ...Feature) {
	t.Helper()
	kinds := started(t, need)
	testkit.Goroutines(t)
	for _, k := range kinds {
		t.Run(string(k), func(t *testing.T) {
			t.Helper()
			t.Parallel()
			f(t, Shared(t, k))
		})
	}
}

// started starts the shared servers of all kinds that have the features: all at once, so that it takes as long as the slowest.
func started(t *testing.T, need []Feature) []Kind {
	t.Helper()
	currentMode(t)
	kinds, err := kindsWith(need)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for _, k := range kinds {
		if _, err := locate(k); err == nil {
			takeSlot(t)
			wg.Go(func() { shared[k]() })
		}
	}
	wg.Wait()
	return kinds
}

// kindsWith returns the kinds that Each uses; they may be none because of XMPP_SERVERS alone.
func kindsWith(need []Feature) ([]Kind, error) {
	lacks := func(k Kind) bool { return !k.Has(need...) }
	if all := slices.DeleteFunc(Kinds(), lacks); len(all) == 0 {
		return nil, fmt.Errorf("no kind of server has all of %q", need)
	}
	kinds, err := wanted()
	return slices.DeleteFunc(kinds, lacks), err
}

// Main runs the tests and then ends the servers that they have left. The result is for os.Exit.
func Main(m *testing.M) int {
	if mode(os.Getenv("XMPP_INTEGRATION")) != off {
		prepare()
	}
	code := m.Run()
	for key := range live.Range {
		if err := key.(io.Closer).Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
	}
	return code
}

// slotLimit is how long a program waits for others; the limit is a courtesy, so it goes ahead then.
const slotLimit = 3 * time.Minute

// takeSlot waits until few enough programs have servers up. The slot is kept until the program ends.
func takeSlot(t testing.TB) {
	t.Helper()
	slot.once.Do(func() {
		if err := waitForSlot(); err != nil {
			t.Logf("real servers: going on without a slot: %v", err)
		}
	})
}

var slot struct {
	once sync.Once
	file *os.File // holds the lock
}

func waitForSlot() error {
	n := 2
	if v := os.Getenv("XMPP_SERVERS_SLOTS"); v != "" {
		var err error
		if n, err = strconv.Atoi(v); err != nil || n < 1 {
			return fmt.Errorf("XMPP_SERVERS_SLOTS=%q is not a positive number", v)
		}
	}
	if err := os.MkdirAll(CacheDir(), 0o700); err != nil {
		return err
	}
	for end := time.Now().Add(slotLimit); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		f, err := freeSlot(n)
		if err != nil {
			return err
		}
		if f != nil {
			slot.file = f
			return nil
		}
	}
	return fmt.Errorf("others hold all %d for %v", n, slotLimit)
}

// freeSlot takes one of n slots; nil if others hold them all.
func freeSlot(n int) (*os.File, error) {
	for i := range n {
		f, err := lockFile(filepath.Join(CacheDir(), fmt.Sprintf("slot%d.lock", i)), false, false)
		if err != os.ErrDeadlineExceeded {
			return f, err
		}
	}
	return nil, nil
}
