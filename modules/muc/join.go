package muc

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/datetime"
	"github.com/go-xmppframework/xmpp/stanza/form"
)

// JoinOptions say how a room is joined; joining again by itself is done with the same ones. The zero value is for an open room.
type JoinOptions struct {
	// Password of the room. If zero, none is sent.
	Password string
	// History says how much of what was said before is asked for. If zero, what was said since the last message that came from this room,
	// or that Config.Storage has, where there is one, and otherwise what the room gives.
	History History
	// NextNick is asked for another nickname when one is somebody else's (ErrNickConflict); n counts from 1. An empty one gives up. It runs on the goroutine that joins.
	// If zero, Join fails then.
	NextNick func(nick string, n int) string
	// NoCreate fails with ErrNotFound instead of creating a room that there is not. If zero, such a room is created.
	NoCreate bool
	// Configure fills in the configuration of a room that was created (StatusCreated) and returns what is submitted, as in
	// return f.Submit().Set("muc#roomconfig_roomname", "Garden").Form(). With an error the room is left again, and so is no more.
	// It runs on the goroutine that joins, and again if the room has vanished meanwhile and is created anew.
	// If zero, the room's defaults are accepted: an instant room (section 10.1.2).
	Configure func(ctx context.Context, r *Room, f *form.Form) (*form.Form, error)
	// Presence is how one appears in the room: show, status and extensions; see [Room.SetPresence]. If zero, available and nothing else.
	Presence *stanza.Presence
}

// History limits what a room tells of what was said before, section 7.2.14. All that are set count.
type History struct {
	// None asks for nothing at all. If zero, the others count.
	None bool
	// Max is the number of messages. If zero, there is no such limit.
	Max int
	// MaxChars is the number of characters of XML. If zero, there is no such limit.
	MaxChars int
	// For is how long ago. If zero, there is no such limit.
	For time.Duration
	// Since is the time from when on, by the clock of the room. If zero, there is no such limit.
	Since time.Time
}

// overlap is how much further back than the last message the history is asked for: what came last may have been on its way for a while.
// Messages in it that are known already are found by their ids.
const overlap = time.Minute

// subjectTimeout is how long the subject may take, which ends the history, once one is in; some rooms have none.
const subjectTimeout = 10 * time.Second

// askAgain is how long a room may take to say what it is, before it is asked once more.
const askAgain = 3 * time.Second

// attempt is one try to be let in.
type attempt struct {
	id      string          // of the presence that asks
	nick    string          // canonical
	session context.Context // in which it was begun; nil if there was none yet
	sent    bool
	rejoin  bool
	exists  bool          // the room is known to be there
	in      chan struct{} // closed with err, or when the own presence has come
	ready   chan struct{} // closed when the history is over, after in
	ended   bool          // in is closed
	err     *JoinError
	codes   Codes
	self    *stanza.Presence // the own one, of a room that was created
	catch   *catchUp         // what the archive is to be asked for once one is in; nil for nothing
	settled chan struct{}    // closed when it is over for good
	result  error
}

// Join asks the room to let us in under a nickname, and returns when it has: the occupants are known, the history was told, and Joined is true.
// Callbacks about them may still be waiting in queues; see [xmpp.Queue.Flush]. If the room is joined with that nickname already it returns at once;
// with another one, it is [Room.ChangeNick]; if it is being joined, the call waits for that attempt, with its nickname and options.
//
// The error is a [*JoinError], of which the reason is one of this package's errors, that of the stream, or what ended ctx: one is not in the room then.
// A module that is not active has a plain error. Nobody but [JoinOptions].NextNick tries again.
//
// # History
//
// Whenever a room is joined that was joined before, in this process or, with a [Config].Storage, in an earlier one, what was said meanwhile is asked for,
// as far as the room keeps it, and told as delayed messages. A room that has an archive (XEP-0313) and gives stanza-ids is asked for all of it, page by page;
// meanwhile what is said is held back, so that everything is told in order, and Join waits for 10 s at most. An [ArchiveDelegate] hears when that is over.
// Messages that are known are left out: those with the same stanza-id of a room that has such ids; otherwise those of the same sender with the same origin-id or id.
// What is said live is told unless its stanza-id is known, as of what a server sends again after a resumed session; nothing else of it is looked at.
// What is said while the archive is read may come from there first and is then told as delayed, too: a bot that leaves out old commands does better to look at Message.Time.
func (r *Room) Join(ctx context.Context, nick string, opts JoinOptions) error {
	s, err := r.m.Active()
	if err != nil {
		return err
	}
	for n := 1; ; n++ {
		err := r.enter(ctx, s, nick, opts, false)
		if err == nil {
			r.awaitCatchUp(ctx, s)
		}
		if opts.NextNick == nil || !errors.Is(err, ErrNickConflict) || n > 100 {
			return err
		}
		next := opts.NextNick(nick, n)
		if next == "" {
			return err
		}
		nick = next
	}
}

