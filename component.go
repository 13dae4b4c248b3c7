package xmpp

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"net"

	"github.com/go-xmppframework/xmpp/stanza"
)

const nsComponent = "jabber:component:accept"

// mechanismHandshake is what Security calls the login of a component.
const mechanismHandshake = "XEP-0114"

// checkComponent reports what cannot work in the configuration of a component.
func (c *Config) checkComponent() error {
	switch {
	case c.JID.Local() != "" || c.JID.Resource() != "":
		return fmt.Errorf("%w: Config.JID %q of a component is its domain", ErrInvalidParameter, clip(c.JID.String()))
	case c.Host == "" || c.Port == 0:
		return fmt.Errorf("%w: a component needs Config.Host and Port", ErrInvalidParameter)
	case len(c.Transports) > 0:
		return fmt.Errorf("%w: a component has no Config.Transports", ErrInvalidParameter)
	case !c.DirectTLS && c.TLSPolicy == TLSRequired && (!isLoopback(c.Host) || c.Proxy != nil): // which is another machine's loopback, maybe
		return fmt.Errorf("%w: a component is not encrypted: over a network that needs Config.DirectTLS, or a TLSPolicy that permits it", ErrTLSRequired)
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// handshake is the login of a component, XEP-0114 section 3: it proves the secret, without showing it, for this stream only.
func (l *login) handshake(ctx context.Context) error {
	l.step, l.mechanism = "handshake", mechanismHandshake
	account := l.creds.SASL(l.s.cfg.JID)
	if account.Password == nil {
		l.refused = true
		return ErrNoCredentials
	}
	secret, err := ask(ctx, l.s, "PasswordFunc", account.Password)
	if err != nil {
		l.refused = true
		return err
	}
	h := sha1.New()
	h.Write([]byte(stanza.AttrOr(l.c.header.Load(), "id", "")))
	h.Write(secret)
	l.c.w.raw([]byte("<handshake>"+hex.EncodeToString(h.Sum(nil))+"</handshake>"), false)
	el, err := l.c.receive(ctx)
	if se := (*StreamError)(nil); errors.As(err, &se) && se.Condition == "not-authorized" {
		return &AuthError{Step: l.step, Mechanism: l.mechanism, Account: l.s.cfg.JID, Addr: l.c.addr, Condition: NotAuthorized, Err: err}
	}
	if err == nil && !stanza.Is(el, "handshake", stanza.NSClient) { // as the wire gives it
		err = l.c.unexpected(el, "handshake")
	}
	if err == nil {
		l.c.wire.SetLimits(l.s.cfg.limits(true))
	}
	return err
}

// fromComponent makes sure that a stanza says who it is from and to, as those of a component must.
func (s *Stream) fromComponent(st stanza.Stanza) (stanza.Stanza, error) {
	from := st.From()
	switch {
	case st.To().IsZero():
		return st, fmt.Errorf("%w: a component sends to nobody in particular", ErrInvalidParameter)
	case from.IsZero():
		el := st.Element().Copy()
		el.CreateAttr("from", s.cfg.JID.String())
		return stanza.From(el)
	case from.Domain() != s.cfg.JID.Domain():
		return st, fmt.Errorf("%w: a component of %s sends as %s", ErrInvalidParameter, clip(s.cfg.JID.String()), clip(from.String()))
	}
	return st, nil
}
