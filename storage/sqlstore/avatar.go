package sqlstore

import (
	"context"
	"database/sql"
	"errors"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/avatar"
)

// KindAvatar is the [Kind] of who has which avatar; its key is the address whose it is.
const KindAvatar Kind = "avatar"

// Avatar keeps avatars.
func (db *DB) Avatar() avatar.Storage { return avatarStorage{db} }

type avatarStorage struct{ db *DB }

func (s avatarStorage) Load(ctx context.Context, account xmpp.JID) (out []avatar.Record, err error) {
	err = s.db.snapshot(ctx, func(ctx context.Context, tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, "SELECT jid, hash, source, url, size, fetched, updated_ns FROM xmpp_avatars WHERE account = $1", key(account))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var r avatar.Record
			var of string
			var updated int64
			if err := rows.Scan(&of, &r.Hash, &r.Source, &r.URL, &r.Bytes, &r.Fetched, &updated); err != nil {
				return err
			}
			r.Updated = moment(updated)
			if r.Of, err = parse(of); err != nil {
				return err
			}
			out = append(out, r)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s avatarStorage) Save(ctx context.Context, account xmpp.JID, r avatar.Record, img *avatar.Image) error {
	return s.db.change(ctx, account, func(c *change) error {
		before, err := s.hash(c, r.Of)
		if err != nil {
			return err
		}
		c.note(KindAvatar, r.Of.String(), Put)
		if err := c.exec("INSERT INTO xmpp_avatars (account, jid, hash, source, url, size, fetched, updated_ns)"+
			" VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (account, jid) DO UPDATE SET hash = excluded.hash, source = excluded.source,"+
			" url = excluded.url, size = excluded.size, fetched = excluded.fetched, updated_ns = excluded.updated_ns",
			c.account, r.Of.String(), r.Hash, string(r.Source), r.URL, r.Bytes, r.Fetched, nanos(r.Updated)); err != nil {
			return err
		}
		if img != nil {
			if err := c.exec("INSERT INTO xmpp_avatar_images (account, hash, type, data) VALUES ($1, $2, $3, $4)"+
				" ON CONFLICT (account, hash) DO NOTHING", c.account, r.Hash, img.Type, img.Data); err != nil {
				return err
			}
		}
		return s.drop(c, before)
	})
}

// hash is that of the record of an address, empty if there is none.
func (s avatarStorage) hash(c *change, of xmpp.JID) (hash string, err error) {
	err = c.QueryRowContext(c.ctx, "SELECT hash FROM xmpp_avatars WHERE account = $1 AND jid = $2", c.account, of.String()).Scan(&hash)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return hash, err
}

// drop removes an image that no record has.
func (s avatarStorage) drop(c *change, hash string) error {
	return c.exec("DELETE FROM xmpp_avatar_images WHERE account = $1 AND hash = $2"+
		" AND NOT EXISTS (SELECT 1 FROM xmpp_avatars WHERE account = $1 AND hash = $2)", c.account, hash)
}

func (s avatarStorage) Remove(ctx context.Context, account, of xmpp.JID) error {
	return s.db.change(ctx, account, func(c *change) error {
		before, err := s.hash(c, of)
		if err != nil {
			return err
		}
		c.note(KindAvatar, of.String(), Delete)
		if err := c.exec("DELETE FROM xmpp_avatars WHERE account = $1 AND jid = $2", c.account, of.String()); err != nil {
			return err
		}
		return s.drop(c, before)
	})
}

func (s avatarStorage) Image(ctx context.Context, account xmpp.JID, hash string) (*avatar.Image, error) {
	img := &avatar.Image{Hash: hash}
	ok, err := s.db.row(ctx, "SELECT type, data FROM xmpp_avatar_images WHERE account = $1 AND hash = $2", []any{key(account), hash}, &img.Type, &img.Data)
	if !ok {
		return nil, err
	}
	return img, nil
}

func (s avatarStorage) Clear(ctx context.Context, account xmpp.JID) error {
	return s.db.change(ctx, account, func(c *change) error {
		c.note(KindAvatar, "", Reset)
		for _, table := range []string{"xmpp_avatars", "xmpp_avatar_images"} {
			if err := c.exec("DELETE FROM "+table+" WHERE account = $1", c.account); err != nil {
				return err
			}
		}
		return nil
	})
}
