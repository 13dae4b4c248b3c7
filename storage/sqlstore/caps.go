package sqlstore

import (
	"context"
	"database/sql"
	"errors"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/caps"
)

// Caps keeps capabilities that were verified. Their changes are not told by [DB.Changes].
func (db *DB) Caps() caps.Storage { return capsStorage{db} }

type capsStorage struct{ db *DB }

// nextUse numbers uses.
const nextUse = "(SELECT COALESCE(MAX(used), 0) + 1 FROM xmpp_caps WHERE account = $1)"

func (s capsStorage) Load(ctx context.Context, account xmpp.JID, h caps.Hash) (xml string, err error) {
	err = s.db.w.QueryRowContext(ctx, "UPDATE xmpp_caps SET used = "+nextUse+" WHERE account = $1 AND ns = $2 AND algo = $3 AND hash = $4 RETURNING xml",
		key(account), h.NS, h.Algo, h.Value).Scan(&xml)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return xml, s.db.explain(err)
}

func (s capsStorage) Save(ctx context.Context, account xmpp.JID, h caps.Hash, xml string) error {
	_, err := s.db.w.ExecContext(ctx, "INSERT INTO xmpp_caps (account, ns, algo, hash, xml, used) VALUES ($1, $2, $3, $4, $5, "+nextUse+")"+
		" ON CONFLICT (account, ns, algo, hash) DO UPDATE SET xml = excluded.xml, used = excluded.used",
		key(account), h.NS, h.Algo, h.Value, xml)
	return s.db.explain(err)
}

func (s capsStorage) Trim(ctx context.Context, account xmpp.JID, keep int) error {
	_, err := s.db.w.ExecContext(ctx, "DELETE FROM xmpp_caps WHERE account = $1 AND (ns, algo, hash) IN"+
		" (SELECT ns, algo, hash FROM xmpp_caps WHERE account = $1 ORDER BY used DESC LIMIT 1000000000 OFFSET $2)", key(account), max(keep, 0))
	return s.db.explain(err)
}

func (s capsStorage) Clear(ctx context.Context, account xmpp.JID) error {
	_, err := s.db.w.ExecContext(ctx, "DELETE FROM xmpp_caps WHERE account = $1", key(account))
	return s.db.explain(err)
}
