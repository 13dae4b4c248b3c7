package roster_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/roster"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// pairOfFriends are two clients who see each other; the first is juliet's, with stream management.
func pairOfFriends(t *testing.T, c roster.Config) (*xmpptest.Server, *client, *client) {
	t.Helper()
	srv := xmpptest.NewServer(t)
	srv.Config("juliet")
	srv.Config("romeo")
	srv.AddContact("juliet", xmpptest.Contact{JID: "romeo@example.test", Name: "Romeo", Subscription: "both"})
	srv.AddContact("romeo", xmpptest.Contact{JID: "juliet@example.test", Name: "Juliet", Subscription: "both"})
	x, y := newClient(t, srv.Config("juliet"), c), newClient(t, srv.Config("romeo"), roster.Config{})
	must(t, sm.New(sm.Config{}).Activate(x.Stream))
	for _, c := range []*client{x, y} {
		must(t, c.Login(t.Context()))
		settle()
	}
	x.e.take()
	return srv, x, y
}

func status(t *testing.T, c *client, text string) {
	t.Helper()
	p := stanza.NewPresence(stanza.Available, xmpp.JID{})
	p.SetStatus(text)
	must(t, c.Send(t.Context(), p))
	settle()
}

// online writes the statuses of romeo's resources down.
func online(x *client) string {
	c, _ := x.r.Contact(xmpp.MustParseJID("romeo@example.test"))
	var out []string
	for r := range c.Resources() {
		out = append(out, "/"+r.Status())
	}
	return strings.Join(out, " ")
}

// TestResume: a session that is resumed keeps everything, and asks nothing again.
func TestResume(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv, x, y := pairOfFriends(t, roster.Config{})
		status(t, y, "one")
		if got := online(x); got != "/one" {
			t.Fatalf("before: %s", got)
		}
		x.e.take()
		srv.Kill(x.MyJID())
		settle()
		if !x.r.HasRoster() || online(x) != "/one" {
			t.Error("while it may be resumed:", x.r.HasRoster(), online(x))
		}
		status(t, y, "two")
		must(t, x.Login(t.Context()))
		settle()
		if heard := x.e.take(); !x.r.HasRoster() || online(x) != "/two" || strings.Contains(heard, "begin") || strings.Contains(heard, "cleared") {
			t.Error("resumed:", x.r.HasRoster(), online(x), heard)
		}
		must(t, x.r.SetName(t.Context(), y.MyJID(), "Romeo M."))

		// Another try, after the server has forgotten: a new session.
		srv.ForgetSessions(x.MyJID())
		srv.Kill(x.MyJID())
		settle()
		status(t, y, "three")
		x.e.take()
		must(t, x.Login(t.Context()))
		settle()
		if got := online(x); got != "/three" || !x.r.HasRoster() {
			t.Error("new:", got)
		}
		if heard := x.e.take(); !strings.HasPrefix(heard, "cleared; begin(r") || !strings.Contains(heard, "; end(); ") || !strings.Contains(heard, "three): romeo=Romeo M. Both") {
			t.Errorf("new: %s", heard)
		}
	})
}

// TestClear is what is forgotten when a session is over.
func TestClear(t *testing.T) {
	for _, tt := range []struct {
		policy            roster.ClearPolicy
		heard, list, kept string
	}{
		{roster.ClearResources, "cleared", "romeo=Romeo Both", "romeo=Romeo Both"},
		{roster.ClearAll, "cleared", "", ""},
		{roster.ClearNothing, "", "romeo=Romeo Both /*", "romeo=Romeo Both"},
	} {
		for _, how := range []string{"given up", "by the application", "closed", "deactivated"} {
			t.Run(fmt.Sprint(tt.policy, " ", how), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					store := roster.MemoryStorage()
					srv, x, y := pairOfFriends(t, roster.Config{Storage: store, Clear: tt.policy})
					must(t, x.r.Flush(t.Context()))
					heard, list, kept := tt.heard, tt.list, tt.kept
					switch how {
					case "given up":
						srv.Kill(x.MyJID())
						settle()
						x.e.want(t, "while it may be resumed", "")
						x.Disconnect()
					case "by the application":
						x.Disconnect()
					case "closed":
						must(t, x.Close(t.Context()))
					case "deactivated":
						x.r.Deactivate()
						heard, list, kept = "", "romeo=Romeo Both", "romeo=Romeo Both"
					}
					settle()
					if got := x.e.take(); got != heard && how != "closed" { // that may be the end of events
						t.Errorf("heard %q, want %q", got, heard)
					}
					got := []string{}
					for c := range x.r.All() {
						s := c.JID().Local() + "=" + c.Name() + " " + c.State().String()
						if c.IsOnline() {
							s += " /*"
						}
						got = append(got, s)
					}
					if s := strings.Join(got, ", "); s != list || x.r.HasRoster() {
						t.Errorf("left: %q, want %q; HasRoster %v", s, list, x.r.HasRoster())
					}
					must(t, x.r.Flush(t.Context()))
					if s := inStore(t, store); s != kept {
						t.Errorf("stored: %q, want %q", s, kept)
					}
					if how == "deactivated" || how == "closed" {
						return
					}
					must(t, x.Login(t.Context()))
					settle()
					must(t, x.r.Flush(t.Context()))
					if s := inStore(t, store); !strings.HasPrefix(online(x), "/") || s != "romeo=Romeo Both" {
						t.Errorf("the next session: online %q, stored %q", online(x), s)
					}
					_ = y
				})
			})
		}
	}
}

