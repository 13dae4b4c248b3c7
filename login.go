package xmpp

import (
	"cmp"
	"context"
	"errors"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/stanza"
)

// Login connects, unless [Stream.Connect] has done so, logs in with Config.Credentials, or those of the last login that succeeded, and sends presence unless Config.NoInitialPresence is set
// or the session is a resumed one: the initial presence, or, after a connection that was lost, the last one that was broadcast on it, none if that was none.
// In a session of an earlier process it sends unavailable presence before, so that the server tells who is there.
// It returns what [Stream.Connect] and [Stream.Authenticate] return. If logging in fails, the connection is closed.
func (s *Stream) Login(ctx context.Context) error {
	s.mu.Lock()
	creds := cmp.Or(s.newCreds, s.cfg.Credentials, s.lastCreds)
	s.mu.Unlock()
	switch {
	case s.p2p:
		return s.Connect(ctx) // which fails
	case creds == nil:
		return ErrNoCredentials
	}
	s.followRedirects(true)
	defer s.followRedirects(false)
	s.planLogin(creds)
	defer s.planLogin(nil)
	for {
		err := s.login(ctx, creds)
		if err == nil || ctx.Err() != nil || s.isClosing() || !s.takeRedirect() && !s.forgetOffer(err) {
			return err
		}
	}
}

// planLogin begins, or ends, a Login with those credentials.
func (s *Stream) planLogin(creds Credentials) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.planned, s.wasAhead, s.noOffer = creds, false, false
}

func (s *Stream) login(ctx context.Context, creds Credentials) error {
	if err := s.Connect(ctx); err != nil && !(errors.Is(err, ErrInvalidState) && s.IsConnected()) {
		return err
	}
	c, old, kind, err := s.authenticate(ctx, creds, true)
	if cur := s.current(); c == nil && cur != nil && cur.ahead != nil { // nobody waits for the answer
		cur.end(err)
	}
	if p := s.initialPresence(); err == nil && kind != SessionResumed && p != nil {
		if kind == sessionAfresh { // who is there the server tells only to who was not there himself
			err = s.appear(stanza.NewPresence(stanza.Unavailable, JID{}))
		}
		err = cmp.Or(err, s.appear(p))
	}
	if c != nil && err != nil {
		c.end(err)
		<-c.readDone
	}
	s.retire(old)
	return err
}

// SetCredentials has later calls of Login, those of modules/reconnect included, log in with creds instead of Config.Credentials:
// after a change of password, for instance. nil takes that back. What is logged in stays so.
func (s *Stream) SetCredentials(creds Credentials) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.newCreds, s.noToken = creds, true
}

// appear sends presence, and does not wait for room: there may be much that is to be sent again.
func (s *Stream) appear(p *stanza.Presence) error {
	err := s.Send(s.readerContext(), p)
	if errors.Is(err, ErrDropped) { // an interceptor that keeps the stream invisible
		return nil
	}
	return err
}

// initialPresence is what Login sends on a new session, nil for nothing.
func (s *Stream) initialPresence() *stanza.Presence {
	if s.cfg.NoInitialPresence || s.cfg.Component {
		return nil
	}
	s.mu.Lock()
	former := s.former
	s.mu.Unlock()
	if former == nil {
		return stanza.NewPresence(stanza.Available, JID{})
	}
	st, _ := stanza.Parse(*former)
	if p, ok := st.(*stanza.Presence); ok && p.Type() == stanza.Available {
		return p
	}
	return nil // the application was not to be seen
}

// AuthenticateWithPassword is Authenticate with [Password].
func (s *Stream) AuthenticateWithPassword(ctx context.Context, password string) error {
	return s.Authenticate(ctx, Password(password))
}

// AuthenticateAnonymously is Authenticate with [Anonymous].
func (s *Stream) AuthenticateAnonymously(ctx context.Context) error {
	return s.Authenticate(ctx, Anonymous())
}

// Authenticate logs in on a connected stream and binds a resource. It sends no presence.
// Of the mechanisms that the server and the credentials have in common the strongest is used, once;
// a weaker one is tried only where the server says that the first is not to be used at all.
//
// It returns nil when the stream is ready for stanzas; [ErrInvalidState] unless the stream is connected and not logged in;
// [ErrTLSRequired] on an unencrypted connection; else an [*AuthError]. After a refusal by the server,
// that is an AuthError of step SASL with a condition, the stream is still connected and another login may be tried;
// after every other error of a login that has begun the connection is closed.
func (s *Stream) Authenticate(ctx context.Context, creds Credentials) error {
	_, old, _, err := s.authenticate(ctx, creds, false)
	s.retire(old)
	return err
}

