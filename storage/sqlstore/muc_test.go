package sqlstore

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
)

var (
	garden = xmpp.MustParseJID("garden@rooms.example.test")
	said   = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
)

func message(n int) muc.StoredMessage {
	return muc.StoredMessage{
		Nick: "Romeo", OccupantID: "romeo", StanzaID: fmt.Sprint("s", n), OriginID: fmt.Sprint("o", n), ID: fmt.Sprint("i", n),
		Time: said.Add(time.Duration(n) * time.Second), Body: fmt.Sprint(n), XML: "<message xmlns='jabber:client'/>",
	}
}

// TestMUCChanges: who follows hears of each row, or that all of a room are others.
func TestMUCChanges(t *testing.T) {
	each(t, func(t *testing.T, open func(Config) *DB) {
		db := open(Config{})
		s, ctx := db.MUC(), t.Context()
		romeo, nurse := muc.Occupant{JID: xmpp.MustParseJID(garden.String() + "/Romeo"), Nick: "Romeo"}, muc.Occupant{JID: xmpp.MustParseJID(garden.String() + "/Nurse"), Nick: "Nurse"}
		seq := int64(0)
		want := func(what string, err error, want ...string) {
			t.Helper()
			if err != nil {
				t.Fatal(what, err)
			}
			last, err := db.Seq(ctx, juliet)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			if seq < last {
				for c, err := range db.Changes(ctx, juliet, seq) {
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, fmt.Sprintf("%s %s %s", c.Kind, c.Key, c.Op))
					if seq = c.Seq; seq == last {
						break
					}
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", what, got, want)
			}
		}
		list := []muc.StoredMessage{message(0), message(1), message(0)}
		_, err := s.Append(ctx, juliet, garden, list)
		want("Append", err, "roommessage garden@rooms.example.test/1 put", "roommessage garden@rooms.example.test/2 put")
		_, err = s.Append(ctx, juliet, garden, list)
		want("Append of what is there", err)
		_, err = s.Replace(ctx, juliet, garden, 2, &list[1])
		want("Replace", err, "roommessage garden@rooms.example.test/2 put")
		_, err = s.Replace(ctx, juliet, garden, 7, &list[1])
		want("Replace of nothing", err)
		_, err = s.Prune(ctx, juliet, xmpp.JID{}, muc.Retention{Count: 1})
		want("Prune", err, "roommessage garden@rooms.example.test/1 delete")
		_, err = s.Prune(ctx, juliet, xmpp.JID{}, muc.Retention{Count: 1})
		want("Prune again", err)
		_, err = s.Replace(ctx, juliet, garden, 2, nil)
		want("removal", err, "roommessage garden@rooms.example.test/2 delete")
		want("all occupants", s.PutOccupants(ctx, juliet, garden, true, []muc.Occupant{romeo, nurse}, nil), "occupant garden@rooms.example.test reset")
		want("occupants", s.PutOccupants(ctx, juliet, garden, false, []muc.Occupant{romeo}, []string{"Nurse"}),
			"occupant garden@rooms.example.test/Nurse delete", "occupant garden@rooms.example.test/Romeo put")
		want("Clear", s.Clear(ctx, juliet, garden), "roommessage garden@rooms.example.test reset", "occupant garden@rooms.example.test reset")
		want("Clear of all", s.Clear(ctx, juliet, xmpp.JID{}), "roommessage  reset", "occupant  reset")
		for i := range maxDeletes + 1 {
			if _, err := s.Append(ctx, juliet, garden, []muc.StoredMessage{message(i)}); err != nil {
				t.Fatal(err)
			}
		}
		if seq, err = db.Seq(ctx, juliet); err != nil {
			t.Fatal(err)
		}
		_, err = s.Prune(ctx, juliet, garden, muc.Retention{After: said.Add(time.Hour)})
		want("Prune of many", err, "roommessage garden@rooms.example.test reset")
	})
}

