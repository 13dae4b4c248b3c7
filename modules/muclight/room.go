package muclight

import (
	"context"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/muc"
)

// Room is one room. [MUCLight.Room] and [MUCLight.Create] make them, and what services and rooms say. All methods may be called at any time and from any callback.
//
// A room has one version for its configuration and its members. The module remembers both as they were fetched last, with what the room has told since;
// what it asks, it asks with the version that it knows, so that nothing comes twice. Where it has missed something, it notices by the versions:
// then the next Fetch brings all.
type Room struct {
	m         *MUCLight
	jid       xmpp.JID
	delegates delegates

	mu      sync.Mutex // guards what follows; events are posted under it, so that their order is that of the changes
	pinned  bool       // the application has named it; guarded by MUCLight.mu as well
	own     muc.Affiliation
	told    int       // how often the own affiliation was told
	left    time.Time // when own became AffiliationNone
	gone    bool      // destroyed
	asked   int       // how many ask for it to be created
	name    string    // as the service has said
	version string    // the last one told
	conf    part
	fields  Configuration // never changed in place
	people  part
	members []Member // never changed in place; in the order of the room, who came last at the end
	sent    []string // ids, the last at the end
}

// part is what is known of a half of a room's state.
type part struct {
	known   bool
	version string // with which it is as in the room; empty if it need not be
}

// step takes a change from one version to the next.
func (p *part) step(prev, version string) {
	switch {
	case !p.known || p.version == "" || version != "" && p.version == version: // the last: an answer had it already
	case version != "" && p.version == prev:
		p.version = version
	default: // something was missed
		p.version = ""
	}
}

// Snapshot is a room as of one moment: a value that nobody changes.
type Snapshot struct {
	JID           xmpp.JID
	Own           muc.Affiliation // see Room.Affiliation
	Name          string
	Version       string
	Configuration Configuration
	Members       []Member
}

// JID is the address of the room.
func (r *Room) JID() xmpp.JID { return r.jid }

// Service is the domain that the room is at.
func (r *Room) Service() xmpp.JID { return r.jid.DomainJID() }

// MUCLight is the module that the room belongs to.
func (r *Room) MUCLight() *MUCLight { return r.m }

// String is the address.
func (r *Room) String() string { return r.jid.String() }

// Affiliation is the own one: Owner or Member, AffiliationNone if one is in the room no more, AffiliationUnknown if that was not told, nor the members fetched.
func (r *Room) Affiliation() muc.Affiliation {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.own
}

// Name is the name of the room, for people, as it is known: that of the configuration, or what the service has said. It may be empty.
func (r *Room) Name() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.nameLocked()
}

func (r *Room) nameLocked() string {
	if name := r.fields.RoomName(); name != "" || r.conf.known {
		return name
	}
	return r.name
}

// Subject is that of the configuration, as it is known.
func (r *Room) Subject() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fields.Subject()
}

// Configuration is what is known of the configuration: all of it, once it was fetched.
func (r *Room) Configuration() Configuration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.fields)
}

// Members are the members as they were fetched last, with the changes since; none if they were never fetched.
func (r *Room) Members() iter.Seq[Member] {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Values(slices.Clone(r.members))
}

// Version is the version of the room that was told last; empty if none was.
func (r *Room) Version() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.version
}

// FlushVersion forgets the version of what is known, so that the next Fetch brings all of it. What is known stays until then.
func (r *Room) FlushVersion() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flushLocked()
}

func (r *Room) flushLocked() { r.conf.version, r.people.version, r.version = "", "", "" }

// Snapshot is the room as of now.
func (r *Room) Snapshot() Snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.snapshotLocked()
}

func (r *Room) snapshotLocked() Snapshot {
	return Snapshot{JID: r.jid, Own: r.own, Name: r.nameLocked(), Version: r.version, Configuration: slices.Clone(r.fields), Members: slices.Clone(r.members)}
}

// stepLocked takes a change of either half.
func (r *Room) stepLocked(prev, version string) {
	r.conf.step(prev, version)
	r.people.step(prev, version)
	if version != "" {
		r.version = version
	}
}

// discoveredLocked is what the service says.
func (r *Room) discoveredLocked(it Item) {
	r.name = it.Name
	if it.Version == "" || it.Version == r.version {
		return
	}
	r.stepLocked("", it.Version)
}

// ownLocked takes the own affiliation, and reports whether it is another one, and whether one was not in the room before.
func (r *Room) ownLocked(a muc.Affiliation) (changed, entered bool) {
	r.told++
	if r.own == a {
		return false, false
	}
	entered = (r.own == muc.AffiliationUnknown || r.own == muc.AffiliationNone) && a != muc.AffiliationNone
	r.own = a
	if a == muc.AffiliationNone {
		r.left = time.Now()
		r.flushLocked()
	} else {
		r.gone = false
	}
	return true, entered
}

// changeLocked takes what is different of the members.
func (r *Room) changeLocked(list []Member) {
	if !r.people.known || len(list) == 0 {
		return
	}
	at := make(map[xmpp.JID]int, len(r.members))
	for i, u := range r.members {
		at[u.JID] = i
	}
	out := slices.Clone(r.members)
	for _, u := range list {
		if i, ok := at[u.JID]; ok {
			out[i].Affiliation = u.Affiliation
		} else if len(out) < r.m.cfg.MaxMembers {
			at[u.JID] = len(out)
			out = append(out, u)
		} else {
			r.people.version = ""
		}
	}
	r.members = slices.DeleteFunc(out, func(u Member) bool { return u.Affiliation == muc.AffiliationNone })
}

// configuredLocked takes what is different of the configuration, and membersLocked all members.
func (r *Room) configuredLocked(c Configuration) { r.fields = r.fields.with(c) }

func (r *Room) membersLocked(list []Member, me xmpp.JID) {
	r.members = slices.DeleteFunc(list, func(u Member) bool { return u.Affiliation == muc.AffiliationNone })
	if i := slices.IndexFunc(r.members, func(u Member) bool { return u.JID == me }); i >= 0 {
		r.ownLocked(r.members[i].Affiliation)
	}
}

// lostLocked is a room of which one has found out that one is in it no more. Nobody knows the version with which that happened.
func (r *Room) lostLocked() {
	r.ownLocked(muc.AffiliationNone)
	c := AffiliationChange{Own: muc.AffiliationNone}
	notify(r, ofOwn, func(ctx context.Context, d OwnDelegate) { d.MUCLightDidChangeAffiliation(ctx, r, c) })
}
