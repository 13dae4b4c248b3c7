package muclight

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/stanza"
)

// FetchConfiguration asks for the configuration (section 4.3.1), with the version that is known: if that is the room's, nothing comes but that it is.
// The error is that of [xmpp.Stream.SendIQ], a [*stanza.Error] matching stanza.ItemNotFound if one is not in the room; or ErrMalformed.
func (r *Room) FetchConfiguration(ctx context.Context) (Configuration, error) {
	s, err := r.fetch(ctx, NSConfiguration, func() string { return r.conf.version }, func(e *etree.Element, version string, _ xmpp.JID) error {
		r.fields, r.conf = parseConfiguration(e), part{true, version}
		return nil
	})
	return s.Configuration, err
}

// FetchMembers asks for the members (section 4.3.2), as FetchConfiguration does for the configuration.
func (r *Room) FetchMembers(ctx context.Context) ([]Member, error) {
	s, err := r.fetch(ctx, NSAffiliations, func() string { return r.people.version }, func(e *etree.Element, version string, me xmpp.JID) error {
		r.membersLocked(parseMembers(e, r.m.cfg.MaxMembers), me)
		r.people = part{true, version}
		return nil
	})
	return s.Members, err
}

// FetchInfo asks for the configuration and the members at once (section 4.3.3), as FetchConfiguration does for one.
func (r *Room) FetchInfo(ctx context.Context) (Snapshot, error) {
	have := func() string {
		if r.conf.version != r.people.version {
			return ""
		}
		return r.conf.version
	}
	return r.fetch(ctx, NSInfo, have, func(e *etree.Element, version string, me xmpp.JID) error {
		c, o := stanza.Child(e, "configuration", NSInfo), stanza.Child(e, "occupants", NSInfo)
		if c == nil || o == nil {
			return ErrMalformed
		}
		r.fields, r.conf = parseConfiguration(c), part{true, version}
		r.membersLocked(parseMembers(o, r.m.cfg.MaxMembers), me)
		r.people = part{true, version}
		return nil
	})
}

