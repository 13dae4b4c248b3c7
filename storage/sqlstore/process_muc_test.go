package sqlstore_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/storage/sqlstore"
)

var (
	garden = xmpp.MustParseJID("garden@rooms.example.test")
	said   = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
)

const (
	roomsBatch = 4   // messages of a step
	roomsKept  = 300 // messages, at least: more than those of the steps that two processes do together, one of which may be far behind
	roomsThere = 30  // occupants
)

// roomsAt is the step of the last message.
func roomsAt(ctx context.Context, db *sqlstore.DB) (n int, err error) {
	err = db.MUC().Messages(ctx, juliet, garden, muc.Query{Newest: true, Limit: 1}, func(m muc.StoredMessage) error {
		n, err = strconv.Atoi(strings.Split(m.Body, ".")[0])
		return err
	})
	return n, err
}

// roomsStep stores who is there, the messages of the step after some of the one before, and now and then removes old ones.
func roomsStep(ctx context.Context, db *sqlstore.DB, n int) error {
	var there []muc.Occupant
	for i := range roomsThere {
		nick := fmt.Sprint("nick", n%7+i)
		jid, err := garden.WithResource(nick)
		if err != nil {
			return err
		}
		there = append(there, muc.Occupant{JID: jid, Nick: nick, Status: fmt.Sprint(n)})
	}
	if err := db.MUC().PutOccupants(ctx, juliet, garden, true, there, nil); err != nil {
		return err
	}
	var list []muc.StoredMessage
	for i := max(roomsBatch*(n-1)-2, 0); i < roomsBatch*n; i++ {
		id := fmt.Sprintf("%d.%d", i/roomsBatch+1, i%roomsBatch)
		list = append(list, muc.StoredMessage{Nick: "Romeo", OriginID: id, ID: id, Time: said.Add(time.Duration(n) * time.Second), Body: id, XML: "<message/>"})
	}
	added, err := db.MUC().Append(ctx, juliet, garden, list)
	if err != nil {
		return err
	}
	if n%6 == 0 {
		if _, err := db.MUC().Prune(ctx, juliet, xmpp.JID{}, muc.Retention{Count: roomsKept}); err != nil {
			return err
		}
	}
	if added != roomsBatch {
		return errOther
	}
	return nil
}

func wholeRooms(t *testing.T, db *sqlstore.DB) (n int) {
	t.Helper()
	next, first, number := 0, 0, int64(0)
	err := db.MUC().Messages(t.Context(), juliet, garden, muc.Query{}, func(m muc.StoredMessage) error {
		var i, j int
		if _, err := fmt.Sscanf(m.Body, "%d.%d", &i, &j); err != nil {
			return err
		}
		at := (i-1)*roomsBatch + j
		if next == 0 {
			next, first = at, at
		}
		if at != next || m.Number <= number {
			t.Errorf("%s with the number %d where %d.%d was to come, after the number %d", m.Body, m.Number, next/roomsBatch+1, next%roomsBatch, number)
		}
		next, number = at+1, m.Number
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if next%roomsBatch != 0 || next-first < min(next, roomsKept) {
		t.Errorf("messages %d to %d", first, next)
	}
	there, status := 0, ""
	err = db.MUC().Occupants(t.Context(), juliet, garden, func(o muc.Occupant) error {
		if there++; there == 1 {
			status = o.Status
		}
		if o.Status != status {
			t.Errorf("occupants of the steps %s and %s", status, o.Status)
		}
		return nil
	})
	if err != nil || there != roomsThere && next > 0 {
		t.Errorf("%d occupants, %v", there, err)
	}
	return next / roomsBatch
}

func roomsCheck(t *testing.T, db *sqlstore.DB, n int) {
	t.Helper()
	if got := wholeRooms(t, db); got != n {
		t.Errorf("messages of %d steps, want %d", got, n)
	}
	err := db.MUC().Rooms(t.Context(), juliet, garden, func(r muc.StoredRoom) error {
		if r.Messages != sqlstore.Count(t, db, "xmpp_muc_messages") || !r.Last.Equal(said.Add(time.Duration(n)*time.Second)) {
			t.Errorf("the room is %+v", r)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
