package xmpp

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

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

// prove shows the server who the account is, in the best way that it offers, and has the features that follow.
func (l *login) prove(ctx context.Context) error {
	s, c := l.s, l.c
	// The one place from which credentials are written, so the one place where the policy is enforced.
	if !c.secure() && s.cfg.TLSPolicy == TLSRequired && !s.cfg.Component {
		l.refused = true
		return ErrTLSRequired
	}
	offer := c.features.Load()
	done, err := false, error(nil)
	if l.offered != nil {
		if done, err = l.goOn(ctx); err != nil {
			return err
		}
	} else if err := l.recall(ctx); err != nil {
		l.refused = true
		return err
	}
	s.useCredentials(l.creds)
	switch {
	case done:
	case s.cfg.Component:
		return l.handshake(ctx)
	case l.isLegacy():
		return l.legacy(ctx)
	}
	if !done {
		l.sasl2 = c.usesSASL2(offer)
		if err := l.sasl(ctx); err != nil {
			return err
		}
	}
	if l.record.Offer = ""; s.sendsAhead(offer) {
		l.record.Offer = stanza.Compact(offer)
	}
	if sasl.Rank(l.mechanism) > sasl.Rank(l.record.Strongest) && !l.attempt.token {
		l.record.Strongest = l.mechanism
	}
	c.wire.SetLimits(s.cfg.limits(true))
	if l.sasl2 {
		if err := l.succeeded(ctx); err != nil {
			return err
		}
	}
	_ = l.remember(ctx)
	if !l.sasl2 {
		if err := c.openStream(ctx, true, l.bindAhead(ctx)...); err != nil {
			return err
		}
	}
	if l.inlined == nil || l.inlined.bound == nil && stanza.Child(l.inlined.success, "resumed", nsSM) == nil {
		return c.compress(ctx)
	}
	return nil
}

// usesSASL2 reports whether the login is that of XEP-0388.
func (c *conn) usesSASL2(f *etree.Element) bool {
	auth := stanza.Child(f, "authentication", nsSASL2)
	// ejabberd 26 looks an account up where the stream begins: by SASL2 it does not know one that was made later.
	if auth == nil || !c.secure() || c.s.cfg.NoSASL2 || c.registered.Load() {
		return false
	}
	if stanza.Child(f, "mechanisms", nsSASL) == nil {
		return true
	}
	// XEP-0206 section 5 knows the other one only, and there are servers that answer nothing to this one in requests.
	// One that neither lists channel bindings (XEP-0440) nor goes on with sessions has it from an early add-on (Prosody 0.12):
	// it keeps the limit for stanzas before the login, and ends the stream at the first that is larger.
	grown := stanza.Child(f, "sasl-channel-binding", nsSASLBinding) != nil || stanza.Child(stanza.Child(auth, "inline", nsSASL2), "sm", nsSM) != nil
	return c.transport.kind != overBOSH && grown
}

// sasl runs SASL: the profile of RFC 6120 section 6, or that of XEP-0388.
func (l *login) sasl(ctx context.Context) error {
	s := l.s
	params, offer := l.params()
	if choice, ok := l.token(ctx, params); ok {
		err := l.try(ctx, choice, params)
		if ae := (*AuthError)(nil); !l.refused || !errors.As(err, &ae) { // the server has not said no to it
			return err
		}
		l.notToken(ctx, err)
	}
	choices, err := l.choose(offer)
	if err != nil {
		l.refused = true
		return err
	}
	for i, choice := range choices {
		err = l.try(ctx, choice, params)
		var ae *AuthError
		if l.refused {
			s.keys.Forget(params.Credentials.Username)
		}
		again := l.refused && errors.As(err, &ae) && (ae.Condition == InvalidMechanism || ae.Condition == MechanismTooWeak)
		if !again || i == len(choices)-1 {
			return err
		}
		l.refused = false
	}
	return err
}

// params are what mechanisms work with.
func (l *login) params() (sasl.Params, sasl.Offer) {
	s, offer := l.s, l.offer()
	account := l.creds.SASL(s.cfg.JID)
	if password := account.Password; password != nil {
		account.Password = func(ctx context.Context) ([]byte, error) { return ask(ctx, s, "PasswordFunc", password) }
	}
	return sasl.Params{Credentials: account, Binding: l.channel(), Offer: &offer, Keys: &s.keys, Domain: s.cfg.JID.Domain()}, offer
}

