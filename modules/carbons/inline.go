package carbons

import (
	"context"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

var _ xmpp.Inliner = (*Carbons)(nil)

// Inline asks for copies in the login itself, where the server offers that: Bind 2, XEP-0386.
func (c *Carbons) Inline(_ context.Context, in *xmpp.Inline) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bound = xmpp.JID{}
	if c.asked = !c.cfg.NoAutoEnable && !c.off && in.BindOffers(NS); c.asked {
		in.AddToBind(stanza.New("enable", NS))
	}
	return nil
}

// Inlined notes the session that begins with copies. Not every server says so, but each that offers it does it (XEP-0386 section 3.1).
func (c *Carbons) Inlined(_ context.Context, r *xmpp.InlineResult) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asked && r.Bound() != nil {
		// The connection may be lost before the session begins; the next one has another address.
		c.bound, _ = xmpp.ParseJID(stanza.ChildText(r.Success(), "authorization-identifier", nsSASL2))
	}
	c.asked = false
}
