package muc_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/modules/muc/muctest"
)

// TestHooksConform: a storage with hooks that do nothing, and one of two, are storages like others.
func TestHooksConform(t *testing.T) {
	all := muc.StorageHooks{
		WillInsertMessage:  func(context.Context, xmpp.JID, xmpp.JID, *muc.StoredMessage) bool { return true },
		DidInsertMessages:  func(context.Context, xmpp.JID, xmpp.JID, []muc.StoredMessage) {},
		DidUpdateMessage:   func(context.Context, xmpp.JID, xmpp.JID, muc.StoredMessage) {},
		DidRemoveMessages:  func(context.Context, xmpp.JID, xmpp.JID, int64, muc.Retention) {},
		WillPutOccupant:    func(context.Context, xmpp.JID, xmpp.JID, *muc.Occupant) bool { return true },
		DidPutOccupants:    func(context.Context, xmpp.JID, xmpp.JID, []muc.Occupant) {},
		DidRemoveOccupants: func(context.Context, xmpp.JID, xmpp.JID, []string) {},
	}
	for name, make := range map[string]func() muc.Storage{
		"none":   func() muc.Storage { return muc.HookStorage(muc.MemoryStorage(), muc.StorageHooks{}) },
		"all":    func() muc.Storage { return muc.HookStorage(muc.MemoryStorage(), all) },
		"hybrid": func() muc.Storage { return muc.HybridStorage(muc.MemoryStorage(), muc.MemoryStorage()) },
	} {
		t.Run(name, func(t *testing.T) {
			muctest.TestStorage(t, func(t *testing.T) func() muc.Storage {
				s := make()
				return func() muc.Storage { return s }
			})
		})
	}
}

// TestHooks: what is told of what is done, and what is stored after a hook has had its say.
func TestHooks(t *testing.T) {
	inner := &broken{Memory: muc.MemoryStorage()}
	var told []string
	note := func(format string, args ...any) { told = append(told, fmt.Sprintf(format, args...)) }
	s := muc.HookStorage(inner, muc.StorageHooks{
		WillInsertMessage: func(_ context.Context, account, room xmpp.JID, m *muc.StoredMessage) bool {
			if account != julietJID || room != gardenJID {
				t.Errorf("of %v in %v", account, room)
			}
			m.Body = strings.ReplaceAll(m.Body, "secret", "***")
			return m.Nick != "Tybalt"
		},
		DidInsertMessages: func(_ context.Context, _, _ xmpp.JID, list []muc.StoredMessage) {
			for _, m := range list {
				note("+%d %s", m.Number, m.Body)
			}
		},
		DidUpdateMessage: func(_ context.Context, _, _ xmpp.JID, m muc.StoredMessage) { note("~%d %s", m.Number, m.Body) },
		DidRemoveMessages: func(_ context.Context, _, room xmpp.JID, number int64, keep muc.Retention) {
			note("-%d of %v, keeping %d", number, room, keep.Count)
		},
		WillPutOccupant: func(_ context.Context, _, _ xmpp.JID, o *muc.Occupant) bool {
			o.Status = ""
			return o.Nick != "Tybalt"
		},
		DidPutOccupants: func(_ context.Context, _, _ xmpp.JID, list []muc.Occupant) {
			for _, o := range list {
				note("+%s", o.Nick)
			}
		},
		DidRemoveOccupants: func(_ context.Context, _, _ xmpp.JID, nicks []string) { note("-%s", nicks) },
	})
	want := func(what string, lines ...string) {
		t.Helper()
		if !slices.Equal(told, lines) {
			t.Errorf("%s: told %q, want %q", what, told, lines)
		}
		told = nil
	}
	ctx := t.Context()
	say := func(nick, body string) muc.StoredMessage {
		return muc.StoredMessage{Nick: nick, ID: body, Time: saidAt, Body: body}
	}
	list := []muc.StoredMessage{say("Tybalt", "x"), say("Romeo", "a secret"), say("Romeo", "a secret"), say("Romeo", "b")}
	n, err := s.Append(ctx, julietJID, gardenJID, list)
	if n != 2 || err != nil || list[0].Number != 0 || list[1].Number != 1 || list[2].Number != 0 || list[3].Number != 2 || list[1].Body != "a secret" {
		t.Errorf("Append: %d, %v, %v", n, err, list)
	}
	want("Append", "+1 a ***", "+2 b")
	n, err = s.Append(ctx, julietJID, gardenJID, list)
	if n != 0 || err != nil {
		t.Errorf("Append again: %d, %v", n, err)
	}
	want("Append again")
	inner.fails.Store(true)
	if _, err := s.Append(ctx, julietJID, gardenJID, []muc.StoredMessage{say("Romeo", "c")}); !errors.Is(err, errBroken) {
		t.Errorf("a failure: %v", err)
	}
	inner.fails.Store(false)
	want("a failure")
	x, y := say("Romeo", "no secret"), say("Tybalt", "y")
	for _, r := range []struct {
		number int64
		m      *muc.StoredMessage
		ok     bool
	}{{1, &x, true}, {9, &x, false}, {1, &y, true}, {1, &y, false}} {
		if ok, err := s.Replace(ctx, julietJID, gardenJID, r.number, r.m); ok != r.ok || err != nil {
			t.Errorf("Replace: %v, %v", ok, err)
		}
	}
	want("Replace", "~1 no ***", "-1 of garden@rooms.example.test, keeping 0")
	for range 2 {
		_, err = s.Prune(ctx, julietJID, xmpp.JID{}, muc.Retention{After: saidAt.Add(time.Hour), Count: 7})
		must(t, err)
	}
	want("Prune", "-0 of , keeping 7")
	must(t, s.PutOccupants(ctx, julietJID, gardenJID, true, []muc.Occupant{person("Romeo", "x"), person("Tybalt", ""), person("Nurse", "")}, nil))
	want("all occupants", "+Romeo", "+Nurse")
	must(t, s.PutOccupants(ctx, julietJID, gardenJID, false, []muc.Occupant{person("Romeo", "y")}, []string{"Nurse", "nobody"}))
	want("occupants", "-[Nurse]", "+Romeo")
	must(t, s.PutOccupants(ctx, julietJID, gardenJID, true, []muc.Occupant{person("Peter", "y")}, nil))
	want("other occupants", "-[Romeo]", "+Peter")
	must(t, s.Occupants(ctx, julietJID, gardenJID, func(o muc.Occupant) error {
		if o != person("Peter", "") {
			t.Errorf("stored: %+v", o)
		}
		return nil
	}))
	must(t, s.Clear(ctx, julietJID, gardenJID))
	want("Clear", "-0 of garden@rooms.example.test, keeping 0")
}

