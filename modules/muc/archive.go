package muc

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/datetime"
	"github.com/go-xmppframework/xmpp/stanza/form"
	"github.com/go-xmppframework/xmpp/stanza/rsm"
)

// NSArchive is the namespace of archives, XEP-0313.
const (
	NSArchive = "urn:xmpp:mam:2"
	nsForward = "urn:xmpp:forward:0" // XEP-0297
)

// pageTimeout is how long an archive may take for a page; pageSize is how many messages are asked for if nobody says.
const (
	pageTimeout = 20 * time.Second
	pageSize    = 100
)

// ErrNoArchive is returned by [Room.Archive] for a room that has none, and is the reason in a [CatchUp] for one that does not have it any more.
var ErrNoArchive = errors.New("muc: the room has no archive")

// ArchiveQuery says what of a room's archive is asked for. The zero value asks for all, from the oldest on.
type ArchiveQuery struct {
	// After and Before are stanza-ids (Message.StanzaID): only messages after, and before that one. At most one of them may be set. If zero, there is no such limit.
	After, Before string
	// Since and Until are times, by the clock of the room: only messages from then on, and up to then. If zero, there is no such limit.
	Since, Until time.Time
	// Newest begins with the last message and goes back; so does a Before.
	Newest bool
	// Page is how many messages are fetched at a time; many servers give no more than 50. If zero, 100.
	Page int
}

// Archive goes through the room's archive (XEP-0313), as far as the loop goes: a page is fetched when the loop comes to it. The room need not be joined,
// if it lets one read. Messages are told as from the history: Delayed, with the stanza-id and the time of the archive. Nobody else is told of them, and they are not stored;
// those that are known already are among them, and those that a moderator has taken back, without their text. What the archive holds besides messages to all is left out, and so are subjects.
//
// An error is the last that comes, with a nil message: ErrNoArchive; ErrNoAnswer, if a page takes more than 20 s; that of [xmpp.Stream.SendIQ], a [*stanza.Error] matching stanza.Forbidden if one may not read,
// and stanza.ItemNotFound if the archive does not know the id in the query; [rsm.ErrMalformed] for both After and Before; [rsm.ErrLoop] and [rsm.ErrTooMany]
// from an archive that does not come to its end; or what has ended ctx.
func (r *Room) Archive(ctx context.Context, q ArchiveQuery) iter.Seq2[*Message, error] {
	return func(yield func(*Message, error) bool) {
		info, err := r.archiveInfo(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		first := rsm.Request{Max: q.Page, After: q.After, Before: q.Before, Last: q.Newest && q.Before == ""}
		if q.Page <= 0 {
			first.Max = pageSize
		}
		fetch := func(ctx context.Context, page rsm.Request) (rsm.Page[*Message], error) {
			return r.fetchPage(ctx, info, q, page)
		}
		for m, err := range rsm.Items(ctx, first, rsm.Limits{}, fetch) {
			if m != nil && m.Nick == "" && m.Body == "" { // a moderator has taken another one back
				continue
			}
			if !yield(m, err) {
				return
			}
		}
	}
}

// archiveInfo is what is known of the room, or what it says if it is not joined.
func (r *Room) archiveInfo(ctx context.Context) (*Info, error) {
	r.mu.Lock()
	info, state := r.info, r.state
	r.mu.Unlock()
	if info == nil || state == StateNone {
		var err error
		if info, err = r.m.RoomInfo(ctx, r.jid); err != nil {
			return nil, err
		}
	}
	if !info.Archive {
		return nil, ErrNoArchive
	}
	return info, nil
}

// archiveQuery is a question to the archive that is under way.
type archiveQuery struct {
	info   *Info
	max    int
	list   []*Message
	cancel context.CancelCauseFunc
}

// fetchPage asks the archive for a page, sections 4.1 to 4.3. The results come as messages ahead of the answer.
func (r *Room) fetchPage(ctx context.Context, info *Info, q ArchiveQuery, page rsm.Request) (p rsm.Page[*Message], err error) {
	s, err := r.m.Active()
	if err != nil {
		return p, err
	}
	ctx, stop := context.WithTimeoutCause(ctx, pageTimeout, ErrNoAnswer)
	defer stop()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	id := rand.Text() // 128 bits: nobody guesses it
	a := &archiveQuery{info: info, max: page.Max, cancel: cancel}
	query := stanza.New("query", NSArchive).A("queryid", id)
	if f := q.form(); len(f.Fields) > 1 {
		query.Add(f)
	}
	r.mu.Lock()
	if r.queries == nil {
		r.queries = map[string]*archiveQuery{}
	}
	r.queries[id] = a
	r.mu.Unlock()
	err = s.SendIQThen(ctx, stanza.NewIQ(stanza.Set, r.jid, query.Add(page)), func(_ context.Context, answer *stanza.IQ) error {
		r.endQuery(id) // what comes behind it does not belong to it
		if answer.IsError() {
			return nil
		}
		fin := answer.Payload()
		if !stanza.Is(fin, "fin", NSArchive) {
			return fmt.Errorf("%w: no <fin/> from the archive", rsm.ErrMalformed)
		}
		p.Complete = stanza.AttrBool(fin, "complete", false)
		var err error
		p.Answer, err = rsm.AnswerOf(fin)
		return err
	})
	r.endQuery(id)
	if err != nil {
		return p, reasonOfErr(ctx, err)
	}
	p.Items = a.list
	if p.Answer == nil { // it has given all that there is
		p.Complete = true
	}
	return p, nil
}

func (r *Room) endQuery(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.queries, id)
}

