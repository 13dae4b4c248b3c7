package roster

import (
	"context"
	"fmt"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// Subscribe asks somebody to let the account see their presence (RFC 6121 section 3.1.1). with are elements to go with the request, such as a nickname (XEP-0172).
// Whoever is not a contact becomes one by it; [Roster.Add] gives them a name, too. The answer is told to delegates.
//
// It returns when the request is queued: the errors are those of [xmpp.Stream.Send]. So do all the methods about subscriptions.
// A resource in the address is left out. The own address, and none, are [xmpp.ErrInvalidParameter].
func (r *Roster) Subscribe(ctx context.Context, jid xmpp.JID, with ...stanza.Elementer) error {
	_, err := r.send(ctx, stanza.Subscribe, jid, with...)
	return err
}

// Unsubscribe ends the account's subscription to a contact's presence, or takes the request for it back (section 3.3.1).
func (r *Roster) Unsubscribe(ctx context.Context, jid xmpp.JID) error {
	_, err := r.send(ctx, stanza.Unsubscribe, jid)
	return err
}

// Accept accepts somebody's request to see the account's presence (section 3.1.4). Where there is no such request, it is [Roster.PreApprove] on servers that can do that,
// and nothing on others. It does not ask to see theirs: that is Subscribe, or [Roster.AcceptAndAdd].
func (r *Roster) Accept(ctx context.Context, jid xmpp.JID) error {
	s, bare, err := r.target(jid)
	if err != nil {
		return err
	}
	if err := r.grant(ctx, s, bare); err != nil {
		return err
	}
	r.setRefused(s, bare, false)
	return nil
}

// AcceptAndAdd is Accept and then [Roster.Add].
func (r *Roster) AcceptAndAdd(ctx context.Context, jid xmpp.JID, name string, groups ...string) error {
	if err := r.Accept(ctx, jid); err != nil {
		return err
	}
	return r.Add(ctx, jid, name, groups...)
}

// Reject refuses somebody's request to see the account's presence (section 3.1.4).
// Further requests of a contact are not accepted by [AcceptKnown] any more.
func (r *Roster) Reject(ctx context.Context, jid xmpp.JID) error { return r.Revoke(ctx, jid) }

// Revoke takes back a contact's right to see the account's presence (section 3.2.1), or a pre-approval (section 3.4.3), or refuses a request.
// Further requests of the contact are not accepted by [AcceptKnown] any more.
func (r *Roster) Revoke(ctx context.Context, jid xmpp.JID) error {
	s, err := r.send(ctx, stanza.Unsubscribed, jid)
	if err != nil {
		return err
	}
	r.answered(s, jid.Bare())
	r.setRefused(s, jid.Bare(), true)
	return nil
}

// PreApprove lets somebody see the account's presence as soon as they ask for it (section 3.4). Whoever is not a contact becomes one by it, on most servers.
// It returns [ErrNoPreApproval], and sends nothing, if the server of this session cannot do that.
func (r *Roster) PreApprove(ctx context.Context, jid xmpp.JID) error {
	if _, _, err := r.target(jid); err != nil {
		return err
	}
	r.mu.RLock()
	can := r.preApproval
	r.mu.RUnlock()
	if !can {
		return ErrNoPreApproval
	}
	return r.Accept(ctx, jid)
}

// target checks an address.
func (r *Roster) target(jid xmpp.JID) (*xmpp.Stream, xmpp.JID, error) {
	s, err := r.Active()
	if err != nil {
		return nil, xmpp.JID{}, err
	}
	bare := jid.Bare()
	if bare.IsZero() || bare == s.MyJID().Bare() {
		return nil, bare, fmt.Errorf("%w: no address of somebody else: %q", xmpp.ErrInvalidParameter, clip(jid.String(), 256))
	}
	return s, bare, nil
}

func (r *Roster) send(ctx context.Context, typ stanza.PresenceType, jid xmpp.JID, with ...stanza.Elementer) (*xmpp.Stream, error) {
	s, bare, err := r.target(jid)
	if err != nil {
		return nil, err
	}
	p := stanza.NewPresence(typ, bare)
	p.SetID(s.GenerateUUID()) // section 3.1.1
	p.Add(with...)
	return s, s.Send(ctx, p)
}

// grant sends that somebody may see the account's presence.
func (r *Roster) grant(ctx context.Context, s *xmpp.Stream, bare xmpp.JID) error {
	if _, err := r.send(ctx, stanza.Subscribed, bare); err != nil {
		return err
	}
	r.answered(s, bare)
	return nil
}

func (r *Roster) answered(s *xmpp.Stream, bare xmpp.JID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answeredLocked(s, bare)
}

func (r *Roster) setRefused(s *xmpp.Stream, bare xmpp.JID, refused bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.items[bare]
	if old == nil || old.guest || old.refused == refused {
		return
	}
	next := *old
	next.refused = refused
	r.replaceItemLocked(s, old, &next)
}
