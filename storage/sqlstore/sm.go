package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/sm"
)

// SM keeps sessions of stream management. Their changes are not told by [DB.Changes].
func (db *DB) SM() sm.Storage { return smStorage{db} }

type smStorage struct{ db *DB }

func (s smStorage) Load(ctx context.Context, account xmpp.JID) (*sm.State, error) {
	var st *sm.State
	// One snapshot of both tables.
	err := s.db.snapshot(ctx, func(ctx context.Context, tx *sql.Tx) error {
		st = new(sm.State)
		var jid string
		var max, updated int64
		err := tx.QueryRowContext(ctx, "SELECT id, jid, location, max_ns, handled, acked, updated_ns FROM xmpp_sm_sessions WHERE account = $1", key(account)).
			Scan(&st.ID, &jid, &st.Location, &max, &st.Handled, &st.Acked, &updated)
		if errors.Is(err, sql.ErrNoRows) {
			st = nil
			return nil
		}
		if err != nil {
			return err
		}
		st.Max, st.Updated = time.Duration(max), moment(updated)
		if st.JID, err = parse(jid); err != nil {
			return err
		}
		rows, err := tx.QueryContext(ctx, "SELECT xml, sent_ns FROM xmpp_sm_unacked WHERE account = $1 ORDER BY position", key(account))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var x sm.Stanza
			var sent int64
			if err := rows.Scan(&x.XML, &sent); err != nil {
				return err
			}
			x.Time = moment(sent)
			st.Unacked = append(st.Unacked, x)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	return st, nil
}

func (s smStorage) Save(ctx context.Context, account xmpp.JID, st *sm.State) error {
	return s.db.change(ctx, account, func(c *change) error {
		if err := s.clear(c); err != nil {
			return err
		}
		err := c.exec("INSERT INTO xmpp_sm_sessions (account, id, jid, location, max_ns, handled, acked, updated_ns, head, tail)"+
			" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9)",
			c.account, st.ID, st.JID.String(), st.Location, int64(st.Max), int64(st.Handled), int64(st.Acked), nanos(st.Updated), len(st.Unacked))
		if err != nil {
			return err
		}
		return s.add(c, 0, st.Unacked)
	})
}

func (s smStorage) add(c *change, position int64, unacked []sm.Stanza) error {
	args := make([]any, 0, 4*len(unacked))
	for i, x := range unacked {
		args = append(args, c.account, position+int64(i), x.XML, nanos(x.Time))
	}
	return c.insert("xmpp_sm_unacked (account, position, xml, sent_ns)", 4, args)
}

func (s smStorage) clear(c *change) error {
	if err := c.exec("DELETE FROM xmpp_sm_unacked WHERE account = $1", c.account); err != nil {
		return err
	}
	return c.exec("DELETE FROM xmpp_sm_sessions WHERE account = $1", c.account)
}

func (s smStorage) Append(ctx context.Context, account xmpp.JID, ch *sm.Change) error {
	return s.db.change(ctx, account, func(c *change) error {
		var acked, head, tail int64
		err := c.QueryRowContext(c.ctx, "SELECT acked, head, tail FROM xmpp_sm_sessions WHERE account = $1", c.account).Scan(&acked, &head, &tail)
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("no session of %s", account)
		}
		if err != nil {
			return err
		}
		gone := int64(ch.Acked - uint32(acked)) // modulo 2^32
		if gone > tail-head+int64(len(ch.Sent)) {
			return fmt.Errorf("%d stanzas acknowledged, %d sent", gone, tail-head+int64(len(ch.Sent)))
		}
		if err := s.add(c, tail, ch.Sent); err != nil {
			return err
		}
		if gone > 0 {
			if err := c.exec("DELETE FROM xmpp_sm_unacked WHERE account = $1 AND position < $2", c.account, head+gone); err != nil {
				return err
			}
		}
		err = c.exec("UPDATE xmpp_sm_sessions SET handled = $1, acked = $2, updated_ns = $3, head = $4, tail = $5 WHERE account = $6",
			int64(ch.Handled), int64(ch.Acked), nanos(ch.Updated), head+gone, tail+int64(len(ch.Sent)), c.account)
		if n := ch.Session; err == nil && n != nil {
			err = c.exec("UPDATE xmpp_sm_sessions SET id = $1, jid = $2, location = $3, max_ns = $4 WHERE account = $5",
				n.ID, n.JID.String(), n.Location, int64(n.Max), c.account)
		}
		return err
	})
}

func (s smStorage) Clear(ctx context.Context, account xmpp.JID) error {
	return s.db.change(ctx, account, s.clear)
}
