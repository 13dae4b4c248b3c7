package muc_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/modules/muc/muctest"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

func TestMemoryStorage(t *testing.T) {
	muctest.TestStorage(t, func(t *testing.T) func() muc.Storage {
		m := muc.MemoryStorage()
		return func() muc.Storage { return m }
	})
}

// TestStored: another process goes on where the last one was, and tells nothing twice.
func TestStored(t *testing.T) {
	for _, noIDs := range []bool{false, true} {
		t.Run(fmt.Sprintf("noIDs=%v", noIDs), func(t *testing.T) {
			checkGoroutines(t)
			srv := xmpptest.NewServer(t, xmpptest.WithRooms(xmpptest.Rooms{NoIDs: noIDs}))
			garden := srv.Room("garden")
			storage := muc.MemoryStorage()
			j := visit(t, srv, "juliet", muc.Config{})
			a := j.join(t, garden, "Juliet", muc.JoinOptions{})
			say := func(text string) {
				t.Helper()
				_, err := a.SendAndWait(t.Context(), stanza.NewMessage(stanza.Groupchat, garden, text))
				must(t, err)
			}
			say("before")
			first := visit(t, srv, "romeo", muc.Config{Storage: storage})
			b := first.join(t, garden, "Romeo", muc.JoinOptions{})
			say("live")
			first.waitFor(t, "live")
			_, err := b.SendPrivate(t.Context(), "Juliet", stanza.NewMessage(stanza.Chat, garden, "psst"))
			must(t, err)
			must(t, first.m.Flush(t.Context()))
			occupants := 0
			must(t, storage.Occupants(t.Context(), srv.JID("romeo"), garden, func(muc.Occupant) error { occupants++; return nil }))
			if occupants != 2 {
				t.Errorf("%d occupants are stored", occupants)
			}
			must(t, first.s.Close(t.Context()))
			say("meanwhile")

			second := visit(t, srv, "romeo", muc.Config{Storage: storage})
			second.join(t, garden, "Romeo", muc.JoinOptions{})
			if got := second.take(t); strings.Contains(got, "before") || strings.Contains(got, "live") || strings.Count(got, "meanwhile") != 1 {
				t.Errorf("the next process hears\n%s", got)
			}
			must(t, second.m.Flush(t.Context()))
			var got []string
			must(t, storage.Messages(t.Context(), srv.JID("romeo"), garden, muc.Query{}, func(m muc.StoredMessage) error {
				got = append(got, fmt.Sprintf("%s>%s own=%v private=%v with=%q", m.Nick, m.Body, m.Own, m.Private, m.With))
				return nil
			}))
			want := "Juliet>before own=false private=false with=\"\", Juliet>live own=false private=false with=\"\", Romeo>psst own=true private=true with=\"Juliet\", Juliet>meanwhile own=false private=false with=\"\""
			if s := strings.Join(got, ", "); s != want {
				t.Errorf("stored\n%s\nwant\n%s", s, want)
			}
		})
	}
}

// broken is a storage that fails for a while.
type broken struct {
	*muc.Memory
	fails atomic.Bool
}

var errBroken = errors.New("the disk is full")

func (b *broken) Append(ctx context.Context, account, room xmpp.JID, list []muc.StoredMessage) (int, error) {
	if b.fails.Load() {
		return 0, errBroken
	}
	return b.Memory.Append(ctx, account, room, list)
}

type failures struct{ n atomic.Int32 }

func (f *failures) MUCDidFailToStore(context.Context, *muc.MUC, *muc.StorageError) { f.n.Add(1) }

// TestStorageFails: the room goes on, the failure is told once, and nothing is lost.
func TestStorageFails(t *testing.T) {
	checkGoroutines(t)
	srv := xmpptest.NewServer(t, xmpptest.WithRooms(xmpptest.Rooms{}))
	garden := srv.Room("garden")
	storage := &broken{Memory: muc.MemoryStorage()}
	storage.fails.Store(true)
	j := visit(t, srv, "juliet", muc.Config{Storage: storage})
	var f failures
	j.m.AddDelegate(muc.Delegate{Storage: &f}, j.queue)
	a := j.join(t, garden, "Juliet", muc.JoinOptions{})
	for i := range 5 {
		_, err := a.SendAndWait(t.Context(), stanza.NewMessage(stanza.Groupchat, garden, fmt.Sprint(i)))
		must(t, err)
	}
	se := (*muc.StorageError)(nil)
	if err := j.m.Flush(t.Context()); !errors.Is(err, errBroken) || !errors.As(err, &se) || se.Op != "append" || se.Room != garden {
		t.Errorf("Flush: %v", err)
	}
	j.take(t)
	if f.n.Load() != 1 {
		t.Errorf("told %d times", f.n.Load())
	}
	storage.fails.Store(false)
	must(t, j.m.Flush(t.Context()))
	n := 0
	must(t, storage.Messages(t.Context(), srv.JID("juliet"), garden, muc.Query{}, func(m muc.StoredMessage) error {
		if m.Body != fmt.Sprint(n) {
			t.Errorf("%q where %d was to come", m.Body, n)
		}
		n++
		return nil
	}))
	if n != 5 {
		t.Errorf("%d messages are stored", n)
	}
}
