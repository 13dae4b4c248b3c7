package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/stanza"
)

// What changes in rooms. A [Reset] of one room has the room's address for a key: all rows of this kind in it were replaced, or many were removed.
const (
	// KindRoomMessage is the [Kind] of a message in a room; its key is the room's address, a slash, and the number of the message.
	KindRoomMessage Kind = "roommessage"
	// KindOccupant is the [Kind] of an occupant of a room; its key is the occupant's address.
	KindOccupant Kind = "occupant"
)

// MUC keeps what was said in rooms, and who is there.
func (db *DB) MUC() muc.Storage { return mucStorage{db} }

type mucStorage struct{ db *DB }

// roomRow is the row of a room.
type roomRow struct {
	next int64 // the number of the next message
	last sql.NullInt64
}

func (r *roomRow) add(m *muc.StoredMessage) {
	r.next++
	if us := m.Time.UnixMicro(); !m.Private && (!r.last.Valid || us > r.last.Int64) {
		r.last = sql.NullInt64{Int64: us, Valid: true}
	}
}

func (s mucStorage) Append(ctx context.Context, account, room xmpp.JID, list []muc.StoredMessage) (n int, err error) {
	numbers := make([]int64, len(list))
	if len(list) > 0 {
		err = s.db.change(ctx, account, func(c *change) error {
			n = 0
			return s.append(c, room.String(), list, numbers, &n)
		})
	}
	if err != nil {
		return 0, err
	}
	for i := range list {
		list[i].Number = numbers[i]
	}
	return n, nil
}

func (s mucStorage) append(c *change, room string, list []muc.StoredMessage, numbers []int64, n *int) error {
	r := roomRow{next: 1}
	err := c.QueryRowContext(c.ctx, "SELECT next_number, last_us FROM xmpp_muc_rooms WHERE account = $1 AND room = $2", c.account, room).Scan(&r.next, &r.last)
	if err != nil && err != sql.ErrNoRows {
		return err
	}
	known := known{c: c, room: room}
	var args []any
	for i := range list {
		if i%rowsAtOnce == 0 {
			if err := known.load(list[i:min(i+rowsAtOnce, len(list))]); err != nil {
				return err
			}
		}
		m := list[i]
		if known.has(&m) {
			continue
		}
		numbers[i], m.Number = r.next, r.next
		r.add(&m)
		known.add(&m)
		args = appendMessage(args, c.account, room, &m)
		c.note(KindRoomMessage, fmt.Sprint(room, "/", m.Number), Put)
		*n++
	}
	if *n == 0 {
		return nil
	}
	if err := c.insert("xmpp_muc_messages (account, room, number, "+messageColumns+", room_key, key1, key2, key3)", 19, args); err != nil {
		return err
	}
	return c.exec("INSERT INTO xmpp_muc_rooms (account, room, next_number, messages, last_us) VALUES ($1, $2, $3, $4, $5)"+
		" ON CONFLICT (account, room) DO UPDATE SET next_number = excluded.next_number,"+
		" messages = xmpp_muc_rooms.messages + excluded.messages, last_us = excluded.last_us", c.account, room, r.next, *n, r.last)
}

const messageColumns = "nick, real_jid, occupant_id, stanza_id, origin_id, id, time_us, own, private, with_nick, body, xml"

func appendMessage(args []any, account, room string, m *muc.StoredMessage) []any {
	own, _ := m.Keys()
	var keys [3]any
	for i, k := range own {
		keys[i] = roomKey(account, room, k)
	}
	args = append(args, account, room, m.Number, m.Nick, m.RealJID.String(), m.OccupantID, m.StanzaID, m.OriginID, m.ID, m.Time.UnixMicro(),
		m.Own, m.Private, m.With, m.Body, m.XML, roomKey(account, room, ""))
	return append(args, keys[:]...)
}

// pageSize is how many messages are read at a time.
const pageSize = 500

