package sqlstore

import (
	"context"
	"time"

	"github.com/go-xmppframework/xmpp"
)

// Logins keeps what is remembered of logins. That has secrets, the tokens, which are not encrypted: whoever can read the database can log in.
// Its changes are not told by [DB.Changes].
func (db *DB) Logins() xmpp.LoginStorage { return loginStorage{db} }

type loginStorage struct{ db *DB }

func (s loginStorage) LoadLogin(ctx context.Context, account xmpp.JID) (r xmpp.LoginRecord, err error) {
	var expiry, count int64
	ok, err := s.db.row(ctx, "SELECT user_agent, strongest, token, token_mechanism, token_expiry_ms, token_count, features FROM xmpp_logins WHERE account = $1",
		[]any{key(account)}, &r.UserAgent, &r.Strongest, &r.Token, &r.TokenMechanism, &expiry, &count, &r.Features)
	if !ok {
		return xmpp.LoginRecord{}, err
	}
	if expiry != 0 {
		r.TokenExpiry = time.UnixMilli(expiry).UTC()
	}
	r.TokenCount = uint64(count)
	return r, nil
}

func (s loginStorage) SaveLogin(ctx context.Context, account xmpp.JID, r xmpp.LoginRecord) error {
	return s.db.change(ctx, account, func(c *change) error {
		if r == (xmpp.LoginRecord{}) {
			return c.exec("DELETE FROM xmpp_logins WHERE account = $1", c.account)
		}
		expiry := int64(0)
		if !r.TokenExpiry.IsZero() {
			expiry = r.TokenExpiry.UnixMilli()
		}
		return c.exec("INSERT INTO xmpp_logins (account, user_agent, strongest, token, token_mechanism, token_expiry_ms, token_count, features)"+
			" VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (account) DO UPDATE SET user_agent = excluded.user_agent, strongest = excluded.strongest,"+
			" token = excluded.token, token_mechanism = excluded.token_mechanism, token_expiry_ms = excluded.token_expiry_ms,"+
			" token_count = excluded.token_count, features = excluded.features",
			c.account, r.UserAgent, r.Strongest, r.Token, r.TokenMechanism, expiry, int64(r.TokenCount), r.Features)
	})
}
