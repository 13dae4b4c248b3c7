// Package lastactivity asks since when others are idle or gone, and tells them so of the user: Last Activity, XEP-0012.
//
// What an answer means depends on who was asked, see [Meaning]. Since when the user is idle, an active [LastActivity] tells those
// only who see the user's presence (XEP-0012 section 8). To tell all contacts by presence, which costs no questions, there is the package idle.
package lastactivity

import (
	"context"
	"sync"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// Config tunes a [LastActivity]. With the zero value, those who see the user's presence are told since when the program has sent nothing.
type Config struct {
	// NoAnswer leaves others' questions to the rest of the program, and announces no feature. If zero, they are answered.
	NoAnswer bool
	// Allow tells whether an entity may know since when the user is idle; others are told forbidden. It is called on a queue of the module.
	// If zero, those may that see the account's presence, as an active module knows that is an [xmpp.SubscriptionFinder], such as modules/roster;
	// without one, and before it has a roster, only the account's own clients may.
	Allow func(from xmpp.JID) bool
	// Idle says for how long the user has been idle, in answer to a question. sent is how long ago the application has sent something,
	// see [LastActivity.Idle]. It is called on a queue of the module, with the ctx of a callback. If zero, the answer is sent.
	Idle func(ctx context.Context, from xmpp.JID, sent time.Duration) time.Duration
}

// LastActivity is the module. Make it with [New].
type LastActivity struct {
	xmpp.ModuleBase
	cfg Config

	mu    sync.Mutex
	first bool      // the first broadcast of presence of this session is still to come
	last  time.Time // when the application has sent something, or the module was activated
}

// New makes a module that is not active yet.
func New(cfg Config) *LastActivity { return &LastActivity{cfg: cfg} }

// Name is "lastactivity".
func (l *LastActivity) Name() string { return "lastactivity" }

// Features are what service discovery announces: nothing with Config.NoAnswer.
func (l *LastActivity) Features() []string {
	if l.cfg.NoAnswer {
		return nil
	}
	return []string{NS}
}

// Activate attaches the module to a stream. The time in which nothing is sent begins.
func (l *LastActivity) Activate(s *xmpp.Stream) error {
	return l.Attach(s, l, func() error {
		l.mu.Lock()
		l.last = time.Now()
		l.mu.Unlock()
		l.OnDeactivate(s.AddInterceptor(xmpp.Interceptor{Name: "lastactivity", WillSendMessage: l.willSendMessage, WillSendPresence: l.willSendPresence}))
		if l.cfg.NoAnswer {
			return nil
		}
		remove, err := s.HandleIQ(stanza.Get, NS, "query", nil, l.answer)
		if err == nil {
			l.OnDeactivate(func() { _ = remove(xmpp.NoWait) })
		}
		return err
	})
}

func (l *LastActivity) answer(ctx context.Context, s *xmpp.Stream, iq *stanza.IQ) {
	if !l.allows(s, iq.From()) {
		_ = s.Send(ctx, Forbidden(iq))
		return
	}
	idle := l.Idle()
	if l.cfg.Idle != nil {
		idle = l.cfg.Idle(ctx, iq.From(), idle)
	}
	_ = s.Send(ctx, NewResponse(iq, idle, ""))
}

func (l *LastActivity) allows(s *xmpp.Stream, from xmpp.JID) bool {
	if l.cfg.Allow != nil {
		return l.cfg.Allow(from)
	}
	if from.IsZero() || from.Bare() == s.MyJID().Bare() {
		return true
	}
	f, ok := xmpp.ModuleOf[xmpp.SubscriptionFinder](s)
	if !ok {
		return false
	}
	yes, known := f.SharesPresence(from.Bare())
	return yes && known
}

// Query asks when somebody was active last; what the answer means depends on the address, see [Meaning]. The zero JID is the own server.
// The error is that of [xmpp.Stream.SendIQ], which is a [*stanza.Error] where the user may not know, or [ErrAnswer]. XEP-0012 wants [stanza.Forbidden];
// some servers say subscription-required, or service-unavailable in the client's place. Without a deadline in ctx it waits for 30 s, as Config.IQTimeout of the stream says.
func (l *LastActivity) Query(ctx context.Context, jid xmpp.JID) (Activity, error) {
	s, err := l.Active()
	if err != nil {
		return Activity{}, err
	}
	if jid.IsZero() {
		jid = s.MyJID().DomainJID()
	}
	answer, err := s.SendIQ(ctx, NewQuery(jid))
	if err != nil {
		return Activity{}, err
	}
	a, err := Parse(answer)
	if err != nil {
		return Activity{}, err
	}
	a.JID = jid // the own account may answer without an address
	return a, nil
}

// Idle is how long ago the application has sent something. What counts are messages other than errors and delivery receipts (XEP-0184), and presence
// other than errors and the first broadcast of a session, which belongs to logging in; not what modules send of their own accord
// ([xmpp.ByModule]), and not IQs. The time begins with the activation, and goes on without a connection.
func (l *LastActivity) Idle() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last.IsZero() {
		return 0
	}
	return time.Since(l.last)
}

// ReceiveSession waits for the first broadcast of a new session.
func (l *LastActivity) ReceiveSession(_ context.Context, kind xmpp.SessionKind) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.first = kind == xmpp.SessionNew
}

func (l *LastActivity) willSendMessage(ctx context.Context, _ *xmpp.Stream, m *stanza.Message) *stanza.Message {
	if !m.IsError() && !xmpp.SentByModule(ctx) && m.Child("received", "urn:xmpp:receipts") == nil {
		l.busy()
	}
	return m
}

func (l *LastActivity) willSendPresence(ctx context.Context, _ *xmpp.Stream, p *stanza.Presence) *stanza.Presence {
	l.mu.Lock()
	first := l.first && p.To().IsZero()
	l.first = l.first && !first
	l.mu.Unlock()
	if !first && !p.IsError() && !xmpp.SentByModule(ctx) {
		l.busy()
	}
	return p
}

func (l *LastActivity) busy() {
	l.mu.Lock()
	l.last = time.Now()
	l.mu.Unlock()
}