// Messages reads page by page: f may take its time, and all of a room need not be in memory at once.
func (s mucStorage) Messages(ctx context.Context, account, room xmpp.JID, q muc.Query, f func(muc.StoredMessage) error) error {
	q.Limit = max(q.Limit, 0)
	if !q.Newest && q.BeforeNumber == 0 && (q.Limit == 0 || q.Limit > pageSize) { // what is added meanwhile is not wanted
		if _, err := s.db.row(ctx, "SELECT next_number FROM xmpp_muc_rooms WHERE account = $1 AND room = $2",
			[]any{key(account), room.String()}, &q.BeforeNumber); err != nil {
			return err
		}
	}
	if ok, err := s.timed(ctx, account, room, &q); err != nil || !ok {
		return err
	}
	for {
		page := q
		if page.Limit == 0 || page.Limit > pageSize {
			page.Limit = pageSize
		}
		list, err := s.page(ctx, account, room, &page)
		if err != nil {
			return err
		}
		for _, m := range list {
			if err := f(m); err != nil {
				return err
			}
		}
		if len(list) < page.Limit || len(list) == q.Limit {
			return nil
		}
		if q.Limit > 0 {
			q.Limit -= len(list)
		}
		if last := list[len(list)-1].Number; q.Newest {
			q.BeforeNumber = last
		} else {
			q.AfterNumber = last
		}
	}
}

const timeQuery = "SELECT MIN(number), MAX(number) FROM xmpp_muc_messages WHERE room_key = $1 AND time_us > $2 AND time_us < $3"

// timed finds, where a query has limits of time, those of the numbers; ok is false if there is nothing. Times are mostly in the order of the numbers, but need not be.
func (s mucStorage) timed(ctx context.Context, account, room xmpp.JID, q *muc.Query) (ok bool, err error) {
	if q.After.IsZero() && q.Before.IsZero() || q.StanzaID != "" {
		return true, nil
	}
	after, before := int64(math.MinInt64), int64(math.MaxInt64)
	if !q.After.IsZero() {
		after = q.After.UnixMicro()
	}
	if !q.Before.IsZero() {
		before = ceilMicro(q.Before)
	}
	var first, last sql.NullInt64
	if _, err = s.db.row(ctx, timeQuery, []any{roomKey(key(account), room.String(), ""), after, before}, &first, &last); err != nil || !first.Valid {
		return false, err
	}
	q.AfterNumber = max(q.AfterNumber, first.Int64-1)
	if q.BeforeNumber == 0 || q.BeforeNumber > last.Int64 {
		q.BeforeNumber = last.Int64 + 1
	}
	return true, nil
}

func (s mucStorage) page(own context.Context, account, room xmpp.JID, q *muc.Query) (list []muc.StoredMessage, err error) {
	query, args := messagesQuery(key(account), room.String(), q)
	read := func(ctx context.Context) error {
		list = nil
		rows, err := s.db.r.QueryContext(ctx, query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var m muc.StoredMessage
			var jid string
			var us int64
			if err := rows.Scan(&m.Number, &m.Nick, &jid, &m.OccupantID, &m.StanzaID, &m.OriginID, &m.ID, &us, &m.Own, &m.Private, &m.With, &m.Body, &m.XML); err != nil {
				return err
			}
			m.Time = time.UnixMicro(us).UTC()
			if m.RealJID, err = parse(jid); err != nil {
				return err
			}
			list = append(list, m)
		}
		return rows.Err()
	}
	err = s.db.call(own, func(ctx context.Context) error { return s.db.retry(ctx, func() error { return read(ctx) }) })
	return list, err
}

