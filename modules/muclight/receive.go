package muclight

import (
	"context"
	"slices"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/sid"
)

// maxSent is of how many messages of a room it is remembered that they were sent.
const maxSent = 256

// Message is what was said in a room. It is read-only.
type Message struct {
	Room     xmpp.JID
	Sender   xmpp.JID // the bare address of the member, for which the room vouches; zero for the room itself
	Own      bool     // by the own account, from here or from another client
	ID       string   // the id attribute, with which it was sent
	OriginID string   // given by the sender (XEP-0359)
	StanzaID string   // given by the room (XEP-0359), with [Config].TrustStanzaIDs
	Body     string   // in the language of the stream, or the first; may be empty with [Config].WithoutBody
	Time     time.Time
	Stanza   *stanza.Message // as it came. A stamp in it may be the sender's: Time is when it came
}

// receiveFromRoom takes in what the room itself says: changes, of what is in it and who (sections 4.2, 5.1, 5.2, 5.3, 5.4); or words.
func (m *MUCLight) receiveFromRoom(s *xmpp.Stream, st *stanza.Message) {
	affiliations, configuration, destroy := st.Child("x", NSAffiliations), st.Child("x", NSConfiguration), st.Child("x", NSDestroy)
	change := affiliations != nil || configuration != nil || destroy != nil
	if !change && st.Body() == "" && !m.cfg.WithoutBody {
		return
	}
	r := m.heardFrom(s, st.From())
	if r == nil {
		return
	}
	me := s.MyJID().Bare()
	r.mu.Lock()
	defer r.mu.Unlock()
	msg := m.message(r, st, xmpp.JID{}, false)
	if !change {
		m.note(s, msg)
		notify(r, ofMessage, func(ctx context.Context, d MessageDelegate) { d.RoomLightDidReceiveMessage(ctx, r, msg) })
		return
	}
	if m.cfg.StoreChanges {
		m.note(s, msg)
	}
	if configuration != nil {
		c := ConfigurationChange{
			Changed: parseConfiguration(configuration), PrevVersion: versionOf(configuration, "prev-version"), Version: versionOf(configuration, "version"), ID: clip(st.ID(), maxName),
		}
		r.configuredLocked(c.Changed)
		r.stepLocked(c.PrevVersion, c.Version)
		notify(r, ofConfiguration, func(ctx context.Context, d ConfigurationDelegate) { d.RoomLightDidChangeConfiguration(ctx, r, c) })
	}
	if affiliations != nil || destroy != nil {
		c := AffiliationChange{Destroyed: destroy != nil, ID: clip(st.ID(), maxName)}
		if affiliations != nil {
			c.Members = parseMembers(affiliations, m.cfg.MaxMembers)
			c.PrevVersion, c.Version = versionOf(affiliations, "prev-version"), versionOf(affiliations, "version")
		}
		r.affiliatedLocked(c, me, affiliations != nil)
	}
}

// affiliatedLocked takes a change of members, and tells of it; all says that everybody is to hear, not only who listens to what is one's own.
func (r *Room) affiliatedLocked(c AffiliationChange, me xmpp.JID, all bool) {
	r.changeLocked(c.Members)
	r.stepLocked(c.PrevVersion, c.Version)
	own := muc.AffiliationUnknown
	if i := slices.IndexFunc(c.Members, func(u Member) bool { return u.JID == me }); i >= 0 {
		own = c.Members[i].Affiliation
	}
	if c.Destroyed {
		own = muc.AffiliationNone
	}
	changed := false
	if own != muc.AffiliationUnknown {
		var entered bool
		changed, entered = r.ownLocked(own)
		c.New = entered && c.PrevVersion == "" // section 5.4
	}
	c.Own = r.own
	if all {
		notify(r, ofAffiliation, func(ctx context.Context, d AffiliationDelegate) { d.RoomLightDidChangeAffiliations(ctx, r, c) })
	}
	if changed {
		notify(r, ofOwn, func(ctx context.Context, d OwnDelegate) { d.MUCLightDidChangeAffiliation(ctx, r, c) })
	}
	if c.Destroyed && !r.gone {
		r.gone = true
		notify(r, ofOwn, func(ctx context.Context, d OwnDelegate) { d.RoomLightWasDestroyed(ctx, r) })
	}
}

// receiveFromMember takes in what a member says (section 4.1). Whatever is in it, nothing changes by it.
func (m *MUCLight) receiveFromMember(s *xmpp.Stream, st *stanza.Message) {
	sender, err := xmpp.ParseJID(st.From().Resource())
	if err != nil || !sender.IsBare() || st.Body() == "" && !m.cfg.WithoutBody {
		return
	}
	r := m.heardFrom(s, st.From())
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	msg := m.message(r, st, sender, sender == s.MyJID().Bare())
	m.note(s, msg)
	notify(r, ofMessage, func(ctx context.Context, d MessageDelegate) { d.RoomLightDidReceiveMessage(ctx, r, msg) })
}

// message reads a message. It refers to the stanza, so its strings need no copies.
func (m *MUCLight) message(r *Room, st *stanza.Message, sender xmpp.JID, own bool) *Message {
	msg := &Message{Room: r.jid, Sender: sender, Own: own, ID: st.ID(), OriginID: sid.OriginID(st), Body: st.Body(), Time: time.Now(), Stanza: st}
	if m.cfg.TrustStanzaIDs {
		msg.StanzaID = sid.StanzaID(st, r.jid)
	}
	return msg
}

// receiveFailure is a message of type error: it counts only if it is about one that was sent, and comes from the room itself (section 7.1).
func (r *Room) receiveFailure(st *stanza.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.Index(r.sent, st.ID())
	if i < 0 || !st.From().IsBare() {
		return
	}
	id, err := r.sent[i], st.Err()
	r.sent = slices.Delete(r.sent, i, i+1)
	notify(r, ofFailure, func(ctx context.Context, d FailureDelegate) { d.RoomLightDidNotSendMessage(ctx, r, id, err) })
}

// Send says something in the room. See [Room.SendMessage].
func (r *Room) Send(ctx context.Context, body string) (id string, err error) {
	return r.SendMessage(ctx, stanza.NewMessage(stanza.Groupchat, r.jid, body))
}

// SendMessage sends a message to all members, and returns its id, without waiting: see [xmpp.Stream.Send], of which the error is.
// It sends a copy of m, with the room's address, the type groupchat, and an id and origin-id where m has none.
// The room sends it back: it is told as an own message with the same id then; or it is refused, which a [FailureDelegate] hears.
func (r *Room) SendMessage(ctx context.Context, m *stanza.Message) (id string, err error) {
	s, err := r.m.Active()
	if err != nil {
		return "", err
	}
	m = m.Copy()
	m.SetType(stanza.Groupchat)
	m.SetTo(r.jid)
	m.SetFrom(xmpp.JID{})
	if m.ID() == "" {
		m.SetID(s.GenerateUUID())
	}
	if sid.OriginID(m) == "" && m.HasBody() {
		sid.SetOriginID(m, m.ID())
	}
	id = m.ID()
	r.mu.Lock()
	if len(r.sent) >= maxSent {
		r.sent = slices.Delete(r.sent, 0, 1)
	}
	r.sent = append(r.sent, id)
	r.mu.Unlock()
	if err := s.Send(ctx, m); err != nil {
		r.mu.Lock()
		if i := slices.Index(r.sent, id); i >= 0 {
			r.sent = slices.Delete(r.sent, i, i+1)
		}
		r.mu.Unlock()
		return "", err
	}
	return id, nil
}
