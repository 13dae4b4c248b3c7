package muc

import (
	"context"
	"fmt"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// Item is an entry of one of a room's lists, or a change to one (sections 8 to 10). A change has either a Role, of a Nick, or an Affiliation, of a JID.
type Item struct {
	JID         xmpp.JID
	Nick        string
	Role        Role
	Affiliation Affiliation
	Reason      string
}

// SetRole gives an occupant another role (sections 8.2 to 8.4, 9.6): RoleNone is a kick. reason may be empty.
// The error is that of [xmpp.Stream.SendIQ]: a [*stanza.Error] if the room refuses.
func (r *Room) SetRole(ctx context.Context, nick string, role Role, reason string) error {
	return r.Edit(ctx, Item{Nick: nick, Role: role, Reason: reason})
}

// SetAffiliation gives an account another affiliation (sections 9.1 to 9.8, 10.3 to 10.8): Outcast is a ban. reason may be empty.
// The error is that of [Room.SetRole].
func (r *Room) SetAffiliation(ctx context.Context, account xmpp.JID, a Affiliation, reason string) error {
	return r.Edit(ctx, Item{JID: account.Bare(), Affiliation: a, Reason: reason})
}

// Kick removes an occupant, who may come back (section 8.2).
func (r *Room) Kick(ctx context.Context, nick, reason string) error {
	return r.SetRole(ctx, nick, RoleNone, reason)
}

// Ban removes an account for good (section 9.1).
func (r *Room) Ban(ctx context.Context, account xmpp.JID, reason string) error {
	return r.SetAffiliation(ctx, account, Outcast, reason)
}

// Edit makes several changes, one request after the other: of several in one request Prosody makes the first, and says that all is done.
// It ends with the first change that the room refuses; those before it are made. The error is that of [Room.SetRole].
func (r *Room) Edit(ctx context.Context, changes ...Item) error {
	for n, c := range changes {
		if err := r.edit(ctx, c); err != nil {
			if len(changes) > 1 {
				err = fmt.Errorf("muc: change %d of %d: %w", n+1, len(changes), err)
			}
			return err
		}
	}
	return nil
}

func (r *Room) edit(ctx context.Context, c Item) error {
	q := stanza.New("query", NSAdmin).C("item")
	for _, a := range [][2]string{{"jid", c.JID.String()}, {"nick", c.Nick}, {"role", c.Role.String()}, {"affiliation", c.Affiliation.String()}} {
		if a[1] != "" {
			q.A(a[0], a[1])
		}
	}
	if c.Reason != "" {
		q.C("reason").T(c.Reason)
	}
	_, err := r.query(ctx, stanza.Set, q)
	return err
}

// Affiliated fetches the list of all with an affiliation: the ban list for Outcast, and those of members, admins and owners.
// The error is that of [xmpp.Stream.SendIQ].
func (r *Room) Affiliated(ctx context.Context, a Affiliation) ([]Item, error) {
	return r.list(ctx, "affiliation", a.String())
}

// WithRole fetches the list of all with a role: moderators, or those with a voice. The error is that of [xmpp.Stream.SendIQ].
func (r *Room) WithRole(ctx context.Context, role Role) ([]Item, error) {
	return r.list(ctx, "role", role.String())
}

func (r *Room) list(ctx context.Context, name, value string) ([]Item, error) {
	iq, err := r.query(ctx, stanza.Get, stanza.New("query", NSAdmin).C("item").A(name, value).Up())
	if err != nil {
		return nil, err
	}
	var out []Item
	for e := range stanza.Children(iq.Payload(), "item", NSAdmin) {
		out = append(out, Item{
			JID: addr(e, "jid"), Nick: attr(e, "nick"), Role: ParseRole(attr(e, "role")), Affiliation: ParseAffiliation(attr(e, "affiliation")),
			Reason: clip(stanza.ChildText(e, "reason", NSAdmin), maxText),
		})
	}
	return out, nil
}

func attr(e *etree.Element, name string) string { return clip(stanza.AttrOr(e, name, ""), maxText) }

// addr reads an address, the zero JID if there is none.
func addr(e *etree.Element, name string) xmpp.JID {
	j, err := xmpp.ParseJID(stanza.AttrOr(e, name, ""))
	if err != nil {
		return xmpp.JID{}
	}
	return j.Clone()
}