// TestHybrid: messages are in one, occupants in the other.
func TestHybrid(t *testing.T) {
	messages, occupants := muc.MemoryStorage(), muc.MemoryStorage()
	s, ctx := muc.HybridStorage(messages, occupants), t.Context()
	count := func(s muc.Storage) (n, m int) {
		t.Helper()
		must(t, s.Messages(ctx, julietJID, gardenJID, muc.Query{}, func(muc.StoredMessage) error { n++; return nil }))
		must(t, s.Occupants(ctx, julietJID, gardenJID, func(muc.Occupant) error { m++; return nil }))
		return n, m
	}
	_, err := s.Append(ctx, julietJID, gardenJID, []muc.StoredMessage{storedAt(1, 1), storedAt(2, 2)})
	must(t, err)
	must(t, s.PutOccupants(ctx, julietJID, gardenJID, true, []muc.Occupant{person("Romeo", "")}, nil))
	for _, x := range []struct {
		s                   muc.Storage
		messages, occupants int
	}{{s, 2, 1}, {messages, 2, 0}, {occupants, 0, 1}} {
		if n, m := count(x.s); n != x.messages || m != x.occupants {
			t.Errorf("%d messages and %d occupants, want %d and %d", n, m, x.messages, x.occupants)
		}
	}
	must(t, s.Clear(ctx, julietJID, gardenJID))
	for _, s := range []muc.Storage{s, messages, occupants} {
		if n, m := count(s); n+m > 0 {
			t.Errorf("%d messages and %d occupants after Clear", n, m)
		}
	}
}

// TestKeys: two messages that are the same have a key in common, and many with one id have none.
func TestKeys(t *testing.T) {
	var all []muc.StoredMessage
	ids := []string{"", "1", "2"}
	for _, nick := range []string{"", "a", "b"} {
		for _, stanza := range ids {
			for _, origin := range ids {
				for _, id := range ids {
					for _, with := range []string{"", "a"} {
						for _, private := range []bool{false, true} {
							all = append(all, muc.StoredMessage{Nick: nick, StanzaID: stanza, OriginID: origin, ID: id, With: with, Private: private})
						}
					}
				}
			}
		}
	}
	for _, a := range all {
		own, _ := a.Keys()
		for _, b := range all {
			_, others := b.Keys()
			common := slices.ContainsFunc(own, func(k string) bool { return slices.Contains(others, k) })
			if same := a.Same(&b); same && !common {
				t.Errorf("%+v and %+v are the same, but not found", a, b)
			} else if same != b.Same(&a) {
				t.Errorf("%+v and %+v are the same one way only", a, b)
			}
			if common && a.StanzaID != "" && b.StanzaID != "" && a.StanzaID != b.StanzaID {
				t.Errorf("%+v and %+v are found, and are not the same", a, b)
			}
		}
	}
}
