package bookmarks_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/internal/testkit"
	"github.com/go-xmppframework/xmpp/modules/bookmarks"
	"github.com/go-xmppframework/xmpp/modules/caps"
	"github.com/go-xmppframework/xmpp/modules/disco"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

func TestMain(m *testing.M) { os.Exit(integration.Main(m)) }

var must = testkit.Must

var checkGoroutines = testkit.Goroutines

// ear writes down what delegates hear.
type ear struct {
	mu   sync.Mutex
	list []string
}

func (e *ear) note(format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, fmt.Sprintf(format, args...))
}

func (e *ear) take() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := strings.Join(e.list, "\n")
	e.list = nil
	return s
}

func (e *ear) BookmarksDidFetch(context.Context, *bookmarks.Bookmarks) { e.note("fetched") }
func (e *ear) BookmarksDidNotFetch(_ context.Context, _ *bookmarks.Bookmarks, err error) {
	e.note("not fetched: %v", err)
}
func (e *ear) BookmarksDidAdd(_ context.Context, _ *bookmarks.Bookmarks, b bookmarks.Bookmark) {
	e.note("+ %s", show(b))
}
func (e *ear) BookmarksDidUpdate(_ context.Context, _ *bookmarks.Bookmarks, old, b bookmarks.Bookmark) {
	e.note("~ %s", show(b))
}
func (e *ear) BookmarksDidRemove(_ context.Context, _ *bookmarks.Bookmarks, old bookmarks.Bookmark) {
	e.note("- %s", show(old))
}
func (e *ear) BookmarksDidChangeURLs(_ context.Context, b *bookmarks.Bookmarks) {
	e.note("pages %v", slices.Collect(b.URLs()))
}
func (e *ear) BookmarksDidAutoJoin(_ context.Context, _ *bookmarks.Bookmarks, b bookmarks.Bookmark, r *muc.Room) {
	e.note("joined %s as %s", b.JID.Local(), r.Nick())
}
func (e *ear) BookmarksDidNotAutoJoin(_ context.Context, _ *bookmarks.Bookmarks, b bookmarks.Bookmark, err error, retries bool) {
	reason := err
	if je, ok := err.(*muc.JoinError); ok {
		reason = je.Reason
	}
	e.note("not joined %s: %v retries=%v", b.JID.Local(), reason, retries)
}
func (e *ear) BookmarksDidAutoLeave(_ context.Context, _ *bookmarks.Bookmarks, b bookmarks.Bookmark, _ *muc.Room) {
	e.note("left %s", b.JID.Local())
}

func (e *ear) delegate() bookmarks.Delegate {
	return bookmarks.Delegate{Fetch: e, Change: e, URL: e, AutoJoin: e}
}

// show is a bookmark on one line.
func show(b bookmarks.Bookmark) string {
	s := b.JID.Local()
	for _, x := range [][2]string{{"name", b.Name}, {"nick", b.Nick}, {"password", b.Password}} {
		if x[1] != "" {
			s += " " + x[0] + "=" + x[1]
		}
	}
	if b.AutoJoin {
		s += " auto"
	}
	for x := range b.Extensions() {
		s += " " + stanza.Compact(x)
	}
	return s
}

// listOf is the list on one line.
func listOf(b *bookmarks.Bookmarks) string {
	var out []string
	for bookmark := range b.List() {
		out = append(out, show(bookmark))
	}
	for u := range b.URLs() {
		out = append(out, u.Name+"="+u.URL)
	}
	return strings.Join(out, "; ")
}

// client is somebody with the module.
type client struct {
	*ear
	*bookmarks.Bookmarks
	s     *xmpp.Stream
	rooms *muc.MUC
	queue *xmpp.Queue
}

// options of a client
type options struct {
	bookmarks.Config
	noRooms bool // no modules/muc
	noCaps  bool // no modules/disco and caps
}

// newClient makes the modules; setup activates them.
func newClient(t testing.TB, o options) (c *client, setup func(*xmpp.Stream)) {
	t.Helper()
	c = &client{ear: new(ear), Bookmarks: bookmarks.New(o.Config), rooms: muc.New(muc.Config{}), queue: xmpp.NewQueue()}
	c.AddDelegate(c.delegate(), c.queue)
	return c, func(s *xmpp.Stream) {
		c.s = s
		var list []xmpp.Module
		if !o.noCaps {
			list = append(list, disco.New(disco.Config{}), caps.New(caps.Config{}))
		}
		if !o.noRooms {
			list = append(list, c.rooms)
		}
		for _, m := range append(list, c.Bookmarks) {
			must(t, m.Activate(s))
		}
	}
}

// waitFor returns what was heard when it contains something, within 10 s.
func (c *client) waitFor(t testing.TB, part string) string {
	t.Helper()
	var all string
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if got := c.heard(t); got != "" {
			all = strings.TrimPrefix(all+"\n"+got, "\n")
		}
		if strings.Contains(all, part) {
			return all
		}
	}
	t.Fatalf("heard no %q, but\n%s", part, all)
	return ""
}

// heard returns and forgets what was heard so far, when the queue is empty.
func (c *client) heard(t testing.TB) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	must(t, c.queue.Flush(ctx))
	return c.take()
}

func element(t testing.TB, xml string) *etree.Element {
	t.Helper()
	e, err := stanza.ParseElement(xml)
	must(t, err)
	return e
}

// visit logs somebody in at the server inside the process.
func visit(t testing.TB, srv *xmpptest.Server, user string, o options) *client {
	t.Helper()
	s, err := xmpp.New(srv.Config(user))
	must(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = s.Close(ctx)
	})
	c, setup := newClient(t, o)
	setup(s)
	must(t, s.Login(t.Context()))
	return c
}

// settled returns what was heard when nothing happens any more. It is for a bubble.
func (c *client) settled() string {
	synctest.Wait()
	return c.take()
}

func (c *client) hears(t testing.TB, what string, lines ...string) {
	t.Helper()
	if got, want := c.settled(), strings.Join(lines, "\n"); got != want {
		t.Errorf("%s: heard\n%s\nwant\n%s", what, got, want)
	}
}

func (c *client) has(t testing.TB, what, want string) {
	t.Helper()
	if got := listOf(c.Bookmarks); got != want {
		t.Errorf("%s: the list is %q, want %q", what, got, want)
	}
}

func room(name string) xmpp.JID { return xmpp.MustParseJID(name + "@conference.example.test") }
