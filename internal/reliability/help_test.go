package reliability

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/reconnect"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/stanza"
)

func TestMain(m *testing.M) {
	if args := os.Getenv(childEnv); args != "" {
		os.Exit(childMain(args))
	}
	if err := flag.Set("test.parallel", "3"); err != nil { // those that are mostly waiting, on two cores too
		panic(err)
	}
	os.Exit(integration.Main(m))
}

// client is a stream that survives, and what it has received.
type client struct {
	*xmpp.Stream
	sm *sm.SM
	inbox
	kinds chan xmpp.SessionKind
}

// configOf is for an account on a real server.
func configOf(t testing.TB, srv *integration.Server, jid, password string) xmpp.Config {
	t.Helper()
	host, portText, err := net.SplitHostPort(srv.Addr(integration.STARTTLS))
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		t.Fatal(err)
	}
	return xmpp.Config{JID: xmpp.MustParseJID(jid), Credentials: xmpp.Password(password), Host: host, Port: port, RootCAs: srv.Roots()}
}

// quick retries without the politeness that real clients owe to real servers.
func quick() reconnect.Config {
	return reconnect.Config{InitialDelay: 10 * time.Millisecond, MaxDelay: 200 * time.Millisecond, LaterDelay: 50 * time.Millisecond, ResetAfter: -1, AttemptTimeout: 5 * time.Second}
}

func newClient(t testing.TB, cfg xmpp.Config, smc sm.Config) *client {
	t.Helper()
	s, err := xmpp.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c := &client{Stream: s, sm: sm.New(smc), kinds: make(chan xmpp.SessionKind, 4096)}
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	s.AddDelegate(xmpp.Delegate{Name: "client", Message: &c.inbox, Session: c})
	if err := c.sm.Activate(s); err != nil {
		t.Fatal(err)
	}
	if err := reconnect.New(quick()).Activate(s); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *client) login(t testing.TB) *client {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := c.Login(ctx); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *client) DidStartSession(_ context.Context, _ *xmpp.Stream, kind xmpp.SessionKind) {
	c.kinds <- kind
}

// sessions counts those of a kind so far.
func (c *client) sessions(kind xmpp.SessionKind) (n int) {
	for {
		select {
		case k := <-c.kinds:
			if k == kind {
				n++
			}
		default:
			return n
		}
	}
}

// inbox notes the numbers of the messages that came.
type inbox struct {
	mu    sync.Mutex
	order []int
	count map[int]int
	live  map[int]int // without those from the server's offline store, which a receiver gets again that had not acknowledged them
}

func (i *inbox) DidReceiveMessage(_ context.Context, _ *xmpp.Stream, m *stanza.Message) {
	text, _, _ := strings.Cut(m.Body(), " ")
	n, err := strconv.Atoi(text)
	if err != nil || m.IsError() {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.count == nil {
		i.count, i.live = make(map[int]int), make(map[int]int)
	}
	if m.Child("delay", "urn:xmpp:delay") == nil {
		i.live[n]++
	}
	i.order = append(i.order, n)
	i.count[n]++
}

func (i *inbox) different() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.count)
}

// check returns what is wrong with the messages 0…n-1: lost, twice, out of order.
func (i *inbox) check(n int) (lost, twice, disorder int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for k := range n {
		switch c := i.count[k]; {
		case c == 0:
			lost++
		case c > 1:
			twice += c - 1
		}
	}
	for k := 1; k < len(i.order); k++ {
		if i.order[k] < i.order[k-1] {
			disorder++
		}
	}
	return lost, twice, disorder
}

// liveTwice counts the messages that came twice without having been stored.
func (i *inbox) liveTwice() (twice int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, c := range i.live {
		twice += max(0, c-1)
	}
	return twice
}

func (i *inbox) got(n int) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.count[n] > 0
}

// window is how many messages are under way in one direction. Prosody's parser outlives the connection: what it has read of a stanza
// when a reset takes the rest away spoils the session (docs/reliability.md). It reads 4 KiB at a time, so fewer are under way there.
func window(srv *integration.Server) int {
	if srv.Kind.IsProsody() {
		return 12
	}
	return 60
}

// filler makes a message about as long as people's are.
var filler = strings.Repeat("the quick brown fox ", 4)

func numbered(to xmpp.JID, n int) *stanza.Message {
	return stanza.NewMessage(stanza.Chat, to, fmt.Sprintf("%d %s", n, filler))
}

// until waits for a condition.
func until(t testing.TB, d time.Duration, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(d); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("%s: not within %v", what, d)
			return
		}
	}
}

// tally counts how receipts ended; those that are pending are waited for.
func tally(t testing.TB, receipts []*xmpp.Receipt, d time.Duration) map[xmpp.ReceiptState]int {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	states := make(map[xmpp.ReceiptState]int)
	for _, r := range receipts {
		state := xmpp.ReceiptPending
		if r != nil {
			state, _ = r.Wait(ctx)
		}
		states[state]++
	}
	return states
}