// messagesQuery reads one page.
func messagesQuery(account, room string, q *muc.Query) (query string, args []any) {
	args = []any{account, room}
	where := "account = $1 AND room = $2"
	and := func(condition string, arg any) {
		args = append(args, arg)
		where += fmt.Sprintf(" AND %s $%d", condition, len(args))
	}
	if q.StanzaID != "" {
		where = "account || '' = $1 AND room || '' = $2" // not by their index
		and("key1 =", roomKey(account, room, muc.StanzaIDKey(q.StanzaID)))
		and("stanza_id =", q.StanzaID)
	}
	if !q.After.IsZero() {
		and("time_us >", q.After.UnixMicro())
	}
	if !q.Before.IsZero() {
		and("time_us <", ceilMicro(q.Before))
	}
	if q.AfterNumber != 0 {
		and("number >", q.AfterNumber)
	}
	if q.BeforeNumber != 0 {
		and("number <", q.BeforeNumber)
	}
	if q.Private != nil {
		and("private =", *q.Private)
	}
	order := ""
	if q.Newest {
		order = " DESC"
	}
	return fmt.Sprintf("SELECT number, %s FROM xmpp_muc_messages WHERE %s ORDER BY number%s LIMIT %d", messageColumns, where, order, q.Limit), args
}

// ceilMicro is the time in microseconds, rounded up: what is stored is before t if it is before that.
func ceilMicro(t time.Time) int64 {
	us := t.UnixMicro()
	if t.Nanosecond()%1000 != 0 {
		us++
	}
	return us
}

func (s mucStorage) Replace(ctx context.Context, account, room xmpp.JID, number int64, m *muc.StoredMessage) (ok bool, err error) {
	err = s.db.change(ctx, account, func(c *change) error {
		query := "DELETE FROM xmpp_muc_messages WHERE account = $1 AND room = $2 AND number = $3"
		args, op := []any{c.account, room.String(), number}, Delete
		if m != nil {
			x := *m
			x.Number = number
			args, op = appendMessage(nil, c.account, room.String(), &x), Put
			query = "UPDATE xmpp_muc_messages SET nick = $4, real_jid = $5, occupant_id = $6, stanza_id = $7, origin_id = $8, id = $9, time_us = $10," +
				" own = $11, private = $12, with_nick = $13, body = $14, xml = $15, room_key = $16, key1 = $17, key2 = $18, key3 = $19" +
				" WHERE account = $1 AND room = $2 AND number = $3"
		}
		res, err := c.ExecContext(c.ctx, query, args...)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		if ok = n > 0; !ok || err != nil {
			return err
		}
		c.note(KindRoomMessage, fmt.Sprint(room, "/", number), op)
		if m != nil {
			return nil
		}
		return c.exec("UPDATE xmpp_muc_rooms SET messages = messages - 1 WHERE account = $1 AND room = $2", c.account, room.String())
	})
	return ok && err == nil, err
}

func (s mucStorage) Rooms(ctx context.Context, account, room xmpp.JID, f func(muc.StoredRoom) error) error {
	var list []muc.StoredRoom
	err := s.db.snapshot(ctx, func(ctx context.Context, tx *sql.Tx) error {
		query, args := ofRoom("SELECT room, messages, last_us FROM xmpp_muc_rooms WHERE account = $1", key(account), room)
		rows, err := tx.QueryContext(ctx, query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var r muc.StoredRoom
			var jid string
			var last sql.NullInt64
			if err := rows.Scan(&jid, &r.Messages, &last); err != nil {
				return err
			}
			if last.Valid {
				r.Last = time.UnixMicro(last.Int64).UTC()
			}
			if r.Room, err = parse(jid); err != nil {
				return err
			}
			list = append(list, r)
		}
		return rows.Err()
	})
	if err != nil {
		return err
	}
	for _, r := range list {
		if err := f(r); err != nil {
			return err
		}
	}
	return nil
}

// ofRoom completes a statement about the account to one about the room, unless that is the zero JID.
func ofRoom(query, account string, room xmpp.JID) (string, []any) {
	if room.IsZero() {
		return query, []any{account}
	}
	return query + " AND room = $2", []any{account, room.String()}
}