func inStore(t *testing.T, s roster.Storage) string {
	t.Helper()
	var out []string
	_, err := s.Load(t.Context(), xmpp.MustParseJID("juliet@example.test"), func(it roster.Item) error {
		out = append(out, it.JID.Local()+"="+it.Name+" "+map[roster.Subscription]string{0: "None", 1: "To", 2: "From", 3: "Both"}[it.Subscription])
		return nil
	})
	must(t, err)
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// counter counts what a ChangeDelegate hears.
type counter struct {
	mu   sync.Mutex
	n    int
	hold chan struct{} // if set, the next call waits for it
}

func (c *counter) RosterDidChange(context.Context, *roster.Roster) {
	c.mu.Lock()
	c.n++
	hold := c.hold
	c.hold = nil
	c.mu.Unlock()
	if hold != nil {
		<-hold
	}
}

func (c *counter) take() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.n
	c.n = 0
	return n
}

// TestChange: however much changes while a ChangeDelegate is busy, it is called once more.
func TestChange(t *testing.T) {
	bubble(t, func(t *testing.T) {
		x, peer := populated(t, roster.Config{}, montague)
		c, other := new(counter), new(counter)
		remove := x.r.AddDelegate(roster.Delegate{Change: c}, nil)
		x.r.AddDelegate(roster.Delegate{Change: other}, nil)
		hold := make(chan struct{})
		c.hold = hold
		for n := range 100 {
			inject(peer, fmt.Sprintf("<presence from='romeo@example.net/a'><status>%d</status></presence>", n))
		}
		if n, m := c.take(), other.take(); n != 1 || m != 100 {
			t.Errorf("%d calls of the busy one, %d of the other", n, m)
		}
		close(hold)
		settle()
		if n, m := c.take(), other.take(); n != 1 || m != 0 {
			t.Errorf("then %d calls of the busy one, %d of the other", n, m)
		}
		must(t, remove(t.Context()))
		inject(peer, "<presence from='romeo@example.net/a'/>")
		if n, m := c.take(), other.take(); n != 0 || m != 1 {
			t.Errorf("removed: %d calls, %d of the other", n, m)
		}
	})
}

// TestAddDelegate finds mistakes at registration.
func TestAddDelegate(t *testing.T) {
	r := roster.New(roster.Config{})
	for _, d := range []roster.Delegate{{}, {Population: (*events)(nil)}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("no panic for %+v", d)
				}
			}()
			r.AddDelegate(d, nil)
		}()
	}
	e := new(events)
	remove := r.AddDelegate(all(e), xmpp.NewQueue())
	must(t, errors.Join(remove(t.Context()), remove(t.Context())))
}

// TestConcurrent calls everything at once, while connections come and go.
func TestConcurrent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv, x, y := pairOfFriends(t, roster.Config{Storage: roster.MemoryStorage()})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				for n := 0; ctx.Err() == nil; n++ {
					jid := xmpp.MustParseJID(fmt.Sprintf("c%d@example.net", (n+i)%10))
					switch n % 7 {
					case 0:
						_ = x.r.Set(ctx, jid, fmt.Sprint(n), "g")
					case 1:
						_ = x.r.Remove(ctx, jid)
					case 2:
						_ = x.r.Fetch(ctx)
					case 3:
						list(x.r)
						_ = slices.Collect(x.r.Groups())
						_ = slices.Collect(x.r.Requests())
					case 4:
						x.r.KeepAvatar(jid, strings.Repeat(fmt.Sprint(i), 40))
					case 5:
						_ = x.r.Subscribe(ctx, jid)
						_ = x.r.Accept(ctx, jid)
						_ = x.r.Revoke(ctx, jid)
					case 6:
						_ = x.r.Wait(ctx)
					}
					time.Sleep(time.Duration(i+1) * 10 * time.Millisecond)
				}
			})
		}
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				switch n % 4 {
				case 0:
					srv.Kill(x.MyJID())
				case 1:
					x.Disconnect()
				case 2:
					x.r.Deactivate()
					_ = x.r.Activate(x.Stream)
				case 3:
					_ = y.Send(ctx, stanza.NewPresence(stanza.Available, xmpp.JID{}))
				}
				time.Sleep(100 * time.Millisecond)
				_ = x.Login(ctx)
			}
		})
		wg.Wait()
		settle()
		_ = x.Login(t.Context())
		must(t, x.r.Wait(t.Context()))
		must(t, x.r.Flush(t.Context()))
		x.e.take()
		must(t, x.r.FetchWhole(t.Context()))
		settle()
		if heard := x.e.take(); x.r.Len() == 0 || !strings.HasSuffix(heard, "end()") {
			t.Errorf("the whole roster differs from the one that was followed: %s", heard)
		}
	})
}
