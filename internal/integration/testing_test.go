package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// fakeTB notes how a test ends. Methods that it lacks panic, by the nil TB.
type fakeTB struct {
	testing.TB
	fatal, skipped string
	logged         []string
}

func (f *fakeTB) Helper() {}

func (f *fakeTB) Cleanup(func()) {}

func (f *fakeTB) Logf(format string, args ...any) {
	f.logged = append(f.logged, fmt.Sprintf(format, args...))
}

func (f *fakeTB) Fatal(args ...any) { f.Fatalf("%s", fmt.Sprint(args...)) }

func (f *fakeTB) Fatalf(format string, args ...any) {
	f.fatal = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (f *fakeTB) Skip(args ...any) { f.Skipf("%s", fmt.Sprint(args...)) }

func (f *fakeTB) Skipf(format string, args ...any) {
	f.skipped = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// ending runs f as a test of its own and returns how it ended.
func ending(f func(t testing.TB)) *fakeTB {
	tb := &fakeTB{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(tb)
	}()
	<-done
	return tb
}

func TestIntegrationRequired(t *testing.T) {
	t.Setenv("PATH", t.TempDir()) // no prosody, no erl
	t.Setenv("XMPP_SERVERS_CACHE", t.TempDir())
	calls := map[string]func(testing.TB, Kind){
		"Shared": func(t testing.TB, k Kind) { Shared(t, k) },
		"Start":  func(t testing.TB, k Kind) { Start(t, k) },
	}
	for _, row := range []struct{ mode, fatal, skipped string }{
		{"required", "XMPP_INTEGRATION=required: no ", ""},
		{"", "", "real servers: no "},
		{"off", "", "real servers: XMPP_INTEGRATION=off"},
		{"sometimes", `XMPP_INTEGRATION="sometimes"`, ""},
	} {
		t.Setenv("XMPP_INTEGRATION", row.mode)
		for name, call := range calls {
			for _, k := range Kinds() {
				got := ending(func(t testing.TB) { call(t, k) })
				if !strings.HasPrefix(got.fatal, row.fatal) || (got.fatal == "") != (row.fatal == "") {
					t.Errorf("XMPP_INTEGRATION=%s %s %s: fatal %q, want %q", row.mode, name, k, got.fatal, row.fatal)
				}
				if !strings.HasPrefix(got.skipped, row.skipped) || (got.skipped == "") != (row.skipped == "") {
					t.Errorf("XMPP_INTEGRATION=%s %s %s: skipped %q, want %q", row.mode, name, k, got.skipped, row.skipped)
				}
				if strings.Contains(got.fatal+got.skipped, "\n") {
					t.Errorf("more than one line: %s%s", got.fatal, got.skipped)
				}
			}
		}
	}
}

func TestKindsWith(t *testing.T) {
	for _, row := range []struct {
		servers string
		need    []Feature
		want    []Kind
	}{
		{"", nil, Kinds()},
		{"", []Feature{TLS13, Anonymous}, Kinds()},
		{"", []Feature{SCRAM512}, []Kind{Ejabberd, Ejabberd26}},
		{"", []Feature{SCRAM512, SASL2}, []Kind{Ejabberd26}},
		{"prosody, ejabberd", nil, []Kind{Prosody, Ejabberd}},
		{"prosody", []Feature{SCRAM512}, []Kind{}},
	} {
		t.Setenv("XMPP_SERVERS", row.servers)
		got, err := kindsWith(row.need)
		if err != nil || !slices.Equal(got, row.want) {
			t.Errorf("XMPP_SERVERS=%q, need %q: %v, %v; want %v", row.servers, row.need, got, err, row.want)
		}
	}
	if got, err := kindsWith([]Feature{StreamLimits, TURN}); err == nil {
		t.Errorf("features that no kind has together: %v, want an error", got)
	}
	t.Setenv("XMPP_SERVERS", "openfire")
	if got, err := kindsWith(nil); err == nil {
		t.Errorf("XMPP_SERVERS=openfire: %v, want an error", got)
	}
}

// The other programs that may have servers up are played by locks.
func TestSlots(t *testing.T) {
	if runtime.GOOS != "linux" {
		return
	}
	t.Setenv("XMPP_SERVERS_CACHE", t.TempDir())
	t.Setenv("XMPP_SERVERS_SLOTS", "2")
	var held []*os.File
	for i := range 3 {
		f, err := freeSlot(2)
		if want := i < 2; err != nil || (f != nil) != want {
			t.Fatalf("slot %d of 2: %v, %v", i, f, err)
		}
		if f != nil {
			held = append(held, f)
		}
	}
	held[0].Close()
	f, err := freeSlot(2)
	if err != nil || f == nil {
		t.Fatalf("after one was given back: %v, %v", f, err)
	}
	f.Close()
	held[1].Close()
	t.Setenv("XMPP_SERVERS_SLOTS", "none")
	if err := waitForSlot(); err == nil {
		t.Error("XMPP_SERVERS_SLOTS=none: no error")
	}
}

func TestReadTail(t *testing.T) {
	line := strings.Repeat("0123456789", 10)[:99] + "\n"
	path := filepath.Join(t.TempDir(), "log")
	for _, row := range []struct {
		text string
		from int64
		want string
	}{
		{"", 0, ""},
		{"one\ntwo\n", 0, "one\ntwo\n"},
		{"one\ntwo\n", 4, "two\n"},
		{"one\ntw", 4, "tw\n"},
		{"one\n", 4, ""},
		{"one\n", 40, ""},
		{strings.Repeat(line, 100), 0, strings.Repeat(line, logTail/len(line))},
		{strings.Repeat(line, 100), 9900, line},
		{strings.Repeat("x", 2*logTail) + "\n", 0, strings.Repeat("x", logTail-1) + "\n"},
	} {
		if err := os.WriteFile(path, []byte(row.text), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(readTail(f, row.from)); got != row.want {
			t.Errorf("%d bytes from %d: got %d bytes %.20q, want %d bytes", len(row.text), row.from, len(got), got, len(row.want))
		}
		f.Close()
	}
}
