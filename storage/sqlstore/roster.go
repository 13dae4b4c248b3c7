package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"iter"
	"slices"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/roster"
)

// KindContact is the [Kind] of a contact; its key is the contact's address.
const KindContact Kind = "contact"

// Roster keeps contacts. A whole roster that is stored is one [Reset].
func (db *DB) Roster() roster.Storage { return rosterStorage{db} }

type rosterStorage struct{ db *DB }

const contactColumns = "jid, name, subscription, ask, approved, refused, contact_groups, avatar_hash"

func (s rosterStorage) Load(ctx context.Context, account xmpp.JID, item func(roster.Item) error) (version string, err error) {
	var list []roster.Item
	err = s.db.snapshot(ctx, func(ctx context.Context, tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, "SELECT version FROM xmpp_rosters WHERE account = $1", key(account)).Scan(&version)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		rows, err := tx.QueryContext(ctx, "SELECT "+contactColumns+" FROM xmpp_contacts WHERE account = $1", key(account))
		if err != nil {
			return err
		}
		defer rows.Close()
		groups := map[string][]string{} // as they are stored: most contacts share theirs with others
		for rows.Next() {
			it, err := scanContact(rows, groups)
			if err != nil {
				return err
			}
			list = append(list, it)
		}
		return rows.Err()
	})
	if err != nil {
		return "", err
	}
	for _, it := range list { // outside of the transaction: it may call the database, and take its time
		if err := item(it); err != nil {
			return "", err
		}
	}
	return version, nil
}

func scanContact(rows *sql.Rows, known map[string][]string) (it roster.Item, err error) {
	var jid string
	var groups sql.RawBytes
	if err = rows.Scan(&jid, &it.Name, &it.Subscription, &it.Ask, &it.Approved, &it.Refused, &groups, &it.AvatarHash); err != nil {
		return it, err
	}
	if len(groups) > 0 {
		list, ok := known[string(groups)]
		if !ok {
			if err = json.Unmarshal(groups, &list); err != nil {
				return it, err
			}
			known[string(groups)] = list
		}
		it.Groups = slices.Clone(list) // what was handed out is the caller's
	}
	it.JID, err = parse(jid)
	return it, err
}

func (s rosterStorage) Save(ctx context.Context, account xmpp.JID, version string, items iter.Seq[roster.Item]) error {
	var args []any
	for it := range items { // outside of the transaction, as above
		var err error
		if args, err = appendContact(args, key(account), it); err != nil {
			return err
		}
	}
	return s.db.change(ctx, account, func(c *change) error {
		if err := s.clear(c); err != nil {
			return err
		}
		if err := s.version(c, version); err != nil {
			return err
		}
		c.note(KindContact, "", Reset)
		return s.put(c, args)
	})
}

func appendContact(args []any, account string, it roster.Item) ([]any, error) {
	groups := ""
	if len(it.Groups) > 0 {
		b, err := json.Marshal(it.Groups)
		if err != nil {
			return nil, err
		}
		groups = string(b)
	}
	return append(args, account, it.JID.String(), it.Name, int(it.Subscription), it.Ask, it.Approved, it.Refused, groups, it.AvatarHash), nil
}

func (s rosterStorage) put(c *change, args []any) error {
	return c.upsert("xmpp_contacts (account, "+contactColumns+")", 9, args, " ON CONFLICT (account, jid) DO UPDATE SET name = excluded.name,"+
		" subscription = excluded.subscription, ask = excluded.ask, approved = excluded.approved, refused = excluded.refused,"+
		" contact_groups = excluded.contact_groups, avatar_hash = excluded.avatar_hash")
}

func (s rosterStorage) version(c *change, version string) error {
	return c.exec("INSERT INTO xmpp_rosters (account, version) VALUES ($1, $2)"+
		" ON CONFLICT (account) DO UPDATE SET version = excluded.version", c.account, version)
}

func (s rosterStorage) Apply(ctx context.Context, account xmpp.JID, ch *roster.Change) error {
	conflict := false
	err := s.db.change(ctx, account, func(c *change) error {
		var stored string
		err := c.QueryRowContext(c.ctx, "SELECT version FROM xmpp_rosters WHERE account = $1", c.account).Scan(&stored)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if stored != ch.Base {
			conflict = stored != ch.Version
			return nil
		}
		if err := s.version(c, ch.Version); err != nil {
			return err
		}
		var args []any
		for _, it := range ch.Put {
			if args, err = appendContact(args, c.account, it); err != nil {
				return err
			}
			c.note(KindContact, it.JID.String(), Put)
		}
		var gone []any
		for _, jid := range ch.Remove {
			gone = append(gone, jid.String())
			c.note(KindContact, jid.String(), Delete)
		}
		if err := c.remove("xmpp_contacts", "jid", gone); err != nil {
			return err
		}
		return s.put(c, args)
	})
	if err == nil && conflict {
		return roster.ErrConflict
	}
	return err
}

func (s rosterStorage) clear(c *change) error {
	for _, table := range []string{"xmpp_contacts", "xmpp_rosters"} {
		if err := c.exec("DELETE FROM "+table+" WHERE account = $1", c.account); err != nil {
			return err
		}
	}
	return nil
}

func (s rosterStorage) Clear(ctx context.Context, account xmpp.JID) error {
	return s.db.change(ctx, account, func(c *change) error {
		c.note(KindContact, "", Reset)
		return s.clear(c)
	})
}
