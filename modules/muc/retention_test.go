package muc_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/muc"
)

// offline is a module on a stream that was never connected.
func offline(t *testing.T, cfg muc.Config) *muc.MUC {
	t.Helper()
	s, err := xmpp.New(xmpp.Config{JID: julietJID})
	must(t, err)
	m := muc.New(cfg)
	must(t, m.Activate(s))
	t.Cleanup(m.Deactivate)
	return m
}

// left are the bodies of what is stored of a room.
func left(t *testing.T, s muc.Storage, room xmpp.JID) string {
	t.Helper()
	var out []string
	must(t, s.Messages(context.Background(), julietJID, room, muc.Query{}, func(m muc.StoredMessage) error { out = append(out, m.Body); return nil }))
	return strings.Join(out, " ")
}

// TestOldMessages: those that are too old, and too many, are deleted at the beginning and then at intervals, but not where that is paused, and not after the end.
func TestOldMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, tomb := muc.MemoryStorage(), xmpp.MustParseJID("tomb@rooms.example.test")
		start := time.Now()
		add := func(room xmpp.JID, n int, ago time.Duration) {
			t.Helper()
			x := storedAt(n, 0)
			x.Time = time.Now().Add(-ago)
			_, err := s.Append(t.Context(), julietJID, room, []muc.StoredMessage{x})
			must(t, err)
		}
		want := func(what, inGarden, inTomb string) {
			t.Helper()
			synctest.Wait()
			if a, b := left(t, s, gardenJID), left(t, s, tomb); a != inGarden || b != inTomb {
				t.Errorf("%v, %s: left are %q and %q, want %q and %q", time.Since(start), what, a, b, inGarden, inTomb)
			}
		}
		for n, ago := range []time.Duration{3 * time.Hour, 50 * time.Minute, 57 * time.Minute, 30 * time.Minute, time.Minute} {
			add(gardenJID, n, ago)
			add(tomb, n, ago)
		}
		m := offline(t, muc.Config{Storage: s, MaxMessageAge: time.Hour, MaxMessages: 3})
		want("at the beginning", "2 3 4", "2 3 4")
		resume, again := m.Room(tomb).PauseOldMessageDeletion(), m.Room(tomb).PauseOldMessageDeletion()
		time.Sleep(5*time.Minute - 1)
		want("before the second time", "2 3 4", "2 3 4")
		time.Sleep(time.Nanosecond)
		want("the second time", "3 4", "2 3 4")
		m.Forget(tomb) // it is paused all the same
		resume()
		resume()
		add(gardenJID, 5, 0)
		add(gardenJID, 6, 0)
		time.Sleep(5 * time.Minute)
		want("paused once more", "4 5 6", "2 3 4")
		again()
		n, err := m.DeleteOldMessages(t.Context())
		if n != 1 || err != nil {
			t.Errorf("DeleteOldMessages: %d, %v", n, err)
		}
		want("by hand", "4 5 6", "3 4")
		m.Deactivate()
		time.Sleep(24 * time.Hour)
		want("not active", "4 5 6", "3 4")
		if _, err := m.DeleteOldMessages(t.Context()); !errors.Is(err, xmpp.ErrInvalidState) {
			t.Errorf("DeleteOldMessages: %v", err)
		}
		if last, err := m.Room(tomb).MostRecentMessageTime(t.Context()); !errors.Is(err, xmpp.ErrInvalidState) || !last.IsZero() {
			t.Errorf("not active: %v, %v", last, err)
		}

		// Without limits nothing is deleted.
		m = offline(t, muc.Config{Storage: s, DeleteInterval: time.Second})
		time.Sleep(time.Hour)
		want("no limits", "4 5 6", "3 4")
		if n, err := m.DeleteOldMessages(t.Context()); n != 0 || err != nil {
			t.Errorf("DeleteOldMessages without limits: %d, %v", n, err)
		}
		m.Deactivate()

		m = offline(t, muc.Config{Storage: s, DeleteInterval: time.Second, MaxMessageAge: time.Hour})
		want("a day later", "", "")
		if last, err := m.Room(tomb).MostRecentMessageTime(t.Context()); err != nil || !last.Equal(start.Add(-time.Minute)) {
			t.Errorf("the most recent time is %v, %v", last, err)
		}
		add(gardenJID, 7, 0)
		must(t, m.Stream().Close(t.Context()))
		time.Sleep(24 * time.Hour)
		want("closed for good", "7", "")
	})
}

// unpruned fails to delete.
type unpruned struct {
	*muc.Memory
	hangs atomic.Bool
	ended atomic.Bool
}

func (s *unpruned) Prune(ctx context.Context, _, _ xmpp.JID, _ muc.Retention) (int, error) {
	if s.hangs.Load() {
		<-ctx.Done()
		s.ended.Store(true)
		return 0, ctx.Err()
	}
	return 0, errBroken
}

