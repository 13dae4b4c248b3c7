package muc

import (
	"slices"
	"strconv"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/stanza"
)

// Role is what an occupant may do in a room for as long as it is there (XEP-0045 section 5.1). They can be compared: more is greater.
type Role int8

// The roles. A Role that was not said is RoleUnknown.
const (
	RoleUnknown     Role = iota
	RoleNone             // not in the room; given to somebody, it is a kick
	RoleVisitor          // may listen; in a moderated room it has no voice
	RoleParticipant      // may talk
	RoleModerator        // may kick, and give and take voice
)

var roleNames = [...]string{"", "none", "visitor", "participant", "moderator"}

// String is the word of the specification, "" for RoleUnknown.
func (r Role) String() string { return name(roleNames[:], int(r)) }

// ParseRole reads the word of the specification; RoleUnknown for any other.
func ParseRole(s string) Role { return Role(max(slices.Index(roleNames[:], s), 0)) }

// Affiliation is what an account is to a room, whether or not it is there (XEP-0045 section 5.2). They can be compared: more is greater.
type Affiliation int8

// The affiliations. An Affiliation that was not said is AffiliationUnknown.
const (
	AffiliationUnknown Affiliation = iota
	Outcast                        // banned
	AffiliationNone                // nothing in particular
	Member                         // may enter a members-only room
	Admin                          // may ban, and make members and moderators
	Owner                          // may configure and destroy the room
)

var affiliationNames = [...]string{"", "outcast", "none", "member", "admin", "owner"}

// String is the word of the specification, "" for AffiliationUnknown.
func (a Affiliation) String() string { return name(affiliationNames[:], int(a)) }

// ParseAffiliation reads the word of the specification; AffiliationUnknown for any other.
func ParseAffiliation(s string) Affiliation {
	return Affiliation(max(slices.Index(affiliationNames[:], s), 0))
}

func name(names []string, i int) string {
	if i < 0 || i >= len(names) {
		return ""
	}
	return names[i]
}

// Status is a number with which a room says what has happened (XEP-0045 section 15.6.2).
type Status int

// The status codes that the registry has, and StatusFullyAnonymous, which it had.
const (
	StatusFullJIDs            Status = 100 // everybody in the room sees real addresses
	StatusAffiliationChanged  Status = 101 // the own affiliation has changed while one was not there
	StatusShowsUnavailable    Status = 102 // the room shows members who are not there
	StatusHidesUnavailable    Status = 103 // it does not any more
	StatusConfigurationChange Status = 104 // something in the configuration has changed
	StatusSelf                Status = 110 // the presence is the own one
	StatusLogging             Status = 170 // what is said is logged for the public
	StatusNotLogging          Status = 171 // it is not any more
	StatusNonAnonymous        Status = 172 // real addresses are seen by all from now on
	StatusSemiAnonymous       Status = 173 // real addresses are seen by moderators only from now on
	StatusFullyAnonymous      Status = 174 // real addresses are seen by nobody from now on
	StatusCreated             Status = 201 // the room is new
	StatusNickAssigned        Status = 210 // the room has chosen or changed the nickname
	StatusBanned              Status = 301
	StatusNickChanged         Status = 303
	StatusKicked              Status = 307
	StatusAffiliationLost     Status = 321 // removed because of a change of affiliation
	StatusMembersOnly         Status = 322 // removed because the room takes members only now
	StatusShutdown            Status = 332 // removed because the service shuts down
	StatusTechnical           Status = 333 // removed because of an error, such as a connection that was lost
)

// maxCodes is how many status codes are read of one stanza.
const maxCodes = 16

// Codes are the status codes of one stanza, in its order.
type Codes []Status

// Has reports whether the code is there.
func (c Codes) Has(code Status) bool { return slices.Contains(c, code) }

// codesOf reads the codes of an element {…#user}x.
func codesOf(x *etree.Element) (codes Codes) {
	for e := range stanza.Children(x, "status", NSUser) {
		n, err := strconv.ParseUint(stanza.AttrOr(e, "code", ""), 10, 16)
		if err == nil && len(codes) < maxCodes && !codes.Has(Status(n)) {
			codes = append(codes, Status(n))
		}
	}
	return codes
}

// State says how far one is in a room.
type State int8

// The states.
const (
	StateNone    State = iota // not in the room
	StateJoining              // asked to be let in, for the first time or again
	StateJoined               // in the room
	StateLeaving              // in the room, until it confirms that one has left
)

// String is none, joining, joined or leaving.
func (s State) String() string {
	return name([]string{"none", "joining", "joined", "leaving"}, int(s))
}

// Reason says why an occupant is not in the room any more.
type Reason int8

// The reasons.
const (
	ReasonLeft            Reason = iota // went, or its connection did
	ReasonKicked                        // status 307
	ReasonBanned                        // status 301
	ReasonAffiliationLost               // status 321
	ReasonMembersOnly                   // status 322
	ReasonShutdown                      // status 332
	ReasonTechnical                     // status 333
	ReasonDestroyed                     // the room is no more
	ReasonLost                          // not heard from the room: the own session is over, the room has forgotten us, or a later look did not find the occupant
)

// String is a word for logs.
func (r Reason) String() string {
	return name([]string{"left", "kicked", "banned", "affiliation lost", "members only", "shutdown", "technical", "destroyed", "lost"}, int(r))
}

// reasonOf is the reason that the codes give. A technical one counts more than the kick that it is sent with (XEP-0045 section 11.1).
func reasonOf(c Codes) Reason {
	for _, r := range []struct {
		code   Status
		reason Reason
	}{
		{StatusTechnical, ReasonTechnical}, {StatusBanned, ReasonBanned}, {StatusShutdown, ReasonShutdown}, {StatusMembersOnly, ReasonMembersOnly},
		{StatusAffiliationLost, ReasonAffiliationLost}, {StatusKicked, ReasonKicked},
	} {
		if c.Has(r.code) {
			return r.reason
		}
	}
	return ReasonLeft
}
