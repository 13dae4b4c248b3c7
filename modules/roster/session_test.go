package roster_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
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

// broken is a storage that fails when told to, or is slow.
type broken struct {
	roster.Storage
	mu    sync.Mutex
	err   error
	delay time.Duration
	calls []string
}

func (b *broken) set(err error, delay time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err, b.delay = err, delay
}

func (b *broken) call(ctx context.Context, what string) error {
	b.mu.Lock()
	b.calls = append(b.calls, what)
	err, delay := b.err, b.delay
	b.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-ctx.Done():
		return ctx.Err()
	}
	return err
}

func (b *broken) took() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := strings.Join(b.calls, " ")
	b.calls = nil
	return s
}

func (b *broken) Load(ctx context.Context, account xmpp.JID, item func(roster.Item) error) (string, error) {
	if err := b.call(ctx, "load"); err != nil {
		return "", err
	}
	return b.Storage.Load(ctx, account, item)
}

func (b *broken) Save(ctx context.Context, account xmpp.JID, version string, items iter.Seq[roster.Item]) error {
	if err := b.call(ctx, "save:"+version); err != nil {
		return err
	}
	return b.Storage.Save(ctx, account, version, items)
}

func (b *broken) Apply(ctx context.Context, account xmpp.JID, c *roster.Change) error {
	if err := b.call(ctx, fmt.Sprintf("apply:%s-%s+%d-%d", c.Base, c.Version, len(c.Put), len(c.Remove))); err != nil {
		return err
	}
	return b.Storage.Apply(ctx, account, c)
}

func (b *broken) Clear(ctx context.Context, account xmpp.JID) error {
	if err := b.call(ctx, "clear"); err != nil {
		return err
	}
	return b.Storage.Clear(ctx, account)
}

