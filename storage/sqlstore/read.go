package sqlstore

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/go-xmppframework/xmpp"
)

// snapshot runs f in a transaction that only reads, and sees the database as it is at its first statement.
func (db *DB) snapshot(ctx context.Context, f func(tx *sql.Tx) error) error {
	tx, err := db.r.BeginTx(ctx, &sql.TxOptions{ReadOnly: true, Isolation: db.dialect.snapshot})
	if err != nil {
		return db.explain(err)
	}
	defer func() { _ = tx.Rollback() }() // there is nothing to commit
	return db.explain(f(tx))
}

// key is how an account is written in all tables.
func key(account xmpp.JID) string { return account.Bare().String() }

// parse reads an address that was stored, the empty one included.
func parse(s string) (xmpp.JID, error) {
	if s == "" {
		return xmpp.JID{}, nil
	}
	j, err := xmpp.ParseJID(s)
	if err != nil {
		return j, fmt.Errorf("stored address: %w", err)
	}
	return j, nil
}
