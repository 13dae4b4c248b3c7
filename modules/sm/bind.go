package sm

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// maxWrong is how often a server may answer nonsense to a resumption of a session before the session is given up.
const maxWrong = 2

// Activate attaches the module to a stream. It takes part from the next login on.
// A session that is under way when it is deactivated goes on as it is, and is not held when its connection is lost before it is activated again.
func (m *SM) Activate(s *xmpp.Stream) error {
	return m.Attach(s, m, func() error {
		m.mu.Lock()
		if m.cur == nil || m.cur.s != s { // else its session may go on
			m.cur, m.prev, m.loaded, m.stored = nil, nil, false, nil
		}
		m.mu.Unlock()
		m.journal.start(s.MyJID().Bare())
		remove := s.AddDelegate(xmpp.Delegate{Name: "sm", Bind: binder{m}})
		m.OnDeactivate(func() { _ = remove(xmpp.NoWait) })
		if m.cfg.ResendOnNewSession {
			m.OnDeactivate(s.AddInterceptor(xmpp.Interceptor{
				Name: "sm",
				WillSendMessage: func(_ context.Context, s *xmpp.Stream, msg *stanza.Message) *stanza.Message {
					return addOriginID(s, msg)
				},
			}))
		}
		return nil
	})
}

// binder resumes a session or begins one.
type binder struct{ m *SM }

func (b binder) WillBind(context.Context, *xmpp.Stream) xmpp.Binder { return b }

// Inline asks for what belongs to stream management along with the login, XEP-0198 section 9.
func (b binder) Inline(ctx context.Context, in *xmpp.Inline) error {
	m := b.m
	if overBOSH(in.Stream()) {
		return nil
	}
	if err := m.load(ctx, in.Binding()); err != nil {
		return err
	}
	if held := m.held(in.Stream()); held != nil {
		resume, err := m.toResume(held)
		switch {
		case err != nil:
			return err
		case resume == nil:
		case in.Offers("sm", NS):
			in.Add(resume)
		default:
			in.BindLater() // to resume before
		}
	}
	if in.BindOffers(NS) {
		in.AddToBind(m.enable())
	}
	return nil
}

// Inlined leaves it to Bind.
func (b binder) Inlined(context.Context, *xmpp.InlineResult) {}

func (b binder) Bind(ctx context.Context, bg *xmpp.Binding) (xmpp.SessionKind, xmpp.JID, error) {
	m, s := b.m, bg.Stream()
	if err := m.load(ctx, bg); err != nil {
		return xmpp.SessionNew, xmpp.JID{}, err
	}
	resumed, enabled := inlined(bg.Inlined())
	offered := !overBOSH(s) && (resumed != nil || enabled != nil || stanza.Child(bg.Features(), "sm", NS) != nil)
	held := m.held(s)
	m.mu.Lock()
	m.cur, m.prev, m.unoffered = held, nil, !offered
	m.mu.Unlock()
	if held != nil && offered {
		var err error
		if resumed == nil && (bg.Inlined() == nil || bg.Inlined().Bound() == nil) {
			resumed, err = m.resume(ctx, bg, held)
		}
		switch {
		case err != nil:
			return xmpp.SessionResumed, held.jid(), err
		case resumed != nil && m.answered(held, resumed):
			return xmpp.SessionResumed, held.jid(), held.consider(held.resumedBy(resumed))
		}
	}
	if !offered {
		return xmpp.SessionNew, xmpp.JID{}, xmpp.ErrBindFallback
	}
	jid, err := bg.Ordinary(ctx)
	if err != nil {
		return xmpp.SessionNew, jid, err
	}
	if enabled == nil {
		if err := bg.Send(m.enable()); err != nil {
			return xmpp.SessionNew, jid, err
		}
	}
	t := newTracker(m, s)
	t.session.JID = jid
	t.tracking = bg.Track(t, t.options())
	m.mu.Lock()
	m.prev, m.cur = held, t // prev is still the one if the new session never begins
	m.mu.Unlock()
	if enabled != nil {
		_, err := t.ReceiveElement(enabled)
		return xmpp.SessionNew, jid, err
	}
	return xmpp.SessionNew, jid, t.await(ctx, bg)
}

// overBOSH reports whether requests over HTTP carry the stream, which are acknowledged and repeated by themselves:
// there are servers that offer stream management there, and never answer <resume/>.
func overBOSH(s *xmpp.Stream) bool { return s.Security().Transport == "BOSH" }

// inlined are the answers that came with the login: to <resume/>, and to <enable/>; nil for what did not come.
func inlined(r *xmpp.InlineResult) (resumed, enabled *etree.Element) {
	if r == nil {
		return nil, nil
	}
	for _, name := range []string{"resumed", "failed"} {
		if el := stanza.Child(r.Success(), name, NS); el != nil && resumed == nil {
			resumed = el
		}
	}
	for _, name := range []string{"enabled", "failed"} {
		if el := stanza.Child(r.Bound(), name, NS); el != nil && enabled == nil {
			enabled = el
		}
	}
	return resumed, enabled
}

// enable asks for stream management, XEP-0198 section 3.
func (m *SM) enable() stanza.Elementer {
	enable := stanza.New("enable", NS)
	if !m.cfg.NoResume {
		enable.A("resume", "true")
		if n := int64(m.cfg.Max / time.Second); n > 0 {
			enable.A("max", strconv.FormatInt(n, 10))
		}
	}
	return enable
}

