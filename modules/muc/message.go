package muc

import (
	"context"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/datetime"
	"github.com/go-xmppframework/xmpp/stanza/sid"
)

// Message is what was said in a room, or by an occupant to oneself. It is read-only.
type Message struct {
	Room       xmpp.JID
	Nick       string   // of the sender; empty for the room itself
	Occupant   Occupant // the sender, as he is when the message comes; zero if he is not there, as with much of the history
	OccupantID string   // of the sender, where the room has such ids; the sender's name that lasts (XEP-0421)
	StanzaID   string   // given by the room, where it has such ids: what refers to the message uses it (XEP-0359)
	OriginID   string   // given by the sender
	ID         string   // the id attribute
	Body       string   // in the language of the stream, or the first; empty for messages that say nothing to people, such as chat states
	Time       time.Time
	Delayed    bool            // it is told as history or out of the archive, Time is what the room says; otherwise Time is when it came
	Own        bool            // by oneself, from here or from another client of the account; in a history without occupant ids, by whoever had the nickname
	Private    bool            // to us alone: by an occupant, or by the room itself
	Codes      Codes           // what the room says with it
	Stanza     *stanza.Message // as it came
}

// receiveMessage takes in what comes from the room or an occupant.
func (r *Room) receiveMessage(_ *xmpp.Stream, st *stanza.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state != StateJoined && r.state != StateLeaving {
		return // section 7.2: nothing is told before the own presence
	}
	r.heard = time.Now()
	nick := st.From().Resource()
	switch st.Type() {
	case stanza.ErrorMessage:
		r.failureLocked(st)
	case stanza.Groupchat:
		r.groupchatLocked(st, nick)
	default:
		if nick != "" {
			m := r.messageLocked(st, nick)
			m.Private, m.Own = true, false
			if m.Body != "" {
				r.m.noteMessage(m)
			}
			notify(r, ofPrivate, func(ctx context.Context, d PrivateMessageDelegate) { d.RoomDidReceivePrivateMessage(ctx, r, m) })
		} else if !r.requestLocked(st) {
			codes := codesOf(userOf(st))
			r.statusLocked(codes)
			if !st.HasBody() {
				return
			}
			m := r.messageLocked(st, "")
			m.Private, m.Codes = true, codes
			notify(r, ofMessage, func(ctx context.Context, d MessageDelegate) { d.RoomDidReceiveMessage(ctx, r, m) })
		}
	}
}

func (r *Room) groupchatLocked(st *stanza.Message, nick string) {
	delay := delayOf(st, r.jid)
	if st.HasSubject() && !st.HasBody() && st.Child("thread", stanza.NSClient) == nil { // sections 7.2.15, 8.1
		s := Subject{Text: clip(st.Subject(), 64<<10), Nick: clip(nick, maxReason), Time: stampOf(delay)}
		if s.Time.IsZero() {
			s.Time = time.Now()
		}
		r.subject = s
		r.sent.subjectBack(st.ID(), nick == r.nick)
		r.goLiveLocked()
		r.hearLocked(overheard{subject: &s})
		return
	}
	codes := Codes(nil)
	if nick == "" {
		if codes = codesOf(userOf(st)); len(codes) > 0 {
			r.statusLocked(codes)
			if !st.HasBody() {
				return
			}
		}
	}
	if !r.live && delay == nil { // said now, whatever has become of the subject
		r.goLiveLocked()
	}
	m := r.messageLocked(st, nick)
	m.Codes = codes
	// A stamp on what is said live is the sender's.
	if m.Delayed = !r.live; m.Delayed {
		if t := stampOf(delay); !t.IsZero() {
			m.Time = t
		}
	}
	sent := r.sent.reflected(m, nick == r.nick)
	m.Own = sent != nil || nick == r.nick && !m.Delayed || r.ownLocked(m)
	r.hearLocked(overheard{m: m})
	if sent != nil { // when it is noted for the storage: SendAndWait, and then Flush
		r.sent.end(sent, m, nil)
	}
}

// messageLocked reads a message. It refers to the stanza, so its strings need no copies.
func (r *Room) messageLocked(st *stanza.Message, nick string) *Message {
	m := &Message{Room: r.jid, Nick: nick, ID: st.ID(), OriginID: sid.OriginID(st), Body: st.Body(), Time: time.Now(), Stanza: st}
	if o := r.occupants[nick]; o != nil && nick != "" {
		m.Occupant = *o
	}
	if i := r.info; i != nil {
		if i.StanzaIDs {
			m.StanzaID = stanzaID(st, r.jid)
		}
		if i.OccupantIDs {
			m.OccupantID = occupantID(st)
		}
	}
	return m
}

// stanzaID reads the id that a room has given; two are none.
func stanzaID(st stanza.Stanza, room xmpp.JID) string {
	id, n := "", 0
	for e := range st.Children() {
		if stanza.Is(e, "stanza-id", sid.NS) {
			if by, err := xmpp.ParseJID(stanza.AttrOr(e, "by", "")); err == nil && by == room {
				id, n = stanza.AttrOr(e, "id", ""), n+1
			}
		}
	}
	if n != 1 {
		return ""
	}
	return id
}

// delayOf finds the stamp of the room, or else the first: some rooms put the sender's address on theirs. It counts only where the room tells its history.
func delayOf(st stanza.Stanza, room xmpp.JID) (found *etree.Element) {
	for e := range st.Children() {
		if !stanza.Is(e, "delay", nsDelay) {
			continue
		}
		if from, err := xmpp.ParseJID(stanza.AttrOr(e, "from", "")); err == nil && from.Bare() == room {
			return e
		}
		if found == nil {
			found = e
		}
	}
	return found
}

func stampOf(delay *etree.Element) time.Time {
	t, err := datetime.Parse(stanza.AttrOr(delay, "stamp", ""))
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// statusLocked tells what the room says of itself (section 10.2.1), and asks anew where that may have changed.
func (r *Room) statusLocked(codes Codes) {
	if len(codes) == 0 {
		return
	}
	notify(r, ofStatus, func(ctx context.Context, d StatusDelegate) { d.RoomDidReceiveStatus(ctx, r, codes) })
	for _, c := range codes {
		if c == StatusConfigurationChange || c >= StatusLogging && c <= StatusFullyAnonymous {
			r.refreshLocked()
			return
		}
	}
}

// refreshLocked asks the room what it is; if that is being done already, once more.
func (r *Room) refreshLocked() {
	session := r.m.sessionCtx()
	if session == nil {
		return
	}
	r.stale = true
	if r.asking {
		return
	}
	r.asking = true
	go func() {
		for r.stillStale() {
			ctx, cancel := context.WithTimeout(xmpp.ByModule(session), r.m.cfg.JoinTimeout)
			info, err := r.m.RoomInfo(ctx, r.jid)
			cancel()
			r.mu.Lock()
			if err == nil && r.state != StateNone {
				r.infoLocked(info, r.info)
			}
			r.mu.Unlock()
		}
	}()
}

func (r *Room) stillStale() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asking, r.stale = r.stale, false
	return r.asking
}
