package muc

import (
	"context"
	"errors"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/datetime"
)

// The namespaces of moderation: of XEP-0425 as it is, and as it was before version 0.3.
const (
	NSModerate    = "urn:xmpp:message-moderate:1"
	NSModerateOld = "urn:xmpp:message-moderate:0"
	nsRetract     = "urn:xmpp:message-retract:1" // XEP-0424
	nsRetractOld  = "urn:xmpp:message-retract:0"
	nsFasten      = "urn:xmpp:fasten:0" // XEP-0422
)

// ErrNotSupported is returned for what the room does not offer.
var ErrNotSupported = errors.New("muc: the room does not offer that")

// Moderation says that a moderator has taken back a message, mostly that of somebody else. Whoever shows or keeps that message shows it no more.
type Moderation struct {
	StanzaID   string    // of the message: its [Message].StanzaID
	Nick       string    // of the moderator; empty if the room does not say
	OccupantID string    // of the moderator; empty if the room does not say
	Reason     string    // for people; may be empty. Cut at 1,024 bytes
	Time       time.Time // when it was done, or told
	Delayed    bool      // it is told as history
	// Message is what the history has in the place of the message: without its text, with its time and its sender. It is nil for what is told on its own.
	// The room puts it there; an occupant, though, can make a message of his own look so.
	Message *Message
}

// ModerationDelegate hears of messages that moderators take back.
type ModerationDelegate interface {
	// RoomDidModerateMessage is called when the room itself says that a message was taken back, now or in its history; once for each message, as far as
	// Config.MaxIDs reaches and the process lasts. Config.Storage keeps what it has, until [Room.RemoveStored] is called.
	RoomDidModerateMessage(ctx context.Context, r *Room, e Moderation)
}

// Moderate takes back a message of anybody, as a moderator (XEP-0425): stanzaID is its [Message].StanzaID. reason may be empty. All in the room are told,
// and the archive keeps it no more.
//
// The error is ErrNotSupported if the room cannot; otherwise that of [xmpp.Stream.SendIQ]: a [*stanza.Error] matching stanza.Forbidden for who is no moderator,
// stanza.ItemNotFound for a message that the room does not know.
func (r *Room) Moderate(ctx context.Context, stanzaID, reason string) error {
	info := r.Info()
	if info == nil {
		var err error
		if info, err = r.m.RoomInfo(ctx, r.jid); err != nil {
			return err
		}
	}
	var b *stanza.Builder
	switch {
	case info.Has(NSModerate): // section 4
		b = stanza.New("moderate", NSModerate).A("id", stanzaID).C("retract", nsRetract).Up()
		if reason != "" {
			b.C("reason").T(reason).Up()
		}
	case info.Has(NSModerateOld):
		b = stanza.New("apply-to", nsFasten).A("id", stanzaID).C("moderate", NSModerateOld).C("retract", nsRetractOld).Up()
		if reason != "" {
			b.C("reason").T(reason).Up()
		}
		b.Up()
	default:
		return ErrNotSupported
	}
	_, err := r.query(ctx, stanza.Set, b)
	return err
}

// RemoveStored takes the message that was taken back out of Config.Storage; ok is false if it is not there, or there is no storage.
// Who wants to keep that there was one replaces it: see [Room.ReplaceStoredMessage]. The error is as of [Room.StoredMessages].
func (r *Room) RemoveStored(ctx context.Context, e Moderation) (ok bool, err error) {
	if e.StanzaID == "" {
		return false, nil
	}
	if err := r.m.Flush(ctx); err != nil { // it may have been said a moment ago
		return false, err
	}
	for x, err := range r.StoredMessages(ctx, Query{StanzaID: e.StanzaID}) {
		if err != nil {
			return false, err
		}
		return r.ReplaceStoredMessage(ctx, x.Number, nil)
	}
	return false, nil
}