// TestOldMessagesFail: a failure is told, and it is tried again; what is under way ends with the activation.
func TestOldMessagesFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &unpruned{Memory: muc.MemoryStorage()}
		m := offline(t, muc.Config{Storage: s, MaxMessages: 1, DeleteInterval: time.Minute})
		var f failures
		m.AddDelegate(muc.Delegate{Storage: &f}, nil)
		time.Sleep(90 * time.Second)
		_, err := m.DeleteOldMessages(t.Context())
		se := (*muc.StorageError)(nil)
		if !errors.As(err, &se) || se.Op != "prune" || !errors.Is(err, errBroken) || f.n.Load() > 1 {
			t.Errorf("%v, told %d times", err, f.n.Load())
		}
		s.hangs.Store(true)
		time.Sleep(time.Minute)
		m.Deactivate()
		synctest.Wait()
		if !s.ended.Load() {
			t.Error("it goes on after the end")
		}
	})
}

// TestReadStored: what is stored is read before there is a connection, page by page.
func TestReadStored(t *testing.T) {
	s := muc.MemoryStorage()
	m := offline(t, muc.Config{Storage: s})
	r := m.Room(gardenJID)
	for i := range 7 {
		_, err := s.Append(t.Context(), julietJID, gardenJID, []muc.StoredMessage{storedAt(i, 1)})
		must(t, err)
	}
	must(t, s.PutOccupants(t.Context(), julietJID, gardenJID, true, []muc.Occupant{person("Romeo", ""), person("Nurse", "")}, nil))
	var got []string
	for q := (muc.Query{Newest: true, Limit: 3}); ; {
		n := 0
		for x, err := range r.StoredMessages(t.Context(), q) {
			must(t, err)
			got = append(got, x.Body)
			q.BeforeNumber = x.Number
			n++
		}
		if n == 0 {
			break
		}
		got = append(got, "|")
	}
	if s := strings.Join(got, " "); s != "6 5 4 | 3 2 1 | 0 |" {
		t.Errorf("pages: %s", s)
	}
	for x, err := range r.StoredMessages(t.Context(), muc.Query{}) {
		if must(t, err); x.Body != "0" {
			t.Errorf("the first is %v", x)
		}
		break
	}
	var nicks []string
	for o, err := range r.StoredOccupants(t.Context()) {
		must(t, err)
		nicks = append(nicks, o.Nick)
	}
	if !slices.Equal(nicks, []string{"Nurse", "Romeo"}) {
		t.Errorf("occupants: %q", nicks)
	}
	for x, err := range m.StoredRooms(t.Context()) {
		if must(t, err); x.Room != gardenJID || x.Messages != 7 || !x.Last.Equal(saidAt.Add(time.Second)) {
			t.Errorf("the room is %+v", x)
		}
	}
	if last, err := r.MostRecentMessageTime(t.Context()); err != nil || !last.Equal(saidAt.Add(time.Second)) {
		t.Errorf("the most recent time is %v, %v", last, err)
	}
	if last, err := m.Room(xmpp.MustParseJID("tomb@rooms.example.test")).MostRecentMessageTime(t.Context()); err != nil || !last.IsZero() {
		t.Errorf("of another room it is %v, %v", last, err)
	}
	if ok, err := r.ReplaceStoredMessage(t.Context(), 3, nil); !ok || err != nil || left(t, s, gardenJID) != "0 1 3 4 5 6" {
		t.Errorf("removal: %v, %v", ok, err)
	}

	none := offline(t, muc.Config{})
	for x, err := range none.Room(gardenJID).StoredMessages(t.Context(), muc.Query{}) {
		t.Errorf("without a storage: %v, %v", x, err)
	}
	if ok, err := none.Room(gardenJID).ReplaceStoredMessage(t.Context(), 1, nil); ok || err != nil {
		t.Errorf("without a storage: %v, %v", ok, err)
	}
	none.Deactivate()
	errs := 0
	for _, err := range none.StoredRooms(t.Context()) {
		if errs++; !errors.Is(err, xmpp.ErrInvalidState) {
			t.Errorf("not active: %v", err)
		}
	}
	failing := offline(t, muc.Config{Storage: unread{s}})
	for _, err := range failing.Room(gardenJID).StoredMessages(t.Context(), muc.Query{}) {
		se := (*muc.StorageError)(nil)
		if errs++; !errors.As(err, &se) || se.Op != "messages" || se.Room != gardenJID || !errors.Is(err, errBroken) {
			t.Errorf("a failure: %v", err)
		}
	}
	if errs != 2 {
		t.Errorf("%d errors", errs)
	}
}

// unread fails to read.
type unread struct{ *muc.Memory }

func (unread) Messages(context.Context, xmpp.JID, xmpp.JID, muc.Query, func(muc.StoredMessage) error) error {
	return errBroken
}
