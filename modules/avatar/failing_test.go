package avatar_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/avatar"
)

// broken is a storage that fails when it is told to, and takes its time.
type broken struct {
	*avatar.Memory
	fail atomic.Bool
	slow time.Duration
}

var errDisk = errors.New("disk full")

func (b *broken) wait(ctx context.Context) error {
	select {
	case <-time.After(b.slow):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if b.fail.Load() {
		return errDisk
	}
	return nil
}

func (b *broken) Load(ctx context.Context, account xmpp.JID) ([]avatar.Record, error) {
	if err := b.wait(ctx); err != nil {
		return nil, err
	}
	return b.Memory.Load(ctx, account)
}

func (b *broken) Save(ctx context.Context, account xmpp.JID, r avatar.Record, img *avatar.Image) error {
	if err := b.wait(ctx); err != nil {
		return err
	}
	return b.Memory.Save(ctx, account, r, img)
}

func (b *broken) Remove(ctx context.Context, account, of xmpp.JID) error {
	if err := b.wait(ctx); err != nil {
		return err
	}
	return b.Memory.Remove(ctx, account, of)
}

func (b *broken) Image(ctx context.Context, account xmpp.JID, hash string) (*avatar.Image, error) {
	if err := b.wait(ctx); err != nil {
		return nil, err
	}
	return b.Memory.Image(ctx, account, hash)
}

// TestRel_StorageFails: everything goes on without.
func TestRel_StorageFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, store := newWorld(converting...), &broken{Memory: avatar.MemoryStorage()}
		store.fail.Store(true)
		w.set(w.cards, "romeo@example.test", photoCard(pic(1)))
		c := login(t, w, avatar.Config{Storage: store})
		c.want("login", "presence(?) metadata:", "not stored(load: disk full) not stored(save: disk full)")
		c.hear(presence("romeo@example.test/x", photo(hashOf(1))))
		c.want("a hash", "vcard:romeo", "image:romeo1 not stored(image: disk full) not stored(save: disk full) not stored(save: disk full)")
		c.photo("romeo@example.test", 1, nil)
		c.want("again", "vcard:romeo", "not stored(image: disk full) not stored(save: disk full)")
		store.fail.Store(false)
		c.photo("romeo@example.test", 1, nil)
		c.photo("romeo@example.test", 1, nil)
		c.want("repaired", "vcard:romeo", "")
	})
}

// TestRel_StorageSlow: what is heard before the storage has answered counts, and nothing waits for it that must not.
func TestRel_StorageSlow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, store := newWorld(converting...), &broken{Memory: avatar.MemoryStorage()}
		w.set(w.cards, "romeo@example.test", photoCard(pic(1)))
		w.set(w.cards, "nurse@example.test", photoCard(pic(2)))
		c := login(t, w, avatar.Config{Storage: store})
		c.hear(presence("romeo@example.test/x", photo(hashOf(1))))
		c.s.Disconnect()
		c.a.Deactivate()
		c.w.take()
		store.slow = 5 * time.Second
		start := time.Now()
		c = login(t, w, avatar.Config{Storage: store})
		c.hear(presence("romeo@example.test/x", photo(hashOf(1))), presence("nurse@example.test/x", photo(hashOf(2))), presence("nurse@example.test/x", photo("")), presence("nurse@example.test/x", photo(hashOf(2))))
		if took := time.Since(start); took > time.Second {
			t.Errorf("heard after %v", took)
		}
		c.want("not read yet", "presence(?) metadata:", "")
		time.Sleep(time.Minute)
		c.want("read", "vcard:nurse", "image:nurse2")
		store.slow = time.Hour // longer than it is waited for
		c.hear(presence("nurse@example.test/x", photo("")))
		c.want("at once", "", "none:nurse")
		time.Sleep(time.Minute)
		c.want("then", "", "not stored(save: context deadline exceeded)")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		c.s.Disconnect()
		if _, err := c.a.Photo(ctx, xmpp.MustParseJID("romeo@example.test")); err == nil {
			t.Error("no error")
		}
	})
}

// TestStored: the next process knows what this one knew.
func TestStored(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, store, r := newWorld(converting...), avatar.MemoryStorage(), new(keeper)
		w.set(w.cards, "romeo@example.test", photoCard(pic(1)))
		c := login(t, w, avatar.Config{Storage: store})
		c.w.take()
		c.hear(presence("romeo@example.test/x", photo(hashOf(1))))
		c.want("first", "vcard:romeo", "image:romeo1")
		c.s.Disconnect()
		c = login(t, w, avatar.Config{Storage: store}, r)
		if got := r.hash("romeo@example.test"); got != "#1" {
			t.Error("the roster has", got)
		}
		c.hear(presence("romeo@example.test/x", photo(hashOf(1))))
		c.want("second", "presence(?) metadata:", "")
		c.s.Disconnect()
		c.photo("romeo@example.test", 1, nil)
		// What was noted and not fetched is fetched when it is heard of again.
		w.set(w.cards, "romeo@example.test", "")
		c = login(t, w, avatar.Config{Storage: store})
		c.hear(presence("romeo@example.test/x", photo(hashOf(2))))
		c.w.take()
		c.heard.take()
		c.s.Disconnect()
		w.set(w.cards, "romeo@example.test", photoCard(pic(2)))
		c = login(t, w, avatar.Config{Storage: store})
		c.w.take()
		c.hear(presence("romeo@example.test/x", photo(hashOf(2))))
		c.want("third", "vcard:romeo", "image:romeo2")
	})
}

// TestManyContacts: there is a bound, and what was not heard of for longest goes.
func TestManyContacts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, store := newWorld(converting...), avatar.MemoryStorage()
		c := login(t, w, avatar.Config{Storage: store, Fetch: avatar.FetchNobody})
		for n := range 10_100 {
			of, err := xmpp.NewJID(fmt.Sprint("c", n), "example.test", "x")
			if err != nil {
				t.Fatal(err)
			}
			c.srv.SendRaw(c.s.MyJID(), []byte(presence(of.String(), photo(hashOf(n%10)))))
		}
		c.hear()
		list, err := store.Load(t.Context(), c.s.MyJID().Bare())
		if err != nil || len(list) != 10_000 {
			t.Errorf("%d stored, %v", len(list), err)
		}
		if _, known := c.a.Hash(xmpp.MustParseJID("c0@example.test")); known {
			t.Error("the first is known")
		}
		if _, known := c.a.Hash(xmpp.MustParseJID("c10099@example.test")); !known {
			t.Error("the last is not known")
		}
	})
}