// offer is what the server lists and the connection has.
func (l *login) offer() sasl.Offer {
	features := l.features()
	offer := sasl.Offer{Mechanisms: mechanismsOf(features, l.sasl2), BindingTypes: bindingTypesOf(features), SASL2: l.sasl2}
	if state, _, ok := l.c.tlsState(); ok {
		offer.TLSVersion, offer.Available = state.Version, sasl.Available(l.channel())
	}
	return offer
}

// channel gives the channel binding data of the connection, nil if there is none.
func (l *login) channel() func(string) ([]byte, error) {
	state, bound, ok := l.c.tlsState()
	plus := slices.ContainsFunc(mechanismsOf(l.features(), l.sasl2), func(m string) bool { return strings.HasSuffix(m, "-PLUS") })
	if !ok || l.c.web != nil && !plus {
		// A server does not see the TLS connection of a proxy in front of it, and takes a client that does for one that was deceived.
		return nil
	}
	data := sasl.Bindings(&state)
	if bound {
		return data
	}
	return func(typ string) ([]byte, error) { // there may be several connections, with one certificate
		if typ != sasl.TLSServerEndPoint {
			return nil, sasl.ErrBinding
		}
		return data(typ)
	}
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

// choose selects the mechanisms, strongest first, and never weaker than what was used before.
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
	pin := l.record.Strongest
	choices = slices.DeleteFunc(choices, func(c sasl.Choice) bool {
		r := sasl.Rank(c.Mechanism.Name) // 0: of the application's own making, and choice
		return r > 0 && r < sasl.Rank(pin) || s.cfg.InsecureSkipVerify && c.Mechanism.NeedsTLS
	})
	if len(choices) == 0 {
		return nil, fmt.Errorf("%w: %s was used, now the offer is %s", ErrMechanismDowngrade, pin, clip(fmt.Sprint(offer.Mechanisms)))
	}
	return choices, nil
}

// attempt is one exchange with one mechanism.
type attempt struct {
	choice      sasl.Choice
	params      sasl.Params
	client      sasl.Client
	upgrades    []string // the tasks that were asked for, XEP-0480
	mismatch    bool     // it went by an offer that is not made any more, XEP-0509
	answered    bool     // a challenge was
	verified    bool     // the server has proved itself, and has more to do
	token       bool     // it is with a token of XEP-0484
	invalidates bool     // the token is to end with it
	asksFor     string   // the mechanism that a token is asked for
	binds       bool     // a resource is to be bound with it, XEP-0386
	resumes     bool     // an earlier session is to go on with it, XEP-0198
}

// try is one exchange with one mechanism.
func (l *login) try(ctx context.Context, choice sasl.Choice, params sasl.Params) error {
	b, err := l.begin(ctx, choice, params)
	if err != nil {
		l.refused = true
		return err
	}
	l.c.w.raw(b, false)
	clear(b)
	return l.exchange(ctx)
}

// begin makes the first element of an exchange, which may hold a password.
func (l *login) begin(ctx context.Context, choice sasl.Choice, params sasl.Params) ([]byte, error) {
	if l.attempt.token {
		token := []byte(l.record.Token)
		defer clear(token)
		params.Credentials.Password = func(context.Context) ([]byte, error) { return token, nil }
	}
	params.BindingType, params.ServerOffersPlus = choice.BindingType, choice.ServerOffersPlus
	l.mechanism, l.binding = choice.Mechanism.Name, choice.BindingType
	l.attempt = attempt{choice: choice, params: params, token: l.attempt.token}
	client, err := choice.Mechanism.New(params)
	if err != nil {
		return nil, err
	}
	l.attempt.client = client
	initial, err := client.Start(ctx)
	if err != nil {
		return nil, err
	}
	defer clear(initial)
	if l.sasl2 {
		return l.appendAuthenticate(ctx, initial)
	}
	b := []byte("<auth xmlns='" + nsSASL + "' mechanism='" + l.mechanism + "'>")
	if initial != nil && len(initial) == 0 {
		b = append(b, '=') // RFC 6120 section 6.4.2: present, of length zero
	}
	return append(appendBase64(b, initial), "</auth>"...), nil
}

