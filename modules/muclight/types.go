package muclight

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/stanza"
)

// ErrMalformed is returned for an answer that is none, such as "as you know it already" to somebody who knows nothing.
var ErrMalformed = errors.New("muclight: not an answer to the question")

// What is taken of others at most.
const (
	maxFields = 200
	maxName   = 256
	maxValue  = 64 << 10
)

// Member is somebody in a room, or somebody who is to be, or has gone: then Affiliation is [muc.AffiliationNone].
type Member struct {
	JID         xmpp.JID // bare
	Affiliation muc.Affiliation
}

// Field is one thing in the configuration of a room. Which there are, the service decides; roomname and subject are always among them (section 5.3).
// "version" and "prev-version" are none.
type Field struct{ Name, Value string }

// Configuration is that of a room, or a part of it. The names are different.
type Configuration []Field

// Value is that of the field with this name, "" if there is none.
func (c Configuration) Value(name string) string {
	for _, f := range c {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

func (c Configuration) has(name string) bool {
	return slices.ContainsFunc(c, func(f Field) bool { return f.Name == name })
}

// RoomName is the name of the room, for people; it may be empty.
func (c Configuration) RoomName() string { return c.Value("roomname") }

// Subject is what is talked about; it may be empty.
func (c Configuration) Subject() string { return c.Value("subject") }

// with is the configuration after a change. c stays as it is.
func (c Configuration) with(change Configuration) Configuration {
	out := slices.Clone(c)
	for _, f := range change {
		if i := slices.IndexFunc(out, func(x Field) bool { return x.Name == f.Name }); i >= 0 {
			out[i].Value = f.Value
		} else if len(out) < maxFields {
			out = append(out, f)
		}
	}
	return out
}

// write adds the fields to an element, in its namespace.
func (c Configuration) write(b *stanza.Builder) error {
	for i, f := range c {
		if f.Name == "" || f.Name == "version" || f.Name == "prev-version" || c[:i].has(f.Name) {
			return fmt.Errorf("muclight: %w: the field %q", xmpp.ErrInvalidParameter, f.Name)
		}
		b.C(f.Name).T(f.Value).Up()
	}
	return nil
}

// parseConfiguration reads the fields in an element, all but the versions.
func parseConfiguration(e *etree.Element) (c Configuration) {
	for f := range stanza.Children(e, "", stanza.Namespace(e)) {
		if len(c) == maxFields {
			break
		}
		if f.Tag != "version" && f.Tag != "prev-version" && len(f.Tag) <= maxName && !c.has(f.Tag) {
			c = append(c, Field{strings.Clone(f.Tag), clip(stanza.Text(f), maxValue)})
		}
	}
	return c
}

// writeMembers adds the users to an element, in its namespace. Which affiliations may be given differs.
func writeMembers(b *stanza.Builder, list []Member, allowed ...muc.Affiliation) error {
	seen := map[xmpp.JID]bool{}
	for _, u := range list {
		jid := u.JID.Bare()
		if jid.IsZero() || seen[jid] || !slices.Contains(allowed, u.Affiliation) {
			return fmt.Errorf("muclight: %w: the affiliation %q of %q", xmpp.ErrInvalidParameter, u.Affiliation, jid)
		}
		seen[jid] = true
		b.C("user").A("affiliation", u.Affiliation.String()).T(jid.String()).Up()
	}
	return nil
}

// parseMembers reads the users in an element; who is no proper one is left out.
func parseMembers(e *etree.Element, limit int) (list []Member) {
	for u := range stanza.Children(e, "user", stanza.Namespace(e)) {
		jid, err := xmpp.ParseJID(strings.TrimSpace(stanza.Text(u)))
		a := muc.ParseAffiliation(stanza.AttrOr(u, "affiliation", ""))
		if err != nil || a != muc.Owner && a != muc.Member && a != muc.AffiliationNone {
			continue
		}
		if len(list) == limit {
			break
		}
		list = append(list, Member{jid.Bare().Clone(), a})
	}
	return list
}

// versionOf reads a version; one that nobody would make is none.
func versionOf(e *etree.Element, name string) string {
	v := strings.TrimSpace(stanza.ChildText(e, name, stanza.Namespace(e)))
	if len(v) > maxName {
		return ""
	}
	return strings.Clone(v)
}

func clip(s string, n int) string {
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "")
	}
	return strings.Clone(s)
}
