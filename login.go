package xmpp

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/sasl"
	"github.com/go-xmppframework/xmpp/stanza"
)

const (
	nsSASL        = "urn:ietf:params:xml:ns:xmpp-sasl"
	nsSASLBinding = "urn:xmpp:sasl-cb:0"

	maxSASLRounds = 10
	maxSASLData   = 16 << 10
)

// Login connects, logs in with Config.Credentials, or those of the last login that succeeded, and sends presence unless Config.NoInitialPresence is set
// or the session is a resumed one: the initial presence, or, after a connection that was lost, the last one that was broadcast on it, none if that was none.
// In a session of an earlier process it sends unavailable presence before, so that the server tells who is there.
// It returns what [Stream.Connect] and [Stream.Authenticate] return. If logging in fails, the connection is closed.
func (s *Stream) Login(ctx context.Context) error {
	s.mu.Lock()
	creds := cmp.Or(s.newCreds, s.cfg.Credentials, s.lastCreds)
	s.mu.Unlock()
	if creds == nil {
		return ErrNoCredentials
	}
	if err := s.Connect(ctx); err != nil {
		return err
	}
	c, old, kind, err := s.authenticate(ctx, creds)
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
	s.newCreds = creds
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
	if s.cfg.NoInitialPresence {
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
	_, old, _, err := s.authenticate(ctx, creds)
	s.retire(old)
	return err
}

// authenticate returns the session that is over by the new one. Its ctx must not end before the caller is through:
// it may be the caller's own.
func (s *Stream) authenticate(ctx context.Context, creds Credentials) (c *conn, old *session, kind SessionKind, err error) {
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
	l := &login{s: s, c: c, creds: creds}
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
	early     []*etree.Element // what came before the session and is for it
	over      func()           // tells how the session before has ended; nil if it was over, or goes on
	asked     bool             // the session request was sent
	track     *Tracking        // of the session that is being bound; nil if it is not tracked
	refused   bool             // by the server, or before anything was sent: the connection is as it was
}

func (l *login) run(ctx context.Context) (old *session, kind SessionKind, err error) {
	l.step = "SASL"
	if err := l.sasl(ctx); err != nil {
		return nil, kind, err
	}
	l.c.wire.SetLimits(l.s.cfg.limits(true))
	if err := l.c.openStream(ctx, true); err != nil {
		return nil, kind, err
	}
	l.step = "bind"
	l.c.setState(StateBinding)
	kind, jid, err := l.bind(ctx)
	if err != nil {
		return nil, kind, err
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

// sasl runs the SASL profile of RFC 6120 section 6.
func (l *login) sasl(ctx context.Context) error {
	s, c := l.s, l.c
	// The one place from which credentials are written, so the one place where the policy is enforced.
	if !c.secure() && s.cfg.TLSPolicy == TLSRequired {
		l.refused = true
		return ErrTLSRequired
	}
	features := c.features.Load()
	offer := sasl.Offer{Mechanisms: mechanismsOf(features), BindingTypes: bindingTypesOf(features)}
	var binding func(string) ([]byte, error)
	if tc := c.tls.Load(); tc != nil {
		state := tc.ConnectionState()
		binding = sasl.Bindings(&state)
		offer.TLSVersion, offer.Available = state.Version, sasl.Available(binding)
	}
	choices, err := l.choose(offer)
	if err != nil {
		l.refused = true
		return err
	}
	s.useCredentials(l.creds)
	account := l.creds.SASL(s.cfg.JID)
	if password := account.Password; password != nil {
		account.Password = func(ctx context.Context) ([]byte, error) { return ask(ctx, s, "PasswordFunc", password) }
	}
	for i, choice := range choices {
		l.mechanism, l.binding = choice.Mechanism.Name, choice.BindingType
		err = l.try(ctx, choice, sasl.Params{
			Credentials: account, Binding: binding, BindingType: choice.BindingType,
			ServerOffersPlus: choice.ServerOffersPlus, Offer: &offer, Keys: &s.keys,
		})
		var ae *AuthError
		if l.refused {
			s.keys.Forget(account.Username)
		}
		again := l.refused && errors.As(err, &ae) && (ae.Condition == InvalidMechanism || ae.Condition == MechanismTooWeak)
		if !again || i == len(choices)-1 {
			return err
		}
		l.refused = false
	}
	return err
}

// useCredentials forgets the keys derived from other credentials than these.
func (s *Stream) useCredentials(creds Credentials) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !reflect.TypeOf(creds).Comparable() || s.keysOf != creds {
		s.keys.Wipe()
	}
	if s.keysOf = nil; reflect.TypeOf(creds).Comparable() {
		s.keysOf = creds
	}
}

// choose selects the mechanisms, strongest first, and never weaker than what this stream has used before.
func (l *login) choose(offer sasl.Offer) ([]sasl.Choice, error) {
	s := l.s
	policy := sasl.Policy{AllowPlain: s.cfg.AllowPlain && !s.cfg.InsecureSkipVerify, Minimum: s.cfg.MinMechanism}
	choices, err := sasl.Select(l.creds.Mechanisms(), offer, policy)
	if err != nil {
		if policy.AllowPlain = true; !s.cfg.AllowPlain {
			if with, _ := sasl.Select(l.creds.Mechanisms(), offer, policy); len(with) > 0 {
				err = fmt.Errorf("%w, only PLAIN can be used with this server; Config.AllowPlain permits it", err)
			}
		}
		return nil, err
	}
	s.mu.Lock()
	pin := s.strongest
	s.mu.Unlock()
	choices = slices.DeleteFunc(choices, func(c sasl.Choice) bool {
		r := sasl.Rank(c.Mechanism.Name) // 0: of the application's own making, and choice
		return r > 0 && r < sasl.Rank(pin) || s.cfg.InsecureSkipVerify && c.Mechanism.NeedsTLS
	})
	if len(choices) == 0 {
		return nil, fmt.Errorf("%w: %s was used, now the offer is %s", ErrMechanismDowngrade, pin, clip(fmt.Sprint(offer.Mechanisms)))
	}
	return choices, nil
}

// try is one exchange with one mechanism.
func (l *login) try(ctx context.Context, choice sasl.Choice, params sasl.Params) error {
	client, err := choice.Mechanism.New(params)
	if err != nil {
		l.refused = true
		return err
	}
	initial, err := client.Start(ctx)
	if err != nil {
		l.refused = true
		return err
	}
	l.write("auth", choice.Mechanism.Name, initial)
	for range maxSASLRounds {
		el, err := l.c.receive(ctx)
		if err != nil {
			return err
		}
		switch {
		case stanza.Is(el, "challenge", nsSASL):
			data, err := saslData(el)
			if err != nil {
				return err
			}
			answer, err := client.Next(ctx, data)
			if err != nil {
				l.c.w.raw([]byte("<abort xmlns='"+nsSASL+"'/>"), false)
				return err
			}
			if answer == nil {
				answer = []byte{}
			}
			l.write("response", "", answer)
		case stanza.Is(el, "success", nsSASL):
			data, err := saslData(el)
			if err != nil {
				return err
			}
			return client.Success(ctx, data)
		case stanza.Is(el, "failure", nsSASL):
			l.refused = true
			return l.failure(el)
		default:
			return l.c.unexpected(el, "an answer to authentication")
		}
	}
	return fmt.Errorf("%w: more than %d challenges", ErrUnexpectedElement, maxSASLRounds)
}

// write sends an auth or response element and overwrites the data, which may hold a password.
func (l *login) write(name, mechanism string, data []byte) {
	b := []byte("<" + name + " xmlns='" + nsSASL + "'")
	if mechanism != "" {
		b = append(b, " mechanism='"+mechanism+"'"...)
	}
	b = append(b, '>')
	if data != nil && len(data) == 0 && name == "auth" {
		b = append(b, '=') // RFC 6120 section 6.4.2: present, of length zero
	}
	start := len(b)
	b = append(b, make([]byte, base64.StdEncoding.EncodedLen(len(data)))...)
	base64.StdEncoding.Encode(b[start:], data)
	b = append(b, "</"+name+">"...)
	l.c.w.raw(b, false)
	clear(b)
	clear(data)
}

// saslData is the content of a challenge or of success; nil for an empty element.
func saslData(el *etree.Element) ([]byte, error) {
	text := stanza.Text(el)
	switch {
	case text == "":
		if stanza.Is(el, "challenge", nsSASL) {
			return []byte{}, nil
		}
		return nil, nil
	case text == "=":
		return []byte{}, nil
	case len(text) > base64.StdEncoding.EncodedLen(maxSASLData):
		return nil, fmt.Errorf("%w: longer than %d bytes", sasl.ErrMalformed, maxSASLData)
	}
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(text) != base64.StdEncoding.EncodedLen(len(b)) { // the decoder skips line ends
		return nil, fmt.Errorf("%w: not base64", sasl.ErrMalformed)
	}
	return b, nil
}

// failure is the server's refusal, RFC 6120 section 6.5.
func (l *login) failure(el *etree.Element) error {
	e := &AuthError{Step: l.step, Mechanism: l.mechanism, Account: l.s.cfg.JID, Addr: l.c.addr, Condition: NotAuthorized}
	for child := range stanza.Children(el, stanza.Any, nsSASL) {
		if child.Tag == "text" {
			e.Text = cut(stanza.Text(child))
		} else {
			e.Condition = SASLCondition(cut(child.Tag))
		}
	}
	return e
}

func cut(s string) string { return s[:min(len(s), 1024)] }

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

func mechanismsOf(features *etree.Element) []string {
	var out []string
	for m := range stanza.Children(stanza.Child(features, "mechanisms", nsSASL), "mechanism", nsSASL) {
		out = append(out, stanza.Text(m))
	}
	return out
}

// bindingTypesOf is the list of XEP-0440, nil if the server sent none.
func bindingTypesOf(features *etree.Element) []string {
	list := stanza.Child(features, "sasl-channel-binding", nsSASLBinding)
	if list == nil {
		return nil
	}
	out := []string{}
	for b := range stanza.Children(list, "channel-binding", nsSASLBinding) {
		out = append(out, stanza.AttrOr(b, "type", ""))
	}
	return out
}