// form is the part of the query that is not about pages, section 4.1.1.
func (q *ArchiveQuery) form() *form.Form {
	f := &form.Form{Type: form.TypeSubmit, Fields: []form.Field{{Var: "FORM_TYPE", Type: form.Hidden, Values: []string{NSArchive}}}}
	add := func(name string, t time.Time) {
		if !t.IsZero() {
			f.Fields = append(f.Fields, form.Field{Var: name, Values: []string{datetime.Format(t.UTC())}})
		}
	}
	add("start", q.Since)
	add("end", q.Until)
	return f
}

// receiveResult takes a result of the room's archive, and reports whether it is one. It counts only for a query of ours that is under way;
// what an occupant or anybody else has made look like one is a message as any other.
func (r *Room) receiveResult(st *stanza.Message) bool {
	res := st.Child("result", NSArchive)
	if res == nil || st.From() != r.jid {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.queries[stanza.AttrOr(res, "queryid", "")]
	if a == nil || st.IsError() {
		return true
	}
	if a.max > 0 && len(a.list) >= 2*a.max {
		a.cancel(fmt.Errorf("%w: a page of more than twice %d messages", rsm.ErrTooMany, a.max))
		return true
	}
	if m := r.archivedLocked(res, a.info); m != nil {
		a.list = append(a.list, m)
	}
	return true
}

// archivedLocked reads a result; nil for what is no message to all. The stanza inside goes nowhere else.
func (r *Room) archivedLocked(res *etree.Element, info *Info) *Message {
	id := stanza.AttrOr(res, "id", "")
	f := stanza.Child(res, "forwarded", nsForward)
	inner, err := stanza.MessageFrom(stanza.Detach(stanza.Child(f, "message", stanza.NSClient)))
	if err != nil || id == "" || len(id) > rsm.MaxID || inner.Type() != stanza.Groupchat || inner.From().Bare() != r.jid {
		return nil
	}
	nick := inner.From().Resource()
	if !inner.HasBody() { // what the room said of itself, and subjects, were of their time
		if _, notice := r.noticeOf(inner); inner.HasSubject() || nick == "" && !notice {
			return nil
		}
	}
	m := r.messageLocked(inner, nick)
	m.StanzaID, m.Delayed = strings.Clone(id), true
	if m.OccupantID = ""; info.OccupantIDs {
		m.OccupantID = occupantID(inner)
	}
	if t := stampOf(stanza.Child(f, "delay", nsDelay)); !t.IsZero() {
		m.Time = t
	}
	m.Own = r.ownLocked(m)
	return m
}

// ownLocked is whether a message of the history is one's own.
func (r *Room) ownLocked(m *Message) bool {
	if m.OccupantID != "" {
		return m.OccupantID == r.selfLocked().ID
	}
	return m.Nick != "" && m.Nick == r.nick
}

// CatchUp says how what was said since the last message known was fetched from the archive.
type CatchUp struct {
	// Messages is how many the archive alone has brought; after a resumed session usually none.
	Messages int
	// After is the stanza-id of the last message known before, or, with an Err, of the last one that the archive has brought; empty if none is known.
	After string
	// Err is nil if everything was told. Otherwise it says why the archive was given up: what the room's history has was told, and what it does not have is missing;
	// [Room.Archive] from After on would find it. It is [rsm.ErrTooMany] if there was more than Config.MaxArchive.
	Err error
}

// ArchiveDelegate hears how archives are used.
type ArchiveDelegate interface {
	// RoomDidCatchUp is called when what was said since the last message known has been told, after the last of those messages and before those that are said from then on;
	// or when the archive was given up: after a room was joined again, and after a resumed session.
	// It is not called for a room without an archive, nor if one leaves meanwhile.
	RoomDidCatchUp(ctx context.Context, r *Room, c CatchUp)
}
