package muc

import (
	"strings"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// What is kept of an occupant at most, in bytes: more of a status is cut off, a longer id is no id (XEP-0421 section 3.3).
const (
	maxStatusText = 1024
	maxReason     = 1024
	maxOccupantID = 128
)

// Occupant is somebody in a room, as of one moment: a value that nobody changes.
type Occupant struct {
	JID         xmpp.JID // room@service/nick, the address for private messages
	Nick        string
	Role        Role
	Affiliation Affiliation
	RealJID     xmpp.JID // zero where the room does not show it; as the room says, which may be a bare one
	Hats        Hats     // XEP-0317, of a room that has them; they are not stored
	ID          string   // that of XEP-0421, the same for the same account, whatever its nickname; empty if the room has none
	Show        stanza.ShowType
	Status      string    // what he says he is doing, cut at 1,024 bytes
	Joined      time.Time // when it was first seen
	Self        bool      // it is this client, or another one of the same account with the same nickname
}

// IsZero reports whether it is nobody.
func (o Occupant) IsZero() bool { return o.JID.IsZero() }

// Actor is who has done something to an occupant. Rooms need not tell: it may be zero.
type Actor struct {
	Nick string
	JID  xmpp.JID // the real, bare address
}

// Departure says why an occupant is not in the room any more.
type Departure struct {
	Reason    Reason
	Actor     Actor    // who has kicked or banned, if the room tells
	Text      string   // what that one says about it; cut at 1,024 bytes, as the next
	Status    string   // the occupant's own last words
	Codes     Codes    // as they came
	Alternate xmpp.JID // with ReasonDestroyed: where to go instead; whether to is the user's business
	Password  string   // of that room
	// Rejoins tells, of the own departure, that the module will try to get in again. See [Config].NoAutoRejoin.
	Rejoins bool
}

// OccupantEvent is one presence of the room about an occupant.
type OccupantEvent struct {
	Old       Occupant         // zero for one who comes
	Occupant  Occupant         // zero for one who goes
	Initial   bool             // the occupant was there before us: told while the room was joined, or joined again
	Codes     Codes            // all of the presence
	Actor     Actor            // who has changed his role or affiliation, if the room tells
	Text      string           // what that one says about it
	Departure Departure        // of one who goes
	Presence  *stanza.Presence // as it came, read-only; nil if the room did not tell, see ReasonLost
}

// userOf is the element with which the room speaks about an occupant. Rooms remove those of others; one that lets two pass is not to be believed.
func userOf(st stanza.Stanza) *etree.Element {
	var x *etree.Element
	for e := range st.Children() {
		if stanza.Is(e, "x", NSUser) {
			if x != nil {
				return nil
			}
			x = e
		}
	}
	return x
}

// occupantOf reads available presence. What is kept is cloned. info is what the room is known to give: ids, hats.
func occupantOf(p *stanza.Presence, x *etree.Element, info *Info) Occupant {
	jid := p.From().Clone()
	o := Occupant{JID: jid, Nick: jid.Resource(), Show: p.Show(), Status: clip(p.Status(), maxStatusText)}
	if item := stanza.Child(x, "item", NSUser); item != nil {
		o.Role, o.Affiliation = ParseRole(stanza.AttrOr(item, "role", "")), ParseAffiliation(stanza.AttrOr(item, "affiliation", ""))
		if j, err := xmpp.ParseJID(stanza.AttrOr(item, "jid", "")); err == nil {
			o.RealJID = j.Clone()
		}
	}
	if info != nil && info.OccupantIDs {
		o.ID = occupantID(p)
	}
	if info != nil && info.Hats {
		o.Hats = hatsOf(p)
	}
	return o
}

// occupantID reads the id that a room adds; two are none.
func occupantID(st stanza.Stanza) string {
	id, n := "", 0
	for e := range st.Children() {
		if stanza.Is(e, "occupant-id", NSOccupantID) {
			id, n = stanza.AttrOr(e, "id", ""), n+1
		}
	}
	if n != 1 || len(id) > maxOccupantID {
		return ""
	}
	return strings.Clone(id)
}

// actorOf reads who has done it, and what he says.
func actorOf(x *etree.Element) (a Actor, text string) {
	item := stanza.Child(x, "item", NSUser)
	if e := stanza.Child(item, "actor", NSUser); e != nil {
		a.Nick = clip(stanza.AttrOr(e, "nick", ""), maxReason)
		if j, err := xmpp.ParseJID(stanza.AttrOr(e, "jid", "")); err == nil {
			a.JID = j.Bare().Clone()
		}
	}
	return a, clip(stanza.ChildText(item, "reason", NSUser), maxReason)
}

// departureOf reads unavailable presence.
func departureOf(p *stanza.Presence, x *etree.Element) Departure {
	d := Departure{Codes: codesOf(x), Status: clip(p.Status(), maxStatusText)}
	d.Reason = reasonOf(d.Codes)
	d.Actor, d.Text = actorOf(x)
	if e := stanza.Child(x, "destroy", NSUser); e != nil { // section 10.9
		d.Reason = ReasonDestroyed
		d.Text = clip(stanza.ChildText(e, "reason", NSUser), maxReason)
		d.Password = clip(stanza.ChildText(e, "password", NSUser), maxReason)
		if j, err := xmpp.ParseJID(stanza.AttrOr(e, "jid", "")); err == nil {
			d.Alternate = j.Bare().Clone()
		}
	}
	return d
}

// clip makes a copy that shares nothing, of so many bytes at most.
func clip(s string, n int) string {
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "")
	}
	return strings.Clone(s)
}
