package sm_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

const childFolder = "SM_TEST_CHILD"

// child is a program that sends numbered messages and writes down those that it gets, until a file says that it is enough.
// It has no other memory than the storage of its session.
func child(dir string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			panic(err)
		}
		return string(b)
	}
	cert, err := x509.ParseCertificate([]byte(read("cert")))
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	host, p, err := net.SplitHostPort(read("addr"))
	if err != nil {
		return err
	}
	port, _ := strconv.Atoi(p)
	s, err := xmpp.New(xmpp.Config{
		JID: xmpp.MustParseJID("juliet@example.test/bot"), Credentials: xmpp.Password("secret"),
		Host: host, Port: port, RootCAs: roots, NoInitialPresence: true,
	})
	if err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(dir, "got"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	s.AddDelegate(xmpp.Delegate{Message: xmpp.MessageFunc(func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) {
		fmt.Fprintln(log, m.Body())
	})})
	place := sm.FileStorage(filepath.Join(dir, "sessions"))
	next := 0
	if st, err := place.Load(ctx, s.MyJID().Bare()); err != nil {
		return err
	} else if st != nil { // all stanzas of the session are these messages
		next = int(st.Acked) + len(st.Unacked)
	}
	m := sm.New(sm.Config{Storage: place, StorageRequired: true, HandledBy: sm.HandledReturned})
	if err := errors.Join(m.Activate(s), s.Login(ctx)); err != nil {
		return err
	}
	for ; ; next++ {
		if _, err := os.Stat(filepath.Join(dir, "stop")); err == nil {
			break
		}
		if err := s.Send(ctx, stanza.NewMessage(stanza.Chat, xmpp.MustParseJID("romeo@example.test"), strconv.Itoa(next))); err != nil {
			return err
		}
		time.Sleep(time.Duration(rand.IntN(int(time.Millisecond))))
	}
	return errors.Join(m.WaitAcked(ctx), s.Close(ctx))
}

// TestRel_KilledProcess kills a process again and again, with a signal that it cannot handle, and starts it anew from what it has stored.
// What it sends arrives once each and in order; what it is sent arrives in order, and what was being handled when it was killed, twice.
func TestRel_KilledProcess(t *testing.T) {
	dir := t.TempDir()
	srv := xmpptest.NewServer(t)
	srv.AddAccount("juliet", "secret")
	var mu sync.Mutex
	var got []string
	srv.Client(t, "romeo", xmpp.Delegate{Message: xmpp.MessageFunc(func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, m.Body())
	})})
	for name, text := range map[string][]byte{"addr": []byte(srv.Addr()), "cert": srv.Certificate().Raw} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func() (*exec.Cmd, *bytes.Buffer) {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childFolder+"="+dir)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd, &out
	}
	full := xmpp.MustParseJID("juliet@example.test/bot")
	told := 0
	tell := func() {
		if _, ok := srv.SessionState(full); ok {
			deliver(srv, full, strconv.Itoa(told))
			told++
		}
	}
	const kills = 8
	for i := range kills {
		cmd, out := run()
		for ok := false; !ok; time.Sleep(time.Millisecond) { // until it has a session
			st, there := srv.SessionState(full)
			ok = there && !st.Held
		}
		for end := time.Now().Add(time.Duration(20+rand.IntN(150)) * time.Millisecond); time.Now().Before(end); time.Sleep(time.Millisecond) {
			tell()
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() >= 0 {
			t.Fatalf("process %d has ended by itself: %v\n%s", i, err, out)
		}
		tell()
	}
	if err := os.WriteFile(filepath.Join(dir, "stop"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	st, _ := srv.SessionState(full)
	cmd, out := run()
	if err := cmd.Wait(); err != nil {
		t.Fatalf("the last process: %v\n%s", err, out)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "sessions")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}

	for settled := 0; settled < 100; settled++ { // romeo's queue
		mu.Lock()
		n := len(got)
		mu.Unlock()
		time.Sleep(5 * time.Millisecond)
		if mu.Lock(); n != len(got) {
			settled = 0
		}
		mu.Unlock()
	}
	mu.Lock()
	defer mu.Unlock()
	for i, body := range got {
		if body != strconv.Itoa(i) {
			t.Fatalf("message %d is %s, after %s", i, body, got[max(i-3, 0):i])
		}
	}
	b, err := os.ReadFile(filepath.Join(dir, "got"))
	if err != nil {
		t.Fatal(err)
	}
	next, again := 0, 0
	for line := range strings.Lines(string(b)) {
		n, err := strconv.Atoi(strings.TrimSpace(line))
		switch {
		case err != nil || n > next:
			t.Fatalf("the process got %q, wants %d", line, next)
		case n < next:
			again++
		}
		next = n + 1
	}
	if next != told || st.Resumed < kills-2 || len(got) < 100 {
		t.Errorf("the process got %d of %d, %d resumptions, it has sent %d", next, told, st.Resumed, len(got))
	}
	t.Logf("%d processes: %d messages sent, %d received, %d of them twice, %d resumptions", kills+1, len(got), told, again, st.Resumed)
}
