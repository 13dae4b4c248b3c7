// Package interop drives clients that others have written, so that tests see both sides of what is exchanged.
//
// Each is a small program, in the folder clients, that is told what to do and tells what it hears, a JSON object a line.
// slixmpp comes from its Debian package, @xmpp/client from npm: "make interop-tools" installs both.
package interop

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
)

// Program is a client of somebody else's.
type Program string

// The programs.
const (
	Slixmpp Program = "slixmpp"
	XMPPJS  Program = "@xmpp/client"
)

// Programs are all of them.
var Programs = []Program{Slixmpp, XMPPJS}

// wait is how long anything may take.
const wait = 20 * time.Second

// python is the distribution's interpreter: another one in front of it on the PATH would not have the package.
const python = "/usr/bin/python3"

func folder() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "clients")
}

// Missing says what of the program is not installed, nil if it is.
func (p Program) Missing() error {
	if p == Slixmpp {
		if out, err := exec.Command(python, "-c", "import slixmpp").CombinedOutput(); err != nil {
			return fmt.Errorf("slixmpp is missing (package python3-slixmpp): %w: %s", err, out)
		}
		return nil
	}
	if _, err := exec.LookPath("node"); err != nil {
		return err
	}
	_, err := os.Stat(filepath.Join(folder(), "xmppjs", "node_modules", "@xmpp", "client"))
	return err
}

// Need ends the test if a program is missing: skipped, or failed where XMPP_INTEGRATION says "required".
func Need(t testing.TB, p Program) {
	t.Helper()
	if err := p.Missing(); err != nil {
		if os.Getenv("XMPP_INTEGRATION") == "required" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

// Event is something that a client has heard: its field "event" says what.
type Event map[string]any

// String returns a field that is a string, empty if there is none.
func (e Event) String(field string) string {
	s, _ := e[field].(string)
	return s
}

// Client is a running program that is logged in.
type Client struct {
	JID xmpp.JID // with its resource

	t      testing.TB
	in     io.WriteCloser
	mu     sync.Mutex
	n      int
	events []Event // that nobody has waited for yet
	all    []Event
	more   chan struct{}
	ended  bool
	stderr strings.Builder
}

// Start runs a program with a new account of the server's domain Full. It ends with the test.
func Start(t testing.TB, srv *integration.Server, p Program) *Client {
	t.Helper()
	Need(t, p)
	address, password := srv.NewAccount(t)
	c := &Client{t: t, more: make(chan struct{}, 1)}
	args := []string{"127.0.0.1", fmt.Sprint(srv.Port(integration.STARTTLS)), address + "/" + strings.Trim(string(p), "@"), password}
	var cmd *exec.Cmd
	switch p {
	case Slixmpp:
		cmd = exec.Command(python, append(append([]string{filepath.Join(folder(), "slix.py")}, args...), srv.CACertFile())...)
	default:
		cmd = exec.Command("node", append([]string{filepath.Join(folder(), "xmppjs", "client.js")}, args...)...)
		cmd.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+srv.CACertFile())
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.in, cmd.Stderr = in, &c.stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.read(out)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = in.Close()
		select {
		case <-done:
		case <-time.After(wait):
			_ = cmd.Process.Kill()
			<-done
			t.Errorf("%s did not end", p)
		}
		if t.Failed() {
			t.Logf("%s: %s", p, &c.stderr)
		}
	})
	if c.JID, err = xmpp.ParseJID(c.Expect("online", nil).String("jid")); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *Client) read(out io.Reader) {
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var e Event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue // what a library prints by itself
		}
		c.mu.Lock()
		c.events, c.all = append(c.events, e), append(c.all, e)
		c.mu.Unlock()
		c.wake()
	}
	c.mu.Lock()
	c.ended = true
	c.mu.Unlock()
	c.wake()
}

func (c *Client) wake() {
	select {
	case c.more <- struct{}{}:
	default:
	}
}

// Expect waits for an event of that name whose fields are as given, and takes it from the list; others stay there.
// A field's value may end with "*": then what is before must be the beginning.
func (c *Client) Expect(name string, fields map[string]string) Event {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), wait)
	defer cancel()
	for {
		c.mu.Lock()
		for i, e := range c.events {
			if e.String("event") == name && e.has(fields) {
				c.events = append(c.events[:i:i], c.events[i+1:]...)
				c.mu.Unlock()
				return e
			}
		}
		heard, ended := fmt.Sprint(c.events), c.ended
		c.mu.Unlock()
		if ended {
			c.t.Fatalf("no %s %v: the client has ended; it heard %s", name, fields, heard)
		}
		select {
		case <-c.more:
		case <-ctx.Done():
			c.t.Fatalf("no %s %v; heard %s", name, fields, heard)
		}
	}
}

// Events are all that the client has told since it was started, in order.
func (c *Client) Events() []Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.all)
}

// Until waits until ok says yes to what the client has told.
func (c *Client) Until(what string, ok func([]Event) bool) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), wait)
	defer cancel()
	for {
		all := c.Events()
		if ok(all) {
			return
		}
		select {
		case <-c.more:
		case <-ctx.Done():
			c.t.Fatalf("no %s; heard %s", what, fmt.Sprint(all))
		}
	}
}

// Heard reports whether there is such an event now, and leaves it there.
func (c *Client) Heard(name string, fields map[string]string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.events {
		if e.String("event") == name && e.has(fields) {
			return true
		}
	}
	return false
}

func (e Event) has(fields map[string]string) bool {
	for k, want := range fields {
		got := e.String(k)
		if beginning, ok := strings.CutSuffix(want, "*"); ok && strings.HasPrefix(got, beginning) {
			continue
		}
		if got != want {
			return false
		}
	}
	return true
}

// Do tells the client to do something, and waits until it has. An error that the client tells fails the test.
func (c *Client) Do(what string, args map[string]any) Event {
	c.t.Helper()
	e := c.Try(what, args)
	if err := e.String("error"); err != "" {
		c.t.Fatalf("%s %v: %s", what, args, err)
	}
	return e
}

// Try is Do with the error left in the event, in its field "error".
func (c *Client) Try(what string, args map[string]any) Event {
	c.t.Helper()
	c.mu.Lock()
	c.n++
	n := c.n
	c.mu.Unlock()
	line, err := json.Marshal(map[string]any{"n": n, "do": what, "args": args})
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.in.Write(append(line, '\n')); err != nil {
		c.t.Fatalf("%s: %v", what, err)
	}
	return c.Expect("done", nil)
}