// exchange goes on until the server has said success, or not.
func (l *login) exchange(ctx context.Context) error {
	ns := l.nsSASL()
	client, a := l.attempt.client, &l.attempt
	for range maxSASLRounds {
		el, err := l.c.receive(ctx)
		if err != nil {
			return err
		}
		switch {
		case stanza.Is(el, "challenge", ns) && !a.verified:
			data, err := saslData(el, l.sasl2)
			if err != nil {
				return err
			}
			answer, err := client.Next(ctx, data)
			if err != nil {
				l.abort()
				return err
			}
			a.answered = true
			l.respond("response", answer)
		case stanza.Is(el, "success", ns):
			data, err := l.successData(el)
			if err != nil {
				return err
			}
			if a.verified {
				if data != nil {
					return l.c.unexpected(el, "success without data")
				}
			} else if err := client.Success(ctx, data); err != nil {
				return err
			}
			if l.sasl2 {
				l.inlined = &InlineResult{success: el}
			}
			return nil
		case stanza.Is(el, "failure", ns):
			l.refused = !a.verified
			return l.failure(el)
		case l.sasl2 && stanza.Is(el, "continue", ns):
			if err := l.continued(ctx, el); err != nil {
				l.abort()
				return err
			}
		default:
			return l.c.unexpected(el, "an answer to authentication")
		}
	}
	return fmt.Errorf("%w: more than %d challenges", ErrUnexpectedElement, maxSASLRounds)
}

// features are those that the login goes by.
func (l *login) features() *etree.Element {
	if l.offered != nil {
		return l.offered
	}
	return l.c.features.Load()
}

func (l *login) nsSASL() string {
	if l.sasl2 {
		return nsSASL2
	}
	return nsSASL
}

func (l *login) abort() { l.c.w.raw([]byte("<abort xmlns='"+l.nsSASL()+"'/>"), false) }

// respond sends data and overwrites it.
func (l *login) respond(name string, data []byte) {
	b := append(appendBase64([]byte("<"+name+" xmlns='"+l.nsSASL()+"'>"), data), "</"+name+">"...)
	l.c.w.raw(b, false)
	clear(b)
	clear(data)
}

func appendBase64(dst, data []byte) []byte {
	dst = slices.Grow(dst, base64.StdEncoding.EncodedLen(len(data))+256) // so that no copy of a secret is left behind
	return base64.StdEncoding.AppendEncode(dst, data)
}

// saslData is the content of a challenge or of success; nil for an empty element.
func saslData(el *etree.Element, sasl2 bool) ([]byte, error) {
	text := stanza.Text(el)
	switch {
	case text == "":
		if sasl2 || stanza.Is(el, "challenge", nsSASL) {
			return []byte{}, nil
		}
		return nil, nil
	case text == "=" && !sasl2:
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

// successData is what comes with success, or with continue; nil if nothing does.
func (l *login) successData(el *etree.Element) ([]byte, error) {
	if !l.sasl2 {
		return saslData(el, false)
	}
	var data *etree.Element
	for e := range stanza.Children(el, "additional-data", nsSASL2) {
		if data != nil {
			return nil, fmt.Errorf("%w: additional data twice", sasl.ErrMalformed)
		}
		data = e
	}
	if data == nil {
		return nil, nil
	}
	return saslData(data, true)
}

// failure is the server's refusal, RFC 6120 section 6.5.
func (l *login) failure(el *etree.Element) error {
	e := &AuthError{
		Step: l.step, Mechanism: l.mechanism, Account: l.s.cfg.JID, Addr: l.c.addr, Condition: NotAuthorized,
		Err: sasl.Explain(l.attempt.client),
	}
	for child := range stanza.Children(el, stanza.Any, stanza.Any) {
		switch ns := child.NamespaceURI(); {
		case child.Tag == "text" && (ns == nsSASL || ns == l.nsSASL()):
			e.Text = cut(stanza.Text(child))
		case ns == nsConfig && child.Tag == "config-version-mismatch":
			l.attempt.mismatch = true
		case ns == nsSASL:
			e.Condition = SASLCondition(cut(child.Tag))
		}
	}
	return e
}

func cut(s string) string { return s[:min(len(s), 1024)] }

// mechanismsOf is the list of RFC 6120, or of SASL2.
func mechanismsOf(features *etree.Element, sasl2 bool) []string {
	list, ns := stanza.Child(features, "mechanisms", nsSASL), nsSASL
	if sasl2 {
		list, ns = stanza.Child(features, "authentication", nsSASL2), nsSASL2
	}
	var out []string
	for m := range stanza.Children(list, "mechanism", ns) {
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
