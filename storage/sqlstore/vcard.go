package sqlstore

import (
	"context"
	"database/sql"
	"errors"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/vcard"
)

// KindVCard is the [Kind] of a vCard; its key is the address whose it is.
const KindVCard Kind = "vcard"

// VCard keeps vCards.
func (db *DB) VCard() vcard.Storage { return vcardStorage{db} }

type vcardStorage struct{ db *DB }

func (s vcardStorage) Load(ctx context.Context, account, of xmpp.JID) (*vcard.Record, error) {
	var card sql.NullString
	var fetched int64
	r := new(vcard.Record)
	err := s.db.r.QueryRowContext(ctx, "SELECT card, photo_hash, fetched_ns FROM xmpp_vcards WHERE account = $1 AND jid = $2", key(account), of.String()).
		Scan(&card, &r.PhotoHash, &fetched)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, s.db.explain(err)
	}
	r.Fetched = moment(fetched)
	if card.Valid {
		r.Card = new(vcard.Card)
		if err := r.Card.UnmarshalText([]byte(card.String)); err != nil {
			return nil, s.db.explain(err)
		}
	}
	return r, nil
}

func (s vcardStorage) PhotoHash(ctx context.Context, account, of xmpp.JID) (hash string, ok bool, err error) {
	err = s.db.r.QueryRowContext(ctx, "SELECT photo_hash FROM xmpp_vcards WHERE account = $1 AND jid = $2", key(account), of.String()).Scan(&hash)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	return hash, err == nil, s.db.explain(err)
}

func (s vcardStorage) Save(ctx context.Context, account, of xmpp.JID, r *vcard.Record) error {
	var card sql.NullString
	if r.Card != nil {
		b, err := r.Card.MarshalText()
		if err != nil {
			return s.db.explain(err)
		}
		card = sql.NullString{String: string(b), Valid: true}
	}
	return s.db.change(ctx, account, func(c *change) error {
		c.note(KindVCard, of.String(), Put)
		_, err := c.ExecContext(ctx, "INSERT INTO xmpp_vcards (account, jid, card, photo_hash, fetched_ns) VALUES ($1, $2, $3, $4, $5)"+
			" ON CONFLICT (account, jid) DO UPDATE SET card = excluded.card, photo_hash = excluded.photo_hash, fetched_ns = excluded.fetched_ns",
			c.account, of.String(), card, r.PhotoHash, nanos(r.Fetched))
		return err
	})
}

func (s vcardStorage) Remove(ctx context.Context, account, of xmpp.JID) error {
	return s.db.change(ctx, account, func(c *change) error {
		c.note(KindVCard, of.String(), Delete)
		_, err := c.ExecContext(ctx, "DELETE FROM xmpp_vcards WHERE account = $1 AND jid = $2", c.account, of.String())
		return err
	})
}

func (s vcardStorage) Clear(ctx context.Context, account xmpp.JID) error {
	return s.db.change(ctx, account, func(c *change) error {
		c.note(KindVCard, "", Reset)
		_, err := c.ExecContext(ctx, "DELETE FROM xmpp_vcards WHERE account = $1", c.account)
		return err
	})
}
