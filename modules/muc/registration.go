package muc

import (
	"context"
	"fmt"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/form"
)

const (
	nsRegister   = "jabber:iq:register" // XEP-0077
	registerNick = "muc#register_roomnick"
)

// Registration is what a room, or a service, says about being registered with it (section 7.10): a snapshot.
type Registration struct {
	Registered   bool       // one is already
	Nick         string     // that is registered; may be empty
	Instructions string     // for people; may be empty
	Form         *form.Form // to be filled in; nil if there is none, as from some rooms where one is registered already
}

// Registration asks a room, or the service of rooms as a whole, what it takes to be registered with it, and whether one is. Neither needs to be joined.
// What that is good for is the room's business: mostly it reserves a nickname, and makes a member. [MUC.RegisterNick] does all of it.
//
// The error is that of [xmpp.Stream.SendIQ]: a [*stanza.Error] matching stanza.ServiceUnavailable or stanza.FeatureNotImplemented where nobody can register,
// stanza.NotAllowed, stanza.Forbidden or stanza.RegistrationRequired if we cannot; or that of [form.Parse].
func (m *MUC) Registration(ctx context.Context, at xmpp.JID) (*Registration, error) {
	iq, err := m.register(ctx, stanza.Get, at, stanza.New("query", nsRegister))
	if err != nil {
		return nil, err
	}
	q := iq.Payload()
	text := func(name string) string { return clip(stanza.ChildText(q, name, nsRegister), maxText) }
	out := &Registration{Registered: stanza.Child(q, "registered", nsRegister) != nil, Instructions: text("instructions"), Nick: text("username")}
	if nick := text("nick"); nick != "" {
		out.Nick = nick
	}
	if x := stanza.Child(q, "x", form.NS); x != nil {
		f, err := form.Parse(x)
		if err != nil {
			return nil, fmt.Errorf("muc: registration with %v: %w", at, err)
		}
		out.Form = f
		for _, name := range []string{registerNick, "nick"} {
			if out.Nick == "" && out.Registered {
				out.Nick = f.Value(name)
			}
		}
		if out.Instructions == "" && len(f.Instructions) > 0 {
			out.Instructions = f.Instructions[0]
		}
	}
	return out, nil
}

// Register submits the filled in form of a registration: what [form.Submission.Form] makes of [Registration].Form. It returns when the room has taken it,
// which need not mean that one is registered: admins may have to agree (section 9.9).
//
// The error is that of [xmpp.Stream.SendIQ]: a [*stanza.Error] matching stanza.Conflict if the nickname is somebody else's, stanza.BadRequest if something is missing,
// stanza.NotAllowed if we cannot.
func (m *MUC) Register(ctx context.Context, at xmpp.JID, f *form.Form) error {
	_, err := m.register(ctx, stanza.Set, at, stanza.New("query", nsRegister).Add(f).Up())
	return err
}

// RegisterNick registers with a nickname: it asks for the form, fills in the nickname and nothing else, and submits it.
// The errors are those of [MUC.Registration] and [MUC.Register], or of a form that wants more: a [*form.FieldError].
func (m *MUC) RegisterNick(ctx context.Context, at xmpp.JID, nick string) error {
	reg, err := m.Registration(ctx, at)
	if err != nil {
		return err
	}
	f := form.New(form.TypeSubmit, formRegister).Set(registerNick, nick)
	for _, name := range []string{registerNick, "nick"} { // the second one is what ejabberd has
		if reg.Form != nil && reg.Form.Type == form.TypeForm && reg.Form.Field(name) != nil {
			if f, err = reg.Form.Submit().Set(name, nick).Form(); err != nil {
				return fmt.Errorf("muc: registration with %v: %w", at, err)
			}
			break
		}
	}
	return m.Register(ctx, at, f)
}

// Unregister ends the registration with a room, or with the service (XEP-0077 section 3.2). What else goes with it is the room's business: membership, mostly.
// The error is that of [xmpp.Stream.SendIQ].
func (m *MUC) Unregister(ctx context.Context, at xmpp.JID) error {
	_, err := m.register(ctx, stanza.Set, at, stanza.New("query", nsRegister).C("remove").Up())
	return err
}

func (m *MUC) register(ctx context.Context, typ stanza.IQType, at xmpp.JID, q *stanza.Builder) (*stanza.IQ, error) {
	s, err := m.Active()
	if err != nil {
		return nil, err
	}
	return s.SendIQ(ctx, stanza.NewIQ(typ, at.Bare(), q))
}