// authenticate returns the session that is over by the new one. Its ctx must not end before the caller is through:
// it may be the caller's own.
func (s *Stream) authenticate(ctx context.Context, creds Credentials, byLogin bool) (c *conn, old *session, kind SessionKind, err error) {
	if creds == nil {
		return nil, nil, kind, ErrNoCredentials
	}
	ctx, done, err := s.begin(ctx, StateConnected, StateAuth)
	if err != nil {
		return nil, nil, kind, err
	}
	defer done()
	if c = s.current(); c == nil {
		return nil, nil, kind, &DisconnectedError{}
	}
	told := s.willTell(c)
	defer told()
	l := c.ahead
	if c.ahead = nil; l == nil {
		l = &login{s: s, c: c, creds: creds, byLogin: byLogin}
	}
	c.negotiating.Store(true)
	old, kind, err = l.run(ctx)
	if err == nil {
		return c, old, kind, nil
	}
	if ctx.Err() != nil && !errors.Is(err, context.Cause(ctx)) {
		err = context.Cause(ctx)
	}
	var ae *AuthError
	if !errors.As(err, &ae) && !errors.Is(err, ErrTLSRequired) {
		ae = &AuthError{Step: l.step, Mechanism: l.mechanism, Account: s.cfg.JID, Addr: c.addr, Err: err}
		err = ae
	}
	s.log.Debug("xmpp: logging in failed", "err", logged(err))
	s.mu.Lock()
	if s.conn == c { // else DidDisconnect has been posted, the last event of a connection
		for _, e := range s.delegates.all() {
			if d := e.v.Auth; d != nil {
				s.post(&e.listener, false, func(ctx context.Context) { d.DidNotAuthenticate(ctx, s, err) })
			}
		}
		if l.refused {
			s.state = StateConnected
		}
	}
	s.mu.Unlock()
	if l.refused {
		c.rest()
		return c, old, kind, err
	}
	told()
	c.failLocal(err)
	<-c.readDone
	return c, old, kind, err
}

func (s *Stream) retire(old *session) {
	if old != nil {
		old.cancel(errNewSession)
	}
}

var errNewSession = errors.New("xmpp: a new session has started")

// login is one Authenticate call.
type login struct {
	s         *Stream
	c         *conn
	creds     Credentials
	step      string
	mechanism string
	binding   string           // the channel binding type in use
	sasl2     bool             // SASL is done as XEP-0388 says
	byLogin   bool             // with the credentials that the stream itself keeps
	offered   *etree.Element   // what the login goes by, while its first element is under way ahead of the features; else nil
	bindIQ    *stanza.IQ       // the request to bind, if it was sent ahead
	record    LoginRecord      // what is remembered of earlier logins
	recalled  LoginRecord      // as it is stored
	attempt   attempt          // the exchange under way
	binder    Binder           // nil if the stream binds by itself
	asksBind  bool             // the delegates were asked for a Binder
	bound     JID              // by a login that binds as well; zero if that is to be done
	inlined   *InlineResult    // what came with success; nil without SASL2
	early     []*etree.Element // what came before the session and is for it
	over      func()           // tells how the session before has ended; nil if it was over, or goes on
	asked     bool             // the session request was sent
	track     *Tracking        // of the session that is being bound; nil if it is not tracked
	refused   bool             // by the server, or before anything was sent: the connection is as it was
}

func (l *login) run(ctx context.Context) (old *session, kind SessionKind, err error) {
	l.step = "SASL"
	if err := l.prove(ctx); err != nil {
		return nil, kind, err
	}
	jid := l.bound
	switch {
	case l.s.cfg.Component:
		jid = l.s.cfg.JID
	case jid.IsZero():
		l.step = "bind"
		l.c.setState(StateBinding)
		if kind, jid, err = l.bind(ctx); err != nil {
			return nil, kind, err
		}
	}
	if kind == SessionNew {
		if err := l.session(ctx); err != nil {
			return nil, kind, err
		}
	}
	if old, kind, err = l.s.startSession(l, kind, jid); err != nil {
		return old, kind, err
	}
	for _, el := range l.early {
		l.s.receive <- struct{}{}
		if !l.s.handle(l.c, nil, el, 0) {
			return nil, kind, l.c.lostError()
		}
	}
	l.c.features.pack()
	l.c.header.pack()
	l.c.negotiating.Store(false)
	if l.c.resume(readSession) {
		l.c.elements, l.c.next = nil, nil // the reader looks at them no more
	}
	l.s.startKeepAlive(l.c)
	return old, kind, nil
}

// session sends the session request of RFC 3921 where the server demands it.
func (l *login) session(ctx context.Context) error {
	const ns = "urn:ietf:params:xml:ns:xmpp-session"
	offer := stanza.Child(l.c.features.Load(), "session", ns)
	if offer == nil || stanza.Child(offer, "optional", ns) != nil || l.s.cfg.SkipSession || l.asked {
		return nil
	}
	l.asked = true
	l.step = "session"
	l.c.setState(StateStartSession)
	_, err := l.request(ctx, stanza.New("session", ns))
	return err
}

func (s *Stream) moduleSession(m Module, r SessionReceiver, kind SessionKind) {
	defer s.onPanic(m.Name())
	r.ReceiveSession(s.readerContext(), kind)
}

func (s *Stream) postDidChangeMyJID(jid JID) {
	for _, e := range s.delegates.all() {
		if d := e.v.JID; d != nil {
			s.post(&e.listener, false, func(ctx context.Context) { d.DidChangeMyJID(ctx, s, jid) })
		}
	}
}