// enter makes one attempt, or takes part in one.
func (r *Room) enter(ctx context.Context, s *xmpp.Stream, nick string, opts JoinOptions, rejoin bool) error {
	jid, err := r.occupantJID(nick)
	if err != nil {
		return &JoinError{Room: r.jid, Nick: nick, Reason: err}
	}
	if err := r.waitLeft(ctx, s); err != nil {
		return &JoinError{Room: r.jid, Nick: nick, Reason: err}
	}
	if err := r.waitParted(ctx, s); err != nil {
		return &JoinError{Room: r.jid, Nick: nick, Reason: err}
	}
	r.mu.Lock()
	if a := r.attempt; a != nil {
		r.mu.Unlock()
		if err := s.Await(ctx, a.settled); err != nil {
			return &JoinError{Room: r.jid, Nick: nick, Reason: err}
		}
		return a.result
	}
	if r.state == StateJoined {
		same := r.nick == jid.Resource()
		r.mu.Unlock()
		if same {
			return nil
		}
		return r.ChangeNick(ctx, nick)
	}
	a := &attempt{id: s.GenerateUUID(), nick: jid.Resource(), session: r.m.sessionCtx(), rejoin: rejoin, in: make(chan struct{}), ready: make(chan struct{}), settled: make(chan struct{})}
	r.attempt, r.state, r.nick, r.opts, r.live = a, StateJoining, a.nick, opts, false
	if opts.Presence != nil {
		r.presence = opts.Presence.Copy()
	}
	if !rejoin {
		r.stopRejoinLocked()
	}
	r.mu.Unlock()

	jerr := r.try(ctx, s, a, jid, opts)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.attempt == a {
		r.attempt = nil
	}
	if jerr != nil {
		a.result = jerr
		if r.state == StateJoining && r.attempt == nil {
			r.state = StateNone
		}
		if !rejoin {
			notify(r, ofJoin, func(ctx context.Context, d JoinDelegate) { d.RoomDidNotJoin(ctx, r, jerr, false) })
		}
	}
	close(a.settled)
	return a.result
}

// try is the attempt itself.
func (r *Room) try(ctx context.Context, s *xmpp.Stream, a *attempt, jid xmpp.JID, opts JoinOptions) *JoinError {
	ctx, cancel := context.WithTimeoutCause(ctx, r.m.cfg.JoinTimeout, ErrNoAnswer)
	defer cancel()
	fail := func(reason error) *JoinError { return &JoinError{Room: r.jid, Nick: a.nick, Reason: reason} }
	r.load(ctx)
	if _, err := r.ask(ctx); err != nil {
		se := (*stanza.Error)(nil)
		switch {
		case !errors.As(err, &se):
			return fail(reasonOfErr(ctx, err))
		case se.Condition == stanza.RemoteServerNotFound || se.Condition == stanza.RemoteServerTimeout:
			return &JoinError{Room: r.jid, Nick: a.nick, Reason: ErrRemote, Stanza: se}
		case opts.NoCreate && se.Condition == stanza.ItemNotFound:
			return &JoinError{Room: r.jid, Nick: a.nick, Reason: ErrNotFound, Stanza: se}
		}
	}
	// Sections 7.1 and 7.2: who is let in gets others' presence, the own one, the history and the subject, in this order.
	p, jerr := r.joinPresence(a, jid, opts)
	if jerr != nil {
		return jerr
	}
	if err := s.Send(ctx, p); err != nil {
		return fail(reasonOfErr(ctx, err))
	}
	if err := s.Await(ctx, a.in); err != nil {
		return r.giveUp(s, a, jid, fail(reasonOfErr(ctx, err)))
	}
	if err := r.ended(a); err != nil {
		return err
	}
	if a.codes.Has(StatusCreated) {
		if opts.NoCreate { // it was there a moment ago
			return r.giveUp(s, a, jid, fail(ErrNotFound))
		}
		if err := r.configureNew(ctx, a, opts); err != nil {
			e := fail(ErrConfigure)
			if se := (*stanza.Error)(nil); errors.As(err, &se) {
				e.Stanza = se
			} else {
				e.Reason = errors.Join(ErrConfigure, err)
			}
			return r.giveUp(s, a, jid, e)
		}
	}
	wait, stop := context.WithTimeout(ctx, subjectTimeout)
	defer stop()
	if err := s.Await(wait, a.ready); err != nil && wait.Err() == nil {
		return fail(err)
	}
	if err := ctx.Err(); err != nil {
		return r.giveUp(s, a, jid, fail(reasonOfErr(ctx, err)))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if a.err != nil { // removed meanwhile
		return a.err
	}
	r.want = true
	r.goLiveLocked()
	return nil
}

// ended is why the attempt has failed, if it has: perhaps after it had succeeded.
func (r *Room) ended(a *attempt) *JoinError {
	r.mu.Lock()
	defer r.mu.Unlock()
	return a.err
}

// ask fetches what the room is and notes it. It is done first, so that the ids that only some rooms give can be told from those that occupants forge.
// It asks again after a while: a server may lose a question to a room that is just going to sleep.
func (r *Room) ask(ctx context.Context) (*Info, error) {
	once, cancel := context.WithTimeout(ctx, askAgain)
	info, err := r.m.RoomInfo(once, r.jid)
	if err != nil && once.Err() != nil && ctx.Err() == nil {
		info, err = r.m.RoomInfo(ctx, r.jid)
	}
	cancel()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.info = info
	if r.attempt != nil {
		r.attempt.exists = err == nil
	}
	return info, err
}

// joinPresence asks to be let in, section 7.2.1, and marks the attempt as sent, unless it was called off.
func (r *Room) joinPresence(a *attempt, jid xmpp.JID, opts JoinOptions) (*stanza.Presence, *JoinError) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a.err != nil {
		return nil, a.err
	}
	a.sent, r.heard = true, time.Now()
	p := r.presenceLocked(jid)
	p.SetID(a.id)
	x := stanza.New("x", NS)
	if opts.Password != "" {
		x.C("password").T(opts.Password).Up()
	}
	h := opts.History
	switch {
	case r.told.IsZero() && !r.stored.IsZero() && h == History{}: // by another process
		h = History{Since: r.stored.Add(-overlap)}
		r.planLocked(a, h.Since)
	case !r.told.IsZero() && (a.rejoin || h == History{}):
		// By its own clock: two clocks need not agree. The wall and the monotonic clock differ after a suspension.
		h = History{For: max(time.Since(r.told), time.Now().Round(0).Sub(r.told.Round(0)), 0) + overlap}
		r.planLocked(a, time.Now().Add(-h.For))
	case h != History{}: // what was said before is not wanted, now or later
		r.last = ""
	}
	if h != (History{}) {
		e := x.C("history")
		switch {
		case h.None:
			e.A("maxchars", "0").A("maxstanzas", "0")
		default:
			if h.Max > 0 {
				e.A("maxstanzas", strconv.Itoa(h.Max))
			}
			if h.MaxChars > 0 {
				e.A("maxchars", strconv.Itoa(h.MaxChars))
			}
			if h.For > 0 {
				e.A("seconds", strconv.FormatInt(int64((h.For+time.Second-1)/time.Second), 10))
			}
			if !h.Since.IsZero() {
				e.A("since", datetime.Format(h.Since.UTC()))
			}
		}
		e.Up()
	}
	p.Add(x)
	return p, nil
}

