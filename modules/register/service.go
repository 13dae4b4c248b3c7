package register

import (
	"context"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/form"
)

// Service is the registration with a service, after the login: a gateway to another network (XEP-0100), which wants to know the account there, or anything else
// whose service discovery has the feature [NS]. Make it with [Register.Service].
//
// A gateway that one is registered with is a contact, and shows those of the other network as contacts: that is the business of modules/roster.
type Service struct {
	r   *Register
	jid xmpp.JID
}

// Service is for a service by its address.
func (r *Register) Service(jid xmpp.JID) *Service { return &Service{r, jid} }

// JID is the address of the service.
func (g *Service) JID() xmpp.JID { return g.jid }

// Retrieve asks what the service wants to know, and what it knows already if one is registered. The error is [ErrAnswer], or that of [xmpp.Stream.SendIQ].
func (g *Service) Retrieve(ctx context.Context) (*Fields, error) { return g.r.retrieve(ctx, g.jid) }

// Register fills in what [Service.Retrieve] has returned, and sends it, as [Register.Register] does. Who is registered already changes so what the service knows.
// The error is that of [Register.Register]: a [*stanza.Error] matching stanza.NotAcceptable if the service, or the other network, does not take it.
func (g *Service) Register(ctx context.Context, f *Fields, values map[string]string) error {
	return g.r.fillIn(ctx, g.jid, f, values)
}

// Submit sends a form that is filled in, as [Register.Submit] does.
func (g *Service) Submit(ctx context.Context, filled *form.Form) error {
	return g.r.submit(ctx, g.jid, stanza.New("query", NS).Add(filled).Up())
}

// Cancel ends the registration (section 3.2). The error is that of [xmpp.Stream.SendIQ]: a [*stanza.Error] matching stanza.RegistrationRequired if one is not registered.
// What it has put into the roster may still be there.
func (g *Service) Cancel(ctx context.Context) error {
	s, err := g.r.Active()
	if err != nil {
		return err
	}
	return g.r.send(ctx, s, g.jid, stanza.New("query", NS).C("remove").Up())
}
