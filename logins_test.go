package xmpp_test

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testkit"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

func TestFileLogins(t *testing.T) {
	testkit.Goroutines(t)
	xmpptest.TestLoginStorage(t, func(t *testing.T) func() xmpp.LoginStorage {
		dir := filepath.Join(t.TempDir(), "made", "when needed")
		return func() xmpp.LoginStorage { return xmpp.FileLogins(dir) }
	})
}

// loginFiles are the files of a folder: what is in them, by their names.
func loginFiles(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = string(b)
	}
	return files
}

// TestSec_FileLogins: files are for their owner alone, in a folder of his; no name is made of an address; nothing is left of one that is forgotten,
// or that could not be written.
func TestSec_FileLogins(t *testing.T) {
	testkit.Goroutines(t)
	ctx, dir := context.Background(), filepath.Join(t.TempDir(), "logins")
	s, r := xmpp.FileLogins(dir), xmpp.LoginRecord{Token: "geheim", Strongest: "PLAIN"}
	accounts := []xmpp.JID{xmpp.MustParseJID("juliet@example.test"), xmpp.MustParseJID("..@example.test"), xmpp.MustParseJID("com1.login@example.test")}
	for range 3 {
		for _, j := range accounts {
			if err := s.SaveLogin(ctx, j, r); err != nil {
				t.Fatal(err)
			}
		}
	}
	files := loginFiles(t, dir)
	if len(files) != len(accounts) {
		t.Errorf("%d files for %d accounts", len(files), len(accounts))
	}
	for name := range files {
		if strings.Trim(strings.TrimSuffix(name, ".login"), "0123456789abcdef") != "" {
			t.Errorf("a file is called %q", name)
		}
		if st, err := os.Stat(filepath.Join(dir, name)); runtime.GOOS != "windows" && (err != nil || st.Mode().Perm() != 0o600) {
			t.Errorf("%v, %v", st.Mode(), err)
		}
	}
	if st, err := os.Stat(dir); runtime.GOOS != "windows" && (err != nil || st.Mode().Perm() != 0o700) {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	for _, j := range accounts {
		if err := s.SaveLogin(ctx, j, xmpp.LoginRecord{}); err != nil {
			t.Error(err)
		}
	}
	if files := loginFiles(t, dir); len(files) != 0 {
		t.Errorf("%d files are left", len(files))
	}
	for name := range files { // what cannot be replaced
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.SaveLogin(ctx, accounts[0], r); err == nil || strings.Contains(err.Error(), r.Token) {
		t.Errorf("a folder in the place of the file: %v", err)
	}
	if entries, err := os.ReadDir(dir); len(entries) != len(accounts) || err != nil {
		t.Errorf("%d entries, %v", len(entries), err)
	}
	if _, err := s.LoadLogin(ctx, accounts[0]); err == nil {
		t.Error("a folder in the place of the file is no error")
	}
}

// TestSec_FileLoginsDamaged: a file that does not make sense is an error, with its name and without what is in it; it is not taken for none,
// which would forget the strongest mechanism. Nor is that of another account.
func TestSec_FileLoginsDamaged(t *testing.T) {
	testkit.Goroutines(t)
	ctx, dir := context.Background(), t.TempDir()
	s, juliet := xmpp.FileLogins(dir), xmpp.MustParseJID("juliet@example.test")
	if err := s.SaveLogin(ctx, juliet, xmpp.LoginRecord{Token: "geheim", TokenCount: 77, Strongest: "SCRAM-SHA-256"}); err != nil {
		t.Fatal(err)
	}
	for name, whole := range loginFiles(t, dir) {
		for what, content := range map[string]string{
			"empty":           "",
			"torn":            whole[:len(whole)/2],
			"no JSON":         "geheim",
			"another type":    strings.Replace(whole, `"geheim"`, "1e999", 1),
			"another account": strings.Replace(whole, "juliet", "romeo", 1),
			"null":            "null",
		} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			r, err := s.LoadLogin(ctx, juliet)
			if err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "geheim") || strings.Contains(err.Error(), "1e999") || r != (xmpp.LoginRecord{}) {
				t.Errorf("%s: %v, %v", what, r, err)
			}
		}
	}
	srv := xmpptest.NewServer(t, xmpptest.WithSASL2())
	cfg := srv.Config("juliet")
	cfg.Logins = s
	stream, err := xmpp.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Login(ctx); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("Login: %v", err)
	}
	stream.Disconnect()
}

// TestRel_FileLoginsProcesses: what another process reads while one saves is a whole record.
func TestRel_FileLoginsProcesses(t *testing.T) {
	testkit.Goroutines(t)
	ctx, dir, juliet := context.Background(), t.TempDir(), xmpp.MustParseJID("juliet@example.test")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := range uint64(100) {
			if err := xmpp.FileLogins(dir).SaveLogin(ctx, juliet, xmpp.LoginRecord{TokenCount: n, Features: strings.Repeat("x", int(n)*100)}); err != nil {
				t.Error(err)
			}
		}
	}()
	for n := uint64(0); ; {
		r, err := xmpp.FileLogins(dir).LoadLogin(ctx, juliet)
		if err != nil || r.TokenCount < n || len(r.Features) != int(r.TokenCount)*100 {
			t.Fatalf("%d after %d, %d bytes, %v", r.TokenCount, n, len(r.Features), err)
		}
		n = r.TokenCount
		select {
		case <-done:
			return
		default:
		}
	}
}