// giveUp takes back an attempt that may have succeeded meanwhile, and returns its error. One that ends with the session is left to [Room.lost]:
// nothing is to be taken back, and the next session, in which we may be in the room by now, must not hear of it.
func (r *Room) giveUp(s *xmpp.Stream, a *attempt, jid xmpp.JID, e *JoinError) *JoinError {
	r.mu.Lock()
	if err := a.err; err != nil { // whoever has ended it has seen to the rest
		r.mu.Unlock()
		return err
	}
	if a.session != nil && a.session.Err() != nil || lostConnection(e.Reason) {
		r.mu.Unlock()
		return e
	}
	if r.state == StateJoined {
		jid, _ = r.jid.WithResource(r.nick)
		want := r.want
		r.want = false
		r.leftLocked(Departure{Reason: ReasonLeft})
		r.want = want
	}
	a.err = e
	r.endLocked(a)
	r.partLocked(a)
	r.mu.Unlock()
	_ = s.Send(xmpp.NoWait, stanza.NewPresence(stanza.Unavailable, jid))
	return e
}

// endLocked wakes who waits for the attempt.
func (r *Room) endLocked(a *attempt) {
	if !a.ended {
		a.ended = true
		close(a.in)
	}
	r.readyLocked(a)
}

func (r *Room) readyLocked(a *attempt) {
	select {
	case <-a.ready:
	default:
		close(a.ready)
	}
}

// failLocked ends the attempt that is under way, if there is one, with an error.
func (r *Room) failLocked(e *JoinError) {
	if a := r.attempt; a != nil && a.err == nil {
		e.Room, e.Nick = r.jid, a.nick
		a.err = e
		r.endLocked(a)
	}
}

// goLiveLocked is the end of the history.
func (r *Room) goLiveLocked() {
	if !r.live {
		r.live = true
		if r.catch == nil {
			r.told = time.Now()
		}
	}
	if a := r.attempt; a != nil {
		r.readyLocked(a)
	}
}

// reasonOfErr prefers our own timeout to the ctx's words for it.
func reasonOfErr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(err, xmpp.ErrIQTimeout) {
		return ErrNoAnswer
	}
	return err
}
