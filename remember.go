package xmpp

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/internal/xmlstream"
	"github.com/go-xmppframework/xmpp/sasl"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/datetime"
)

// LoginRecord is what a stream remembers of the logins of an account. It holds a secret: the token.
// It prints itself without that.
type LoginRecord struct {
	// UserAgent is the id of this installation, a UUID (XEP-0388 section 2.3): made at the first login, and kept.
	UserAgent string
	// Strongest is the strongest mechanism that has logged in; weaker ones are refused from then on.
	Strongest string
	// Token logs in without the password; empty if there is none (XEP-0484).
	Token string
	// TokenMechanism is the only one that the token is good for, TokenExpiry when it ends, TokenCount how often it was used.
	TokenMechanism string
	TokenExpiry    time.Time
	TokenCount     uint64
	// Features are those that the server had after the last login of one step: it does not send them again for a session that goes on.
	Features string
	// Offer are those before the login, with Config.Pipelining, or where the server says by a version when they change (XEP-0509).
	Offer string
}

// String leaves out the token.
func (r LoginRecord) String() string {
	return fmt.Sprintf("xmpp.LoginRecord(%s, token %t)", clip(r.Strongest), r.Token != "")
}

// GoString is String.
func (r LoginRecord) GoString() string { return r.String() }

// Format writes String for every verb.
func (r LoginRecord) Format(f fmt.State, _ rune) { fmt.Fprint(f, r.String()) }

// LoginStorage keeps a [LoginRecord] for an account. It is called by logins, with their ctx, and may be shared by several streams.
// Whoever can read it can log in: it belongs where passwords do, and not into backups (XEP-0484 section 4.1).
type LoginStorage interface {
	// LoadLogin returns the record of an account, given by its bare address; the zero value if there is none.
	LoadLogin(ctx context.Context, account JID) (LoginRecord, error)
	// SaveLogin replaces it. It is stored when SaveLogin returns.
	SaveLogin(ctx context.Context, account JID, r LoginRecord) error
}

// UserAgent describes the client to its own server (XEP-0388 section 2.3).
type UserAgent struct {
	// ID is a UUID that this installation keeps. If zero, one is made and kept in Config.Logins.
	ID string
	// Software is the name of the client. Others see it: it is the beginning of the resource where the server makes one of it. If zero, none is told.
	Software string
	// Device is a name for the device, such as "phone". If zero, none is told.
	Device string
}

// tokenTime is how long before its end a token is not used any more.
const tokenTime = time.Minute

// recall reads what is remembered of the account.
func (l *login) recall(ctx context.Context) (err error) {
	s := l.s
	s.mu.Lock()
	l.record = s.remembered
	s.mu.Unlock()
	if st := s.cfg.Logins; st != nil {
		l.record, err = ask(ctx, s, "LoginStorage", func(ctx context.Context) (LoginRecord, error) {
			return st.LoadLogin(ctx, s.cfg.JID.Bare())
		})
	}
	if err != nil {
		return fmt.Errorf("xmpp: what is remembered of logins cannot be read: %w", err)
	}
	l.recalled = l.record
	s.mu.Lock()
	if s.noOffer {
		l.record.Offer = ""
	}
	drop := s.noToken
	s.noToken = false
	s.mu.Unlock()
	if drop { // that of other credentials: it must not come back when this login fails
		l.record.dropToken()
		if l.remember(ctx) != nil {
			s.mu.Lock()
			s.noToken = true
			s.mu.Unlock()
		}
	}
	return nil
}

func (r *LoginRecord) dropToken() {
	r.Token, r.TokenMechanism, r.TokenExpiry, r.TokenCount = "", "", time.Time{}, 0
}

// remember stores the record, if it has changed.
func (l *login) remember(ctx context.Context) (err error) {
	s := l.s
	if l.record == l.recalled {
		return nil
	}
	l.recalled = l.record
	s.mu.Lock()
	s.remembered = l.record
	s.mu.Unlock()
	if st := s.cfg.Logins; st != nil {
		_, err = ask(ctx, s, "LoginStorage", func(ctx context.Context) (struct{}, error) {
			return struct{}{}, st.SaveLogin(ctx, s.cfg.JID.Bare(), l.record)
		})
	}
	if err != nil {
		s.log.Warn("xmpp: what is to be remembered of a login cannot be stored", "err", logged(err))
	}
	return err
}

// newUUID makes a random UUID, RFC 9562 section 5.4.
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func (l *login) userAgent() []byte {
	switch {
	case l.s.cfg.UserAgent.ID != "":
		l.record.UserAgent = l.s.cfg.UserAgent.ID
	case l.record.UserAgent == "":
		l.record.UserAgent = newUUID()
	}
	ua := stanza.New("user-agent", nsSASL2).A("id", l.record.UserAgent)
	if name := l.s.cfg.UserAgent.Software; name != "" {
		ua = ua.C("software").T(name).Up()
	}
	if name := l.s.cfg.UserAgent.Device; name != "" {
		ua = ua.C("device").T(name).Up()
	}
	b, err := xmlstream.AppendStandalone(nil, ua.Element())
	if err != nil {
		return nil // New has looked at it
	}
	return b
}