// fetch asks with the version that have returns; take is called with what is different from it. Both hold the lock. It returns the room as of the answer.
func (r *Room) fetch(ctx context.Context, ns string, have func() string, take func(e *etree.Element, version string, me xmpp.JID) error) (out Snapshot, err error) {
	s, err := r.m.Active()
	if err != nil {
		return out, err
	}
	r.mu.Lock()
	known := have()
	r.mu.Unlock()
	q := stanza.New("query", ns).C("version").T(known).Up()
	err = s.SendIQThen(ctx, stanza.NewIQ(stanza.Get, r.jid, q), func(_ context.Context, answer *stanza.IQ) error {
		if answer.IsError() {
			return nil
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		e := answer.Payload()
		switch {
		case e == nil && known != "": // section 4.3: the versions are the same
		case !stanza.Is(e, "query", ns):
			return fmt.Errorf("%w: %v", ErrMalformed, r.jid)
		default:
			version := versionOf(e, "version")
			if err := take(e, version, s.MyJID().Bare()); err != nil {
				return fmt.Errorf("%w: %v", err, r.jid)
			}
			if version != "" {
				r.version = version
			}
		}
		out = r.snapshotLocked()
		return nil
	})
	if err != nil {
		return Snapshot{}, err
	}
	return out, nil
}

// Configure changes some fields of the configuration (section 5.3); the others stay. All members are told, before it returns.
// The error is that of [xmpp.Stream.SendIQ], a [*stanza.Error] matching stanza.NotAllowed if one may not; or ErrInvalidParameter for a name that is none,
// or there twice. MongooseIM takes no notice of empty values.
func (r *Room) Configure(ctx context.Context, fields ...Field) error {
	if len(fields) == 0 {
		return nil
	}
	q := stanza.New("query", NSConfiguration)
	if err := Configuration(fields).write(q); err != nil {
		return err
	}
	return r.set(ctx, q, nil)
}

// SetSubject is Configure for the field subject (section 4.2), which members mostly may change, too.
func (r *Room) SetSubject(ctx context.Context, subject string) error {
	return r.Configure(ctx, Field{"subject", subject})
}

// SetName is Configure for the field roomname.
func (r *Room) SetName(ctx context.Context, name string) error {
	return r.Configure(ctx, Field{"roomname", name})
}

// AddUsers makes members of users (section 5.4). Who has blocked the room or oneself is left out without a word.
// The error is that of [Room.ChangeAffiliations].
func (r *Room) AddUsers(ctx context.Context, users ...xmpp.JID) error {
	list := make([]Member, len(users))
	for i, u := range users {
		list[i] = Member{u, muc.Member}
	}
	return r.ChangeAffiliations(ctx, list...)
}

// ChangeAffiliations adds users, removes them, with AffiliationNone, and makes one the owner, all in one request (section 5.4): all of it, or nothing.
// A new owner takes the place of the last one. An owner who leaves can name the next one by two changes at once. Each must change something.
// All members are told, before it returns. The error is that of [xmpp.Stream.SendIQ], a [*stanza.Error] matching stanza.NotAllowed if one may not,
// stanza.BadRequest if the room sees no sense in it; or ErrInvalidParameter for a user who is there twice, or an affiliation that there is not.
func (r *Room) ChangeAffiliations(ctx context.Context, changes ...Member) error {
	if len(changes) == 0 {
		return nil
	}
	q := stanza.New("query", NSAffiliations)
	if err := writeMembers(q, changes, muc.Owner, muc.Member, muc.AffiliationNone); err != nil {
		return err
	}
	return r.set(ctx, q, nil)
}

// Leave leaves the room (section 4.4). If one is its owner, the service may make another member that. Who is not in the room any more is told so, and can not
// come back but by being added. The error is that of [xmpp.Stream.SendIQ].
func (r *Room) Leave(ctx context.Context) error {
	s, err := r.m.Active()
	if err != nil {
		return err
	}
	me := s.MyJID().Bare()
	q := stanza.New("query", NSAffiliations).C("user").A("affiliation", muc.AffiliationNone.String()).T(me.String()).Up()
	return r.set(ctx, q, func() {
		if r.own != muc.AffiliationNone { // the room should have told
			r.affiliatedLocked(AffiliationChange{Members: []Member{{me, muc.AffiliationNone}}}, me, true)
		}
	})
}

// Destroy ends the room for all (section 5.2). The error is that of [xmpp.Stream.SendIQ], a [*stanza.Error] matching stanza.NotAllowed for who is not its owner.
func (r *Room) Destroy(ctx context.Context) error {
	return r.set(ctx, stanza.New("query", NSDestroy), func() {
		if s := r.m.Stream(); s != nil && !r.gone { // the room should have told
			me := s.MyJID().Bare()
			r.affiliatedLocked(AffiliationChange{Members: []Member{{me, muc.AffiliationNone}}, Destroyed: true}, me, true)
		}
	})
}

// set sends a request; done is called under the lock when it was granted, after what the room has told of it.
func (r *Room) set(ctx context.Context, payload stanza.Elementer, done func()) error {
	s, err := r.m.Active()
	if err != nil {
		return err
	}
	return s.SendIQThen(ctx, stanza.NewIQ(stanza.Set, r.jid, payload), func(_ context.Context, answer *stanza.IQ) error {
		if !answer.IsError() && done != nil {
			r.mu.Lock()
			defer r.mu.Unlock()
			done()
		}
		return nil
	})
}

// NewRoom says what a room is to be.
type NewRoom struct {
	// ID is the part of the address before the @. If zero, a random UUID, as the specification recommends: the name for people is in the configuration.
	ID string
	// Configuration is the first one. If zero, all is as the service has it.
	Configuration Configuration
	// Members are who else is in it; oneself is left out. At most one of them may be the owner. If zero, nobody.
	Members []Member
}

// Create makes a room at a service (section 5.1), with oneself as its owner, unless the service knows no owners. Who is in it is told, oneself before it returns.
// The error is that of [xmpp.Stream.SendIQ], a [*stanza.Error] matching stanza.Conflict if there is such a room already; or ErrInvalidParameter for what can
// be no address, no configuration or no member. If ctx ends it, the room may be there all the same: [MUCLight.DiscoverRooms] tells.
func (m *MUCLight) Create(ctx context.Context, service xmpp.JID, n NewRoom) (*Room, error) {
	s, err := m.Active()
	if err != nil {
		return nil, err
	}
	if n.ID == "" {
		n.ID = randomUUID()
	}
	jid, err := xmpp.NewJID(n.ID, service.Domain(), "")
	if err != nil {
		return nil, fmt.Errorf("muclight: %w: %w", xmpp.ErrInvalidParameter, err)
	}
	me := s.MyJID().Bare()
	q := stanza.New("query", NSCreate)
	if len(n.Configuration) > 0 {
		q.C("configuration")
		if err := n.Configuration.write(q); err != nil {
			return nil, err
		}
		q.Up()
	}
	if others := slices.DeleteFunc(slices.Clone(n.Members), func(u Member) bool { return u.JID.Bare() == me }); len(others) > 0 {
		q.C("occupants")
		if err := writeMembers(q, others, muc.Owner, muc.Member); err != nil {
			return nil, err
		}
		q.Up()
	}
	r, added := m.pin(jid) // before the room says that it is there
	r.ask(1)
	err = r.set(ctx, q, nil)
	r.ask(-1)
	if err != nil {
		if added && r.Affiliation() == muc.AffiliationUnknown {
			m.Forget(jid)
		}
		return nil, err
	}
	return r, nil
}

// ask keeps the room from being missed where it is not yet.
func (r *Room) ask(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked += n
}

// randomUUID is one of version 4 (RFC 9562 section 5.4).
func randomUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
