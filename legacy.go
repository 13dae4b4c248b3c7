package xmpp

import (
	"cmp"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/go-xmppframework/xmpp/sasl"
	"github.com/go-xmppframework/xmpp/stanza"
)

const nsAuth = "jabber:iq:auth"

// isLegacy reports whether the server knows no SASL, and the login of XEP-0078 is permitted.
func (l *login) isLegacy() bool {
	f := l.features()
	return l.s.cfg.InsecureLegacyAuth && stanza.Child(f, "mechanisms", nsSASL) == nil && stanza.Child(f, "authentication", nsSASL2) == nil &&
		(l.c.old || stanza.Child(f, "auth", "http://jabber.org/features/iq-auth") != nil)
}

// legacy logs in as XEP-0078 has it: with a digest of the password and the id of the stream if the server takes one, else,
// where PLAIN would be allowed, with the password. It binds the resource, too.
func (l *login) legacy(ctx context.Context) error {
	s, c := l.s, l.c
	l.mechanism = nsAuth
	account := l.creds.SASL(s.cfg.JID)
	if account.Password == nil {
		l.refused = true
		return ErrNoCredentials
	}
	if s.cfg.MinMechanism != "" || sasl.Rank(l.record.Strongest) > 0 {
		l.refused = true
		return fmt.Errorf("%w: none of SASL", ErrMechanismDowngrade)
	}
	server := s.cfg.JID.DomainJID()
	answer, err := c.request(ctx, stanza.NewIQ(stanza.Get, server, stanza.New("query", nsAuth).C("username").T(account.Username).Up()))
	if err != nil {
		return l.legacyRefused(err)
	}
	fields := answer.Child("query", nsAuth)
	id := stanza.AttrOr(c.header.Load(), "id", "")
	digest := stanza.Child(fields, "digest", nsAuth) != nil && id != ""
	plain := stanza.Child(fields, "password", nsAuth) != nil && s.cfg.AllowPlain && (c.secure() && !s.cfg.InsecureSkipVerify)
	if !digest && !plain {
		l.refused = true
		return fmt.Errorf("%w: the server takes the password itself only; Config.AllowPlain permits that over TLS", ErrUnsupported)
	}
	password, err := ask(ctx, s, "PasswordFunc", account.Password)
	if err != nil {
		l.refused = true
		return err
	}
	resource := cmp.Or(s.cfg.JID.Resource(), s.cfg.NewID())
	query := stanza.New("query", nsAuth).C("username").T(account.Username).Up().C("resource").T(resource).Up()
	if digest {
		h := sha1.New()
		h.Write([]byte(id))
		h.Write(password)
		query = query.C("digest").T(hex.EncodeToString(h.Sum(nil))).Up()
	} else {
		query = query.C("password").T(string(password)).Up()
	}
	if _, err := c.request(ctx, stanza.NewIQ(stanza.Set, server, query)); err != nil {
		return l.legacyRefused(err)
	}
	if l.bound, err = s.cfg.JID.Bare().WithResource(resource); err != nil {
		return err
	}
	c.wire.SetLimits(s.cfg.limits(true))
	return nil
}

// legacyRefused makes an AuthError of the server's refusal.
func (l *login) legacyRefused(err error) error {
	se := (*stanza.Error)(nil)
	if !errors.As(err, &se) {
		return err
	}
	l.refused = true
	e := &AuthError{Step: l.step, Mechanism: l.mechanism, Account: l.s.cfg.JID, Addr: l.c.addr, Err: err}
	if se.Condition == stanza.NotAuthorized {
		e.Condition = NotAuthorized
	}
	return e
}
