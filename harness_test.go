package xmpp_test

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testserver"
	"github.com/go-xmppframework/xmpp/stanza"
)

// checkGoroutines fails the test if it ends with more goroutines than it began with.
// It must be called first, so that its check runs last.
func checkGoroutines(t testing.TB) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		var now int
		for end := time.Now().Add(time.Second); ; time.Sleep(5 * time.Millisecond) {
			if now = runtime.NumGoroutine(); now <= before {
				return
			}
			if time.Now().After(end) {
				break
			}
		}
		buf := make([]byte, 1<<20)
		buf = buf[:runtime.Stack(buf, true)]
		var b bytes.Buffer
		for _, g := range strings.Split(string(buf), "\n\n") {
			if strings.Contains(g, "go-xmppframework") {
				b.WriteString(g + "\n\n")
			}
		}
		t.Errorf("%d goroutines at the end, %d at the beginning:\n%s", now, before, b.String())
	})
}

// newServer starts an in-process server with the accounts alice, bob and carol; the password is NAME-pw.
func newServer(t testing.TB, o testserver.Options) *testserver.Server {
	t.Helper()
	srv, err := testserver.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	for _, u := range []string{"alice", "bob", "carol"} {
		if err := srv.AddAccount(u, u+"-pw"); err != nil {
			t.Fatal(err)
		}
	}
	return srv
}

func configFor(srv *testserver.Server, user string) xmpp.Config {
	j := xmpp.MustParseJID(user + "@" + srv.Domain().String())
	return xmpp.Config{JID: j, Credentials: xmpp.Password(user + "-pw"), Host: "server.invalid", Dial: srv.Dial, RootCAs: srv.Roots()}
}

func newStream(t testing.TB, cfg xmpp.Config, delegates ...xmpp.Delegate) *xmpp.Stream {
	t.Helper()
	s, err := xmpp.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range delegates {
		s.AddDelegate(d)
	}
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	return s
}

func login(t testing.TB, cfg xmpp.Config, delegates ...xmpp.Delegate) *xmpp.Stream {
	t.Helper()
	s := newStream(t, cfg, delegates...)
	if err := s.Login(within(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}
	return s
}

// peer logs user in with the server's part played by the test. The initial presence has been taken.
func peer(t testing.TB, srv *testserver.Server, cfg xmpp.Config, delegates ...xmpp.Delegate) (*xmpp.Stream, *testserver.Peer) {
	t.Helper()
	p, err := srv.Peer(cfg.JID.Local())
	if err != nil {
		t.Fatal(err)
	}
	cfg.NoInitialPresence = true
	return login(t, cfg, delegates...), p
}

func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// soon fails the test unless c is ready within d.
func soon[T any](t testing.TB, c <-chan T, d time.Duration, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(d):
		t.Fatalf("%s: not within %v", what, d)
	}
	return v
}

func onMessage(f func(ctx context.Context, s *xmpp.Stream, m *stanza.Message)) xmpp.Delegate {
	return xmpp.Delegate{Name: "test", Message: xmpp.MessageFunc(f)}
}

func inject(t testing.TB, p *testserver.Peer, format string, args ...any) {
	t.Helper()
	if err := p.Inject(fmt.Sprintf(format, args...)); err != nil {
		t.Fatal(err)
	}
}

func expect(t testing.TB, p *testserver.Peer, xml string) {
	t.Helper()
	if err := p.Expect(xml); err != nil {
		t.Fatal(err)
	}
}
