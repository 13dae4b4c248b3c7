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
	"github.com/go-xmppframework/xmpp/xmpptest"
)

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