// noticeOf reads what a room says about a message that was taken back; ok is false for what is no such thing.
func (r *Room) noticeOf(st *stanza.Message) (m Moderation, ok bool) {
	if e := st.Child("apply-to", nsFasten); e != nil {
		if x := stanza.Child(e, "moderated", NSModerateOld); x != nil && stanza.Child(x, "retract", nsRetractOld) != nil {
			m.StanzaID = clipID(stanza.AttrOr(e, "id", ""))
			r.moderator(&m, x, stanza.ChildText(x, "reason", NSModerateOld))
		}
	}
	if e := st.Child("retract", nsRetract); e != nil { // both may be there, of the same message
		id := clipID(stanza.AttrOr(e, "id", ""))
		if x := stanza.Child(e, "moderated", NSModerate); x != nil && (m.StanzaID == "" || m.StanzaID == id) {
			m.StanzaID = id
			r.moderator(&m, x, stanza.ChildText(e, "reason", nsRetract))
		}
	}
	return m, m.StanzaID != ""
}

// tombstoneOf reads what a history has in the place of a message that was taken back.
func (r *Room) tombstoneOf(msg *Message) (m Moderation, ok bool) {
	st := msg.Stanza
	if r.info == nil || !r.info.Moderation || st.HasBody() || msg.StanzaID == "" {
		return m, false
	}
	stamp := ""
	if x := st.Child("moderated", NSModerateOld); x != nil {
		if e := stanza.Child(x, "retracted", nsRetractOld); e != nil {
			ok, stamp = true, stanza.AttrOr(e, "stamp", "")
			r.moderator(&m, x, stanza.ChildText(x, "reason", NSModerateOld))
		}
	}
	if e := st.Child("retracted", nsRetract); e != nil {
		if x := stanza.Child(e, "moderated", NSModerate); x != nil {
			ok, stamp = true, stanza.AttrOr(e, "stamp", stamp)
			r.moderator(&m, x, stanza.ChildText(e, "reason", nsRetract))
		}
	}
	m.StanzaID, m.Message, m.Time = clipID(msg.StanzaID), msg, msg.Time
	if t, err := datetime.Parse(stamp); err == nil {
		m.Time = t.UTC()
	}
	return m, ok && m.StanzaID != ""
}

// moderator reads who it was, from an element moderated, and what he says.
func (r *Room) moderator(m *Moderation, x *etree.Element, reason string) {
	if by, err := xmpp.ParseJID(stanza.AttrOr(x, "by", "")); err == nil && by.Bare() == r.jid && by.Resource() != "" {
		m.Nick = clip(by.Resource(), maxReason)
	}
	for e := range stanza.Children(x, "occupant-id", NSOccupantID) {
		if id := stanza.AttrOr(e, "id", ""); len(id) <= maxOccupantID {
			m.OccupantID = clipID(id)
		}
	}
	if reason != "" {
		m.Reason = clip(reason, maxReason)
	}
}

// moderatedLocked takes what is about a message that was taken back, and reports whether it is that. Section 5: only the room itself can say so.
// Of the history, it takes what stands in the place of the message, too.
func (r *Room) moderatedLocked(msg *Message) bool {
	m, ok := Moderation{}, false
	switch {
	case msg.Nick == "":
		if m, ok = r.noticeOf(msg.Stanza); ok {
			m.Time = msg.Time
		}
	case msg.Delayed:
		m, ok = r.tombstoneOf(msg)
	}
	if !ok {
		return false
	}
	o := &origin{stanza: m.StanzaID}
	if r.moderated.seen(o) {
		return true
	}
	r.moderated.note(o)
	if m.Nick != "" && m.OccupantID == "" {
		if by := r.occupants[m.Nick]; by != nil && !msg.Delayed {
			m.OccupantID = by.ID
		}
	}
	m.Delayed = msg.Delayed
	notify(r, ofModeration, func(ctx context.Context, d ModerationDelegate) { d.RoomDidModerateMessage(ctx, r, m) })
	return true
}