// tokenMechanisms are those that the server offers tokens for.
func (l *login) tokenMechanisms() (names []string) {
	inline := stanza.Child(stanza.Child(l.features(), "authentication", nsSASL2), "inline", nsSASL2)
	for m := range stanza.Children(stanza.Child(inline, "fast", nsFAST), "mechanism", nsFAST) {
		names = append(names, stanza.Text(m))
	}
	return names
}

// usesTokens reports whether tokens may take the place of the credentials: those that the stream logs in with by itself, for the account itself.
func (l *login) usesTokens(account sasl.Credentials) bool {
	s := l.s
	if slices.ContainsFunc(l.creds.Mechanisms(), func(m sasl.Mechanism) bool { return m.ServerIdentity }) {
		return false // whose it would be is not known
	}
	return l.sasl2 && !s.cfg.NoFAST && !s.cfg.InsecureSkipVerify && l.byLogin && account.Username != "" && account.Username == s.cfg.JID.Local() && account.Authzid == ""
}

// selectToken picks the mechanism for a token, among names.
func (l *login) selectToken(offer sasl.Offer, names ...string) (sasl.Choice, bool) {
	offer.Mechanisms = names
	choices, err := sasl.SelectHT(offer, sasl.Policy{InsecureUnboundToken: l.s.cfg.InsecureUnboundTokens, Minimum: l.s.cfg.MinMechanism})
	if err != nil {
		return sasl.Choice{}, false
	}
	return choices[0], true
}

// token picks the mechanism to log in with the token by, XEP-0484; ok is false where there is none, or it cannot be used here.
func (l *login) token(ctx context.Context, params sasl.Params) (choice sasl.Choice, ok bool) {
	r := &l.record
	if r.Token == "" || !l.usesTokens(params.Credentials) || !time.Now().Add(tokenTime).Before(r.TokenExpiry) || !slices.Contains(l.tokenMechanisms(), r.TokenMechanism) {
		return choice, false
	}
	if choice, ok = l.selectToken(*params.Offer, r.TokenMechanism); !ok {
		return choice, false
	}
	r.TokenCount++
	l.attempt.token = l.remember(ctx) == nil // a count must not come twice
	return choice, l.attempt.token
}

// notToken forgets a token that the server does not take: the credentials have to do.
func (l *login) notToken(ctx context.Context, err error) {
	if !l.attempt.token {
		return
	}
	l.s.log.Debug("xmpp: a token was refused", "err", logged(err))
	l.record.dropToken()
	l.attempt, l.refused = attempt{}, false
	_ = l.remember(ctx)
}

// inlineTokens says that the login is with a token, or asks for one.
func (l *login) inlineTokens(in *Inline) {
	a := &l.attempt
	switch {
	case a.token:
		fast := stanza.New("fast", nsFAST).A("count", fmt.Sprint(l.record.TokenCount))
		if a.invalidates = l.s.invalidate.Load(); a.invalidates {
			fast.A("invalidate", "true")
		}
		in.Add(fast)
	case l.usesTokens(a.params.Credentials): // one that there is could not be used
		if choice, ok := l.selectToken(*a.params.Offer, l.tokenMechanisms()...); ok {
			a.asksFor = choice.Mechanism.Name
			in.Add(stanza.New("request-token", nsFAST).A("mechanism", a.asksFor))
		}
	}
}

// InvalidateToken has the next Login that is done with a token (XEP-0484) tell the server to take it never again, and forgets it:
// for a device that is to be logged out for good, one more Login and a Close. Without a token it does nothing.
func (s *Stream) InvalidateToken() { s.invalidate.Store(true) }

// takeToken keeps the token that came with success. A fresh one replaces the one that was used.
func (l *login) takeToken(success *etree.Element) {
	r, a := &l.record, &l.attempt
	token := stanza.Child(success, "token", nsFAST)
	text, _ := stanza.Attr(token, "token")
	expiry, err := datetime.Parse(stanza.AttrOr(token, "expiry", ""))
	switch {
	case a.invalidates:
		r.dropToken()
		l.s.invalidate.Store(false)
	case text == "" || len(text) > maxSASLData:
	case err != nil: // one without an end is not to be trusted
	case a.token:
		r.Token, r.TokenExpiry, r.TokenCount = strings.Clone(text), expiry, 0
	case a.asksFor != "":
		r.Token, r.TokenMechanism, r.TokenExpiry, r.TokenCount = strings.Clone(text), a.asksFor, expiry, 0
	}
}
