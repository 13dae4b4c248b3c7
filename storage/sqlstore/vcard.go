package sqlstore

import (
	"context"
	"database/sql"
	"fmt"

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
	ok, err := s.db.row(ctx, "SELECT card, photo_hash, fetched_ns FROM xmpp_vcards WHERE account = $1 AND jid = $2", []any{key(account), of.String()},
		&card, &r.PhotoHash, &fetched)
	if !ok {
		return nil, err
	}
	r.Fetched = moment(fetched)
	if card.Valid {
		r.Card = new(vcard.Card)
		if err := r.Card.UnmarshalText([]byte(card.String)); err != nil {
			return nil, fmt.Errorf("sqlstore: stored vCard of %s: %w", of, err)
		}
	}
	return r, nil
}

func (s vcardStorage) PhotoHash(ctx context.Context, account, of xmpp.JID) (hash string, ok bool, err error) {
	ok, err = s.db.row(ctx, "SELECT photo_hash FROM xmpp_vcards WHERE account = $1 AND jid = $2", []any{key(account), of.String()}, &hash)
	return hash, ok, err
}

func (s vcardStorage) Save(ctx context.Context, account, of xmpp.JID, r *vcard.Record) error {
	var card sql.NullString
	if r.Card != nil {
		b, err := r.Card.MarshalText()
		if err != nil {
			return fmt.Errorf("sqlstore: vCard of %s: %w", of, err)
		}
		card = sql.NullString{String: string(b), Valid: true}
	}
	return s.db.change(ctx, account, func(c *change) error {
		c.note(KindVCard, of.String(), Put)
		return c.exec("INSERT INTO xmpp_vcards (account, jid, card, photo_hash, fetched_ns) VALUES ($1, $2, $3, $4, $5)"+
			" ON CONFLICT (account, jid) DO UPDATE SET card = excluded.card, photo_hash = excluded.photo_hash, fetched_ns = excluded.fetched_ns",
			c.account, of.String(), card, r.PhotoHash, nanos(r.Fetched))
	})
}

func (s vcardStorage) Remove(ctx context.Context, account, of xmpp.JID) error {
	return s.db.change(ctx, account, func(c *change) error {
		c.note(KindVCard, of.String(), Delete)
		return c.exec("DELETE FROM xmpp_vcards WHERE account = $1 AND jid = $2", c.account, of.String())
	})
}

func (s vcardStorage) Clear(ctx context.Context, account xmpp.JID) error {
	return s.db.change(ctx, account, func(c *change) error {
		c.note(KindVCard, "", Reset)
		return c.exec("DELETE FROM xmpp_vcards WHERE account = $1", c.account)
	})
}