const occupantColumns = "nick, role, affiliation, real_jid, occupant_id, show_type, status, joined_us, self"

func (s mucStorage) PutOccupants(ctx context.Context, account, room xmpp.JID, all bool, put []muc.Occupant, gone []string) error {
	return s.db.change(ctx, account, func(c *change) error {
		r := room.String()
		if all {
			c.note(KindOccupant, r, Reset)
			if err := c.exec("DELETE FROM xmpp_muc_occupants WHERE account = $1 AND room = $2", c.account, r); err != nil {
				return err
			}
		} else {
			var keys []any
			for _, nick := range gone {
				keys = append(keys, c.account, r, nick)
				c.note(KindOccupant, r+"/"+nick, Delete)
			}
			if err := c.many("DELETE FROM xmpp_muc_occupants WHERE (account, room, nick) IN (VALUES ", 3, keys, ")"); err != nil {
				return err
			}
		}
		var args []any
		for _, o := range put {
			args = append(args, c.account, r, o.Nick, int(o.Role), int(o.Affiliation), o.RealJID.String(), o.ID, int(o.Show), o.Status, o.Joined.UnixMicro(), o.Self)
			if !all {
				c.note(KindOccupant, r+"/"+o.Nick, Put)
			}
		}
		return c.upsert("xmpp_muc_occupants (account, room, "+occupantColumns+")", 11, args, " ON CONFLICT (account, room, nick) DO UPDATE SET"+
			" role = excluded.role, affiliation = excluded.affiliation, real_jid = excluded.real_jid, occupant_id = excluded.occupant_id,"+
			" show_type = excluded.show_type, status = excluded.status, joined_us = excluded.joined_us, self = excluded.self")
	})
}

func (s mucStorage) Occupants(ctx context.Context, account, room xmpp.JID, f func(muc.Occupant) error) error {
	var list []muc.Occupant
	err := s.db.snapshot(ctx, func(ctx context.Context, tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, "SELECT "+occupantColumns+" FROM xmpp_muc_occupants WHERE account = $1 AND room = $2", key(account), room.String())
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var o muc.Occupant
			var jid string
			var show int
			var us int64
			if err := rows.Scan(&o.Nick, &o.Role, &o.Affiliation, &jid, &o.ID, &show, &o.Status, &us, &o.Self); err != nil {
				return err
			}
			o.Show, o.Joined = stanza.ShowType(show), time.UnixMicro(us).UTC()
			if o.RealJID, err = parse(jid); err != nil {
				return err
			}
			if o.JID, err = room.WithResource(o.Nick); err != nil {
				return fmt.Errorf("stored nickname: %w", err)
			}
			list = append(list, o)
		}
		return rows.Err()
	})
	if err != nil {
		return err
	}
	for _, o := range list {
		if err := f(o); err != nil {
			return err
		}
	}
	return nil
}

func (s mucStorage) Prune(ctx context.Context, account, room xmpp.JID, keep muc.Retention) (n int, err error) {
	if keep == (muc.Retention{}) {
		return 0, nil
	}
	err = s.db.change(ctx, account, func(c *change) error {
		n = 0
		rooms, err := c.mucRooms(room)
		if err != nil {
			return err
		}
		for r, messages := range rooms {
			k, err := c.prune(r, messages, keep)
			if n += k; err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

func (s mucStorage) Clear(ctx context.Context, account, room xmpp.JID) error {
	return s.db.change(ctx, account, func(c *change) error {
		c.note(KindRoomMessage, room.String(), Reset)
		c.note(KindOccupant, room.String(), Reset)
		for _, table := range []string{"xmpp_muc_messages", "xmpp_muc_rooms", "xmpp_muc_occupants"} {
			query, args := ofRoom("DELETE FROM "+table+" WHERE account = $1", c.account, room)
			if err := c.exec(query, args...); err != nil {
				return err
			}
		}
		return nil
	})
}