// TestStorage looks at what is written when, and at a storage that fails: the roster goes on, and all is stored when it works again.
func TestStorage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := &broken{Storage: roster.MemoryStorage()}
		x, peer := populated(t, roster.Config{Storage: store}, montague, versioning)
		push := func(item string, ver int) {
			t.Helper()
			inject(peer, fmt.Sprintf("<iq id='p' type='set'><query xmlns='jabber:iq:roster' ver='%d'>%s</query></iq>", ver, item))
		}
		settle()
		x.e.take()
		if got := store.took(); got != "load save:" {
			t.Errorf("populated: %s", got)
		}
		push("<item jid='nurse@example.com' name='Nurse'/>", 2)
		push("<item jid='nurse@example.com' subscription='remove'/>", 3)
		push("<item jid='juliet@example.test'/>", 4) // nothing that is kept
		push("<item jid='romeo@example.net' name='Romeo' subscription='both'><group>Friends</group><group>Family</group></item>", 5)
		if got := store.took(); got != "apply:-2+1-0 apply:2-3+0-1 apply:3-5+0-0" {
			t.Errorf("pushed: %s", got)
		}
		x.e.take()
		// While it is slow, changes gather; the reader does not wait.
		store.set(nil, 10*time.Second)
		start := time.Now()
		for n := range 50 {
			push(fmt.Sprintf("<item jid='paris@example.com' name='%d'/>", n), 10+n)
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("the reader has waited for %v", d)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := x.r.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Flush: %v", err)
		}
		must(t, x.r.Flush(t.Context()))
		if got := store.took(); got != "apply:5-10+1-0 apply:10-59+1-0" {
			t.Errorf("gathered: %s", got)
		}
		x.e.take()
		// It fails.
		store.set(errors.New("full"), 0)
		push("<item jid='nurse@example.com' name='A'/>", 60)
		push("<item jid='nurse@example.com' name='B'/>", 61)
		if heard := x.e.take(); heard != "+nurse=A None; not stored(apply: full); nurse=A None -> nurse=B None" {
			t.Error(heard)
		}
		var se *roster.StorageError
		if err := x.r.Flush(t.Context()); !errors.As(err, &se) || se.Op != "save" || se.Account.String() != "juliet@example.test" || se.Error() != "roster: storage: save: full" {
			t.Errorf("Flush: %v", err)
		}
		if got := store.took(); got != "apply:59-60+1-0 save:61 save:61" {
			t.Errorf("failed: %s", got)
		}
		// It works again.
		store.set(nil, 0)
		must(t, x.r.Flush(t.Context()))
		push("<item jid='nurse@example.com' name='C'/>", 62)
		if got := store.took(); got != "save:61 apply:61-62+1-0" {
			t.Errorf("again: %s", got)
		}
		store.set(errors.New("full"), 0)
		x.e.take()
		push("<item jid='nurse@example.com' name='D'/>", 63)
		x.e.want(t, "the next failure", "nurse=C None -> nurse=D None; not stored(apply: full)")
		store.set(nil, 0)
		must(t, x.r.Flush(t.Context()))
		store.took()
		// Another process has written: all is stored.
		must(t, store.Storage.Save(t.Context(), xmpp.MustParseJID("juliet@example.test"), "other", slices.Values([]roster.Item(nil))))
		x.e.take()
		push("<item jid='nurse@example.com' name='E'/>", 64)
		if got := store.took(); got != "apply:63-64+1-0 save:64" {
			t.Errorf("conflict: %s", got)
		}
		x.e.want(t, "conflict", "nurse=D None -> nurse=E None")
		stored(t, store.Storage, "64: paris=49 None, benvolio=benvolio#Friends To approved, nurse=E None, mercutio=Mercutio From, romeo=Romeo#Family#Friends Both")
	})
	// A storage that cannot be read, or hangs: the roster is fetched whole.
	for _, delay := range []time.Duration{0, time.Hour} {
		bubble(t, func(t *testing.T) {
			store := &broken{Storage: roster.MemoryStorage()}
			must(t, store.Storage.Save(t.Context(), xmpp.MustParseJID("juliet@example.test"), "v1", slices.Values([]roster.Item{{JID: romeo.Bare()}})))
			store.set(errors.New("broken"), delay)
			start := time.Now()
			x, peer := play(t, roster.Config{Storage: store}, versioning)
			if d := time.Since(start); d != min(delay, time.Minute) {
				t.Errorf("Activate took %v", d)
			}
			store.set(nil, 0)
			peer.Play(`
				C: <iq id='{a}' type='get'><query xmlns='jabber:iq:roster' ver=''/></iq>
				S: <iq id='{a}' type='result'><query xmlns='jabber:iq:roster' ver='v1'><item jid='nurse@example.com'/></query></iq>`)
			must(t, errors.Join(x.r.Wait(t.Context()), x.r.Flush(t.Context())))
			settle()
			if heard := x.e.take(); !strings.HasPrefix(heard, "not stored(load: ") || !strings.HasSuffix(heard, "; begin(); end(+nurse None)") {
				t.Error(heard)
			}
			stored(t, store.Storage, "v1: nurse None")
		})
	}
}

// TestStorageItems: what a storage should not have is left out, and nothing is read or written for who has no next time.
func TestStorageItems(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := roster.MemoryStorage()
		account := xmpp.MustParseJID("juliet@example.test")
		must(t, store.Save(t.Context(), account, "v1", slices.Values([]roster.Item{
			{JID: romeo}, {JID: account}, {}, {JID: nurse, Groups: []string{"b", "", "a", "b"}, Subscription: 7},
		})))
		stored(t, store, "v1: nurse#a#b Both")
	})
	bubble(t, func(t *testing.T) {
		store := &broken{Storage: roster.MemoryStorage()}
		srv := xmpptest.NewServer(t, xmpptest.WithMechanisms("ANONYMOUS"))
		cfg := srv.Config("juliet")
		cfg.JID, cfg.Credentials = srv.Domain(), xmpp.Anonymous()
		x := newClient(t, cfg, roster.Config{Storage: store})
		must(t, x.Login(t.Context()))
		must(t, x.r.Wait(t.Context()))
		must(t, x.r.Set(t.Context(), nurse, "Nurse"))
		must(t, x.r.Flush(t.Context()))
		wantList(t, "anonymous", x.r, "nurse=Nurse None")
		if x.r.Me().JID() != x.MyJID().Bare() {
			t.Errorf("me: %v", x.r.Me().JID())
		}
		x.Disconnect()
		settle()
		must(t, x.Login(t.Context()))
		must(t, x.r.Wait(t.Context()))
		wantList(t, "the next account", x.r, "")
		if got := store.took(); got != "" {
			t.Errorf("the storage was called: %s", got)
		}
	})
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
