package muc

import (
	"context"
	"fmt"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/form"
)

// ConfigurationForm fetches the form with which the owner configures the room (section 10.2). The error is that of [xmpp.Stream.SendIQ],
// a [*stanza.Error] matching stanza.Forbidden for others; or that of [form.Parse].
func (r *Room) ConfigurationForm(ctx context.Context) (*form.Form, error) {
	iq, err := r.query(ctx, stanza.Get, stanza.New("query", NSOwner))
	if err != nil {
		return nil, err
	}
	f, err := form.Parse(stanza.Child(iq.Payload(), "x", form.NS))
	if err != nil {
		return nil, fmt.Errorf("muc: configuration of %v: %w", r.jid, err)
	}
	return f, nil
}

// Configure submits the filled in form (sections 10.1.3 and 10.2): what [form.Submission.Form] makes of the one that ConfigurationForm has fetched.
// nil accepts the defaults of a new room. The error is that of [xmpp.Stream.SendIQ].
func (r *Room) Configure(ctx context.Context, f *form.Form) error {
	if f == nil {
		f = &form.Form{Type: form.TypeSubmit}
	}
	_, err := r.query(ctx, stanza.Set, stanza.New("query", NSOwner).Add(f).Up())
	return err
}

// Destroy ends the room for everybody (section 10.9). alternate is where to go instead, the zero JID for nowhere; reason may be empty.
// The error is that of [xmpp.Stream.SendIQ].
func (r *Room) Destroy(ctx context.Context, alternate xmpp.JID, reason string) error {
	q := stanza.New("query", NSOwner).C("destroy")
	if !alternate.IsZero() {
		q.A("jid", alternate.Bare().String())
	}
	if reason != "" {
		q.C("reason").T(reason)
	}
	_, err := r.query(ctx, stanza.Set, q)
	return err
}

// configureNew is what opens a new room for others (section 10.1).
func (r *Room) configureNew(ctx context.Context, a *attempt, opts JoinOptions) error {
	if opts.Configure == nil {
		if err := r.Configure(ctx, nil); err != nil {
			return err
		}
	} else {
		f, err := r.ConfigurationForm(ctx)
		if err != nil {
			return err
		}
		filled, err := opts.Configure(ctx, r, f)
		if err != nil {
			return err
		}
		if err := r.Configure(ctx, filled); err != nil {
			return err
		}
	}
	info, err := r.ask(ctx) // now it can say what it is
	if ctx.Err() != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if o := r.occupants[r.nick]; o != nil && o.Self && o.ID == "" && info != nil && info.OccupantIDs {
		c := *o
		c.ID = occupantID(a.self)
		r.occupants[r.nick] = &c
		r.nameLocked(&c)
	}
	return nil
}

// query asks the room something as its occupant, moderator, admin or owner.
func (r *Room) query(ctx context.Context, typ stanza.IQType, payload *stanza.Builder) (*stanza.IQ, error) {
	s, err := r.m.Active()
	if err != nil {
		return nil, err
	}
	return s.SendIQ(ctx, stanza.NewIQ(typ, r.jid, payload))
}

func unavailable(to xmpp.JID) *stanza.Presence { return stanza.NewPresence(stanza.Unavailable, to) }