// await waits for the server's answer to <enable/>: whatever is sent on a session that cannot be resumed yet would be lost with its connection.
func (t *tracker) await(ctx context.Context, bg *xmpp.Binding) error {
	for {
		el, err := bg.Receive(ctx)
		if err != nil {
			return err
		}
		if taken, err := t.ReceiveElement(el); taken && err == nil && t.is(asked) {
			continue // an <r/> or <a/>, which means nothing yet
		} else if taken || err != nil {
			return err
		}
		if err := bg.Unread(el); err != nil {
			return err
		}
	}
}

// held is the session that waits to be resumed, or to be replaced; nil if none does.
func (m *SM) held(s *xmpp.Stream) *tracker {
	m.mu.Lock()
	candidates := []*tracker{m.cur, m.prev}
	m.mu.Unlock()
	for _, t := range candidates {
		if t != nil && t.s == s && t.tracking.Held() {
			return t
		}
	}
	return nil
}

// toResume is the request to go on with a session, XEP-0198 section 5; nil if that cannot be.
func (m *SM) toResume(t *tracker) (stanza.Elementer, error) {
	t.mu.Lock()
	t.suspended = false
	t.holdLocked(loginTime)
	if !t.resumable || m.cfg.NoResume {
		t.mu.Unlock()
		return nil, nil
	}
	h, id := t.in.repeatLocked(), t.session.ID
	t.mu.Unlock()
	if err := m.journal.flush(t); err != nil && m.cfg.StorageRequired { // h must not be ahead of what is stored
		return nil, err
	}
	return stanza.New("resume", NS).A("h", format(h)).A("previd", id), nil
}

// resume asks the server to go on with a session, and returns its answer; nil if it was not asked.
// An error ends the login, and leaves the session for the next.
func (m *SM) resume(ctx context.Context, bg *xmpp.Binding, t *tracker) (*etree.Element, error) {
	resume, err := m.toResume(t)
	if err != nil || resume == nil {
		return nil, err
	}
	if err := bg.Send(resume); err != nil {
		return nil, err
	}
	el, err := bg.Receive(ctx)
	if err != nil {
		return nil, err
	}
	if !stanza.Is(el, "resumed", NS) && !stanza.Is(el, "failed", NS) {
		return nil, fmt.Errorf("%w: <%s/> in answer to <resume/>", xmpp.ErrUnexpectedElement, el.Tag)
	}
	return el, nil
}

// answered reports whether the session goes on, and else takes in why not.
func (m *SM) answered(t *tracker, el *etree.Element) (resumed bool) {
	if el.Tag == "resumed" {
		return true
	}
	m.totals.refused.Add(1)
	t.mu.Lock()
	t.resumable = false
	t.mu.Unlock()
	if n, err := count(el); err == nil {
		if acked, err := t.ack(n); err == nil { // else it knows of another session
			t.notifyAcked(acked)
		}
	}
	err := refusal(el)
	notify(m, t.s, Delegate.resume, func(ctx context.Context, d ResumeDelegate) { d.StreamManagementDidNotResume(ctx, m, err) })
	return false
}

func (t *tracker) jid() xmpp.JID {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.session.JID
}

// resumedBy looks at the server's consent.
func (t *tracker) resumedBy(el *etree.Element) error {
	t.mu.Lock()
	id := t.session.ID
	t.mu.Unlock()
	if previd, _ := stanza.Attr(el, "previd"); previd != id {
		return broken("<resumed/> is about another session")
	}
	h, err := count(el)
	if err != nil {
		return malformed(err)
	}
	acked, err := t.ack(h)
	if err != nil {
		return err
	}
	replay := 0
	for _, u := range t.tracking.Unacked() {
		if u.Written {
			replay++
		}
	}
	t.mu.Lock()
	t.resumedAcked, t.replay = acked, replay
	t.mu.Unlock()
	return nil
}

// consider counts answers that make no sense: a server that gives nothing else must not keep the stream from a new session.
func (t *tracker) consider(err error) error {
	if errors.Is(err, ErrProtocol) {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.wrong++; t.wrong >= maxWrong {
			t.resumable = false
		}
	}
	return err
}

// ReceiveSession begins a session, or goes on with one.
func (m *SM) ReceiveSession(context.Context, xmpp.SessionKind) {
	m.mu.Lock()
	t, unoffered := m.cur, m.unoffered
	m.prev, m.unoffered = nil, false
	m.mu.Unlock()
	switch {
	case unoffered:
		notify(m, m.Stream(), Delegate.enable, func(ctx context.Context, d EnableDelegate) { d.StreamManagementWasNotEnabled(ctx, m, ErrNotOffered) })
	case t == nil:
	case t.begin():
	default:
		t.mu.Lock()
		acked, replay := t.resumedAcked, t.replay
		t.resumedAcked, t.replay = nil, 0
		t.mu.Unlock()
		m.totals.resumed.Add(1)
		m.totals.replayed.Add(int64(replay))
		t.notifyAcked(acked)
		notify(m, t.s, Delegate.resume, func(ctx context.Context, d ResumeDelegate) { d.StreamManagementDidResume(ctx, m, acked) })
	}
}

// current is the session with stream management that there is, connected or held; nil if there is none.
func (m *SM) current() *tracker {
	m.mu.Lock()
	cur, prev := m.cur, m.prev
	m.mu.Unlock()
	for _, t := range []*tracker{cur, prev} {
		if t != nil && t.isOpen() {
			return t
		}
	}
	return nil
}

func (t *tracker) isOpen() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.phase == enabled && t.begun
}

func (t *tracker) is(p phase) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.phase == p
}
