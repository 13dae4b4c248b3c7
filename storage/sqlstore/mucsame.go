package sqlstore

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/muc"
)

// roomKey is how a key of muc.StoredMessage is stored, and, with the empty one, a room: as long as others have made it, it has room in an index.
func roomKey(account, room, k string) int64 {
	h := sha256.Sum256([]byte(account + "\x00" + room + "\x00" + k))
	return int64(binary.BigEndian.Uint64(h[:8]))
}

// known are messages of a room that others may be the same as.
type known struct {
	c    *change
	room string
	by   map[int64][]*muc.StoredMessage
}

// load reads those that may be the same as one of the list.
func (k *known) load(list []muc.StoredMessage) error {
	var keys []int64
	for i := range list {
		_, others := list[i].Keys()
		for _, o := range others {
			keys = append(keys, roomKey(k.c.account, k.room, o))
		}
	}
	if k.by == nil {
		k.by = map[int64][]*muc.StoredMessage{}
	}
	if len(keys) == 0 {
		return nil
	}
	rows, err := k.c.QueryContext(k.c.ctx, k.c.db.dialect.sameQuery(), k.c.db.dialect.numbers(keys))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var account, room string
		m := new(muc.StoredMessage)
		if err := rows.Scan(&account, &room, &m.Number, &m.Nick, &m.OccupantID, &m.StanzaID, &m.OriginID, &m.ID, &m.Private, &m.With); err != nil {
			return err
		}
		if account == k.c.account && room == k.room { // as always, but for two hashes that are equal
			k.add(m)
		}
	}
	return rows.Err()
}

// sameQuery finds messages by their keys. It names account and room nowhere, so that nobody is tempted to read all messages of a room;
// and PostgreSQL, which takes each of many keys for a part of the whole table as long as it knows nothing of that, is made to look them up one by one.
func (d *dialect) sameQuery() string {
	const messages = "SELECT account, room, number, nick, occupant_id, stanza_id, origin_id, id, private, with_nick FROM xmpp_muc_messages WHERE "
	by := func(column string) string {
		if d.isPostgres() {
			return "SELECT m.* FROM unnest($1::bigint[]) AS k CROSS JOIN LATERAL (" + messages + column + " = k OFFSET 0) AS m"
		}
		return messages + column + " IN (SELECT value FROM json_each($1))"
	}
	return by("key1") + " UNION ALL " + by("key2") + " UNION ALL " + by("key3")
}

// numbers is a list as sameQuery takes it.
func (d *dialect) numbers(list []int64) string {
	slices.Sort(list)
	var b strings.Builder
	begin, end := byte('['), byte(']')
	if d.isPostgres() {
		begin, end = '{', '}'
	}
	b.WriteByte(begin)
	for i, n := range slices.Compact(list) {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatInt(n, 10))
	}
	b.WriteByte(end)
	return b.String()
}

func (k *known) add(m *muc.StoredMessage) {
	own, _ := m.Keys()
	for _, o := range own {
		h := roomKey(k.c.account, k.room, o)
		if !slices.ContainsFunc(k.by[h], func(x *muc.StoredMessage) bool { return x.Number == m.Number }) {
			k.by[h] = append(k.by[h], m)
		}
	}
}

func (k *known) has(m *muc.StoredMessage) bool {
	_, others := m.Keys()
	for _, o := range others {
		if slices.ContainsFunc(k.by[roomKey(k.c.account, k.room, o)], m.Same) {
			return true
		}
	}
	return false
}

// maxDeletes is how many messages that are removed at once are told one by one.
const maxDeletes = 200

// removed tells of messages of a room that are removed.
func (c *change) removed(room string, numbers []int64) error {
	if len(numbers) == 0 {
		return nil
	}
	if len(numbers) > maxDeletes {
		c.note(KindRoomMessage, room, Reset)
	} else {
		slices.Sort(numbers)
		for _, n := range numbers {
			c.note(KindRoomMessage, room+"/"+strconv.FormatInt(n, 10), Delete)
		}
	}
	return c.exec("UPDATE xmpp_muc_rooms SET messages = messages - $1 WHERE account = $2 AND room = $3", len(numbers), c.account, room)
}

// list returns the numbers that a statement yields.
func (c *change) list(query string, args ...any) (numbers []int64, err error) {
	rows, err := c.QueryContext(c.ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var n int64
		if err := rows.Scan(&n); err != nil {
			return nil, err
		}
		numbers = append(numbers, n)
	}
	return numbers, rows.Err()
}

// pruneByAge and pruneByNumber remove messages of a room, and countQuery finds the first number of those that stay for their number.
const (
	pruneByAge    = "DELETE FROM xmpp_muc_messages WHERE account || '' = $1 AND room || '' = $2 AND room_key = $3 AND time_us < $4 RETURNING number"
	pruneByNumber = "DELETE FROM xmpp_muc_messages WHERE account = $1 AND room = $2 AND number < $3 RETURNING number"
	countQuery    = "SELECT number FROM xmpp_muc_messages WHERE account = $1 AND room = $2 ORDER BY number DESC LIMIT 1 OFFSET $3"
)

// prune removes messages of a room that has so many, and returns how many it has removed.
func (c *change) prune(room string, messages int, keep muc.Retention) (n int, err error) {
	var gone []int64
	if !keep.After.IsZero() {
		if gone, err = c.list(pruneByAge, c.account, room, roomKey(c.account, room, ""), ceilMicro(keep.After)); err != nil {
			return 0, err
		}
	}
	if keep.Count > 0 && messages-len(gone) > keep.Count {
		first, err := c.list(countQuery, c.account, room, keep.Count-1)
		if err != nil || len(first) == 0 {
			return 0, err
		}
		more, err := c.list(pruneByNumber, c.account, room, first[0])
		if err != nil {
			return 0, err
		}
		gone = append(gone, more...)
	}
	return len(gone), c.removed(room, gone)
}

// mucRooms are the rooms of a change that have messages, and how many.
func (c *change) mucRooms(room xmpp.JID) (rooms map[string]int, err error) {
	query, args := ofRoom("SELECT room, messages FROM xmpp_muc_rooms WHERE messages > 0 AND account = $1", c.account, room)
	list, err := c.QueryContext(c.ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer list.Close()
	rooms = map[string]int{}
	for list.Next() {
		var r string
		var n int
		if err := list.Scan(&r, &n); err != nil {
			return nil, err
		}
		rooms[r] = n
	}
	return rooms, list.Err()
}
