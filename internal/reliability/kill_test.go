package reliability

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/reconnect"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/stanza"
)

const childEnv = "XMPP_RELIABILITY_CHILD"

// childArgs are what the process that is killed is told.
type childArgs struct {
	JID, Password, Host, CA, To, Dir string
	Port, N, Window                  int
}

// childMain is the process that is killed: it sends the numbers 0…N-1 from where it was, and writes down what came and what was acknowledged.
func childMain(text string) int {
	if err := runChild(text); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func runChild(text string) error {
	var a childArgs
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cfg := xmpp.Config{JID: xmpp.MustParseJID(a.JID), Credentials: xmpp.Password(a.Password), Host: a.Host, Port: a.Port}
	roots, err := os.ReadFile(a.CA)
	if err != nil {
		return err
	}
	if cfg.RootCAs = x509.NewCertPool(); !cfg.RootCAs.AppendCertsFromPEM(roots) {
		return errors.New("no certificate")
	}
	s, err := xmpp.New(cfg)
	if err != nil {
		return err
	}
	storage := sm.FileStorage(a.Dir)
	d := &diary{}
	d.sm = sm.New(sm.Config{Storage: storage, HandledBy: sm.HandledMarked, RequestAfter: 5})
	if d.got, err = os.OpenFile(filepath.Join(a.Dir, "got"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		return err
	}
	if d.acked, err = os.OpenFile(filepath.Join(a.Dir, "acked"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		return err
	}
	if err := errors.Join(d.sm.Activate(s), reconnect.New(quick()).Activate(s)); err != nil {
		return err
	}
	s.AddDelegate(xmpp.Delegate{Message: d})
	d.sm.AddDelegate(sm.Delegate{Ack: d}, nil)

	next := 0
	acked, err := numbers(filepath.Join(a.Dir, "acked"))
	if err != nil {
		return err
	}
	for n := range acked {
		next = max(next, n+1)
	}
	state, err := storage.Load(ctx, cfg.JID.Bare())
	if err != nil {
		return err
	}
	if state != nil {
		for _, u := range state.Unacked {
			if n, ok := numberOf(u.XML); ok {
				next = max(next, n+1)
			}
		}
	}
	if err := s.Login(ctx); err != nil {
		return err
	}
	to := xmpp.MustParseJID(a.To)
	for ; next < a.N; next++ {
		m := numbered(to, next)
		m.SetID(fmt.Sprintf("n%d", next))
		if err := s.Send(ctx, m); err != nil {
			return err
		}
		for d.sm.Stats().Unacked >= a.Window && ctx.Err() == nil {
			time.Sleep(100 * time.Microsecond)
		}
	}
	return s.Wait(ctx)
}

// diary writes down what came, and then says that it is handled, and what the server has acknowledged.
type diary struct {
	sm         *sm.SM
	got, acked *os.File
}

func (d *diary) DidReceiveMessage(_ context.Context, _ *xmpp.Stream, m *stanza.Message) {
	if n, ok := numberOf(stanza.Compact(m.Element())); ok {
		fmt.Fprintln(d.got, n)
	}
	d.sm.MarkHandled(m)
}

func (d *diary) StreamManagementDidReceiveAck(_ context.Context, _ *sm.SM, acked []xmpp.Unacked) {
	var b strings.Builder
	for _, u := range acked {
		if n, ok := numberOf(stanza.Compact(u.Stanza.Element())); ok {
			fmt.Fprintln(&b, n)
		}
	}
	_, _ = d.acked.WriteString(b.String())
}

// numberOf reads the number of a message.
func numberOf(xml string) (int, bool) {
	st, err := stanza.Parse(xml)
	if err != nil {
		return 0, false
	}
	m, ok := st.(*stanza.Message)
	if !ok || m.IsError() {
		return 0, false
	}
	text, _, _ := strings.Cut(m.Body(), " ")
	n, err := strconv.Atoi(text)
	return n, err == nil
}

// numbers reads a file of the diary: how often each number is in it.
func numbers(file string) (map[int]int, error) {
	list := make(map[int]int)
	b, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	for line := range strings.Lines(string(b)) {
		if n, err := strconv.Atoi(strings.TrimSuffix(line, "\n")); err == nil && strings.HasSuffix(line, "\n") {
			list[n]++
		}
	}
	return list, nil
}

// TestKill: a client is killed ten times while 10,000 messages go each way, and started again from its stored state.
// Nothing is lost; what the client had not written down as handled comes again, and what was not known to be acknowledged may be sent again with the same id.
func TestKill(t *testing.T) {
	const n, kills = 10_000, 10
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		jid, password := srv.NewAccountAt(t, integration.Lean)
		other, otherPassword := srv.NewAccountAt(t, integration.Lean)
		own := xmpp.MustParseJID(jid + "/child")
		peer := newClient(t, configOf(t, srv, other, otherPassword), sm.Config{}).login(t)
		cfg := configOf(t, srv, jid, password)
		dir := t.TempDir()
		args, err := json.Marshal(childArgs{JID: own.String(), Password: password, Host: cfg.Host, Port: cfg.Port,
			CA: srv.CACertFile(), To: peer.MyJID().String(), Dir: dir, N: n, Window: window(srv)})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		begin := time.Now()
		child := startChild(t, string(args))
		until(t, 20*time.Second, "the child", func() bool { return peer.different() > 0 })
		go func() {
			for i := range n {
				if err := peer.Send(ctx, numbered(own, i)); err != nil {
					t.Errorf("message %d: %v", i, err)
					return
				}
			}
		}()
		for i := range kills {
			until(t, time.Minute, "messages", func() bool { return peer.different() >= n/(kills+1)*(i+1) })
			child.kill(t)
			child = startChild(t, string(args))
		}
		var got, acked map[int]int
		until(t, time.Minute, "the diary", func() bool {
			if got, err = numbers(filepath.Join(dir, "got")); err != nil {
				t.Fatal(err)
			}
			if acked, err = numbers(filepath.Join(dir, "acked")); err != nil {
				t.Fatal(err)
			}
			return len(got) == n && acked[n-1] > 0 && peer.different() == n
		})
		child.kill(t)
		lost, twice, _ := peer.check(n)
		again := 0
		for _, c := range got {
			again += c - 1
		}
		if lost > 0 || len(got) != n {
			t.Errorf("%d lost on the way out, %d on the way in", lost, n-len(got))
		}
		t.Logf("%d messages each way, %d kills: %d sent twice, %d received twice, %d not known to be acknowledged, %v",
			n, kills, twice, again, n-len(acked), time.Since(begin).Round(time.Millisecond))
	})
}

// child is a process of its own.
type child struct{ cmd *exec.Cmd }

func startChild(t *testing.T, args string) *child {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{cmd: exec.Command(self)}
	c.cmd.Env = append(os.Environ(), childEnv+"="+args)
	c.cmd.Stderr = os.Stderr
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.cmd.Process.Kill(); _ = c.cmd.Wait() })
	return c
}

func (c *child) kill(t *testing.T) {
	t.Helper()
	if err := c.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	_ = c.cmd.Wait()
}