// explained is how the database does it; PostgreSQL has done it, then.
func explained(t *testing.T, db *DB, query string, args ...any) (plan string) {
	t.Helper()
	explain := "EXPLAIN QUERY PLAN "
	if db.dialect.isPostgres() {
		explain = "EXPLAIN (ANALYZE, TIMING OFF, COSTS OFF, SUMMARY OFF) "
	}
	tx, err := db.w.BeginTx(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	rows, err := tx.Query(explain+query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		line := ""
		if db.dialect.isPostgres() {
			err = rows.Scan(&line)
		} else {
			var id, parent, unused int
			err = rows.Scan(&id, &parent, &unused, &line)
		}
		if err != nil {
			t.Fatal(err)
		}
		plan += line + "\n"
	}
	return plan
}

// direct fails if a statement goes through all of a table, sorts, or looks at rows that it does not want.
func direct(t *testing.T, db *DB, query string, args ...any) (plan string) {
	t.Helper()
	plan = explained(t, db, query, args...)
	for _, bad := range []string{"SCAN xmpp", "TEMP B-TREE", "Seq Scan", "Sort", "Removed by Filter"} {
		if strings.Contains(plan, bad) {
			t.Errorf("%s\n%s", query, plan)
		}
	}
	return plan
}

// TestMUCLarge: in a room of 100,000 messages, of a database that has others, what is done all the time looks at the rows that it is about only.
func TestMUCLarge(t *testing.T) {
	each(t, func(t *testing.T, open func(Config) *DB) {
		n := 100_000
		if testing.Short() || raceEnabled {
			n = 10_000
		}
		db := open(Config{})
		s, ctx := db.MUC(), t.Context()
		const batch = 5_000
		for i := 0; i < n; i += batch {
			list := make([]muc.StoredMessage, batch)
			for j := range list {
				list[j] = message(i + j)
			}
			if added, err := s.Append(ctx, juliet, garden, list); added != batch || err != nil {
				t.Fatal(added, err)
			}
		}
		other := xmpp.MustParseJID("orchard@rooms.example.test")
		if _, err := s.Append(ctx, juliet, other, []muc.StoredMessage{message(1)}); err != nil {
			t.Fatal(err)
		}
		for _, analyzed := range []bool{false, true} {
			if analyzed {
				Exec(t, db, "ANALYZE")
			}
			account, room := key(juliet), garden.String()
			var keys []int64
			for i := range 2 * rowsAtOnce { // half of them are there
				i += n - rowsAtOnce
				m := message(i)
				_, others := m.Keys()
				for _, k := range others {
					keys = append(keys, roomKey(account, room, k))
				}
			}
			plan := direct(t, db, db.dialect.sameQuery(), db.dialect.numbers(keys))
			for _, k := range []string{"key1", "key2", "key3"} {
				if !strings.Contains(plan, "xmpp_muc_messages_"+k) {
					t.Errorf("%s is not used:\n%s", k, plan)
				}
			}
			no := false
			for _, q := range []muc.Query{
				{Newest: true, Limit: 50}, {Newest: true, Limit: 50, BeforeNumber: int64(n / 2)}, {Limit: 50, AfterNumber: int64(n / 2)},
			} {
				query, args := messagesQuery(account, room, &q)
				direct(t, db, query, args...)
			}
			q := muc.Query{StanzaID: "s77", Limit: 1}
			query, args := messagesQuery(account, room, &q)
			if plan := explained(t, db, query, args...); !strings.Contains(plan, "xmpp_muc_messages_key1") {
				t.Errorf("by stanza-id:\n%s", plan)
			}
			q = muc.Query{Private: &no, Newest: true, Limit: 1000}
			query, args = messagesQuery(account, room, &q)
			direct(t, db, query, args...)
			direct(t, db, pruneByAge, account, room, roomKey(account, room, ""), said.Add(3*time.Second).UnixMicro())
			direct(t, db, timeQuery, roomKey(account, room, ""), said.UnixMicro(), said.Add(time.Minute).UnixMicro())
			direct(t, db, pruneByNumber, account, room, 3)
			direct(t, db, countQuery, account, room, 1000)
		}
		if n, err := s.Append(ctx, juliet, garden, []muc.StoredMessage{message(7), message(n)}); n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		total := 0
		if err := s.Messages(ctx, juliet, garden, muc.Query{}, func(muc.StoredMessage) error { total++; return nil }); err != nil || total != n+1 {
			t.Errorf("%d messages, %v", total, err)
		}
		if gone, err := s.Prune(ctx, juliet, xmpp.JID{}, muc.Retention{Count: 50}); gone != n+1-50 || err != nil {
			t.Errorf("%d are pruned, %v", gone, err)
		}
		Sound(t, db)
	})
}

// TestMUCLong: the longest addresses, nicknames and ids have room in the keys of both databases.
func TestMUCLong(t *testing.T) {
	each(t, func(t *testing.T, open func(Config) *DB) {
		db := open(Config{})
		s, ctx := db.MUC(), t.Context()
		domain := long(63, "a") + "." + long(63, "b") + "." + long(63, "c") + "." + long(59, "d")
		room, err := xmpp.NewJID(long(1023, "local"), domain, "")
		if err != nil {
			t.Fatal(err)
		}
		account, err := xmpp.NewJID(long(64, "account"), domain, "")
		if err != nil {
			t.Fatal(err)
		}
		jid, err := room.WithResource(long(1023, "resource"))
		if err != nil {
			t.Fatal(err)
		}
		m := muc.StoredMessage{Nick: jid.Resource(), StanzaID: long(1<<20, "s"), OriginID: long(1<<20, "o"), ID: long(1<<20, "i"), Time: said}
		for range 2 {
			_, err = s.Append(ctx, account, room, []muc.StoredMessage{m})
			err = errors.Join(err, s.PutOccupants(ctx, account, room, false, []muc.Occupant{{JID: jid, Nick: jid.Resource()}}, nil))
			if err != nil {
				t.Fatal(err)
			}
		}
		if n := Count(t, db, "xmpp_muc_messages"); n != 1 {
			t.Errorf("%d messages", n)
		}
		for _, at := range []time.Time{{}, time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC), time.Date(-4000, 1, 1, 0, 0, 0, 0, time.UTC)} {
			m := message(1)
			m.StanzaID, m.Time = at.String(), at
			if _, err := s.Append(ctx, juliet, garden, []muc.StoredMessage{m}); err != nil {
				t.Fatal(err)
			}
			err := s.Messages(ctx, juliet, garden, muc.Query{Newest: true, Limit: 1}, func(got muc.StoredMessage) error {
				if got.Number = 0; got != m {
					t.Errorf("%v is %v", m, got)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		}
	})
}
