package roster

import (
	"context"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

const (
	nsNick = "http://jabber.org/protocol/nick"

	// maxRequests bounds the requests that are remembered.
	maxRequests = 1000
	// maxRequestText is how many bytes of its texts are kept.
	maxRequestText = 1 << 10
)

// Request is somebody's request to see the account's presence that was not answered yet. All but its address and time are the sender's word.
type Request struct {
	JID    xmpp.JID  // who asks, bare
	Status string    // the text that goes with it, the first 1 KiB
	Nick   string    // the name they give themselves (XEP-0172), the first 1 KiB
	Time   time.Time // when it was received
}

type request struct {
	Request
	held *stanza.Presence // until the roster tells who that is
}

// Requests are the requests to see the account's presence that were not answered yet, of contacts and strangers, the oldest first,
// as far as this session has brought them. Of more than 1,000 those that came first are there; all are told to delegates.
func (r *Roster) Requests() iter.Seq[Request] {
	return func(yield func(Request) bool) {
		r.mu.RLock()
		list := make([]Request, 0, len(r.requests))
		for _, q := range r.requests {
			list = append(list, q.Request)
		}
		r.mu.RUnlock()
		slices.SortFunc(list, func(a, b Request) int {
			if c := a.Time.Compare(b.Time); c != 0 {
				return c
			}
			return a.JID.Compare(b.JID)
		})
		each(list, yield)
	}
}

// receiveRequest is RFC 6121 section 3.1.3.
func (r *Roster) receiveRequest(s *xmpp.Stream, p *stanza.Presence, bare xmpp.JID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if bare == r.account || r.requests[bare] != nil {
		return
	}
	q := &request{Request: Request{
		JID: bare.Clone(), Time: time.Now(),
		Status: strings.Clone(clip(p.Status(), maxRequestText)),
		Nick:   strings.Clone(clip(stanza.ChildText(p.Element(), "nick", nsNick), maxRequestText)),
	}}
	if len(r.requests) < maxRequests {
		old, known := r.contactOf(bare)
		r.requests[q.JID] = q
		if known {
			c, _ := r.contactOf(bare)
			notify(s, &r.delegates.contact, func(ctx context.Context, d ContactDelegate) { d.RosterDidUpdateContact(ctx, r, old, c) })
			r.changedLocked(s)
		}
		if r.fetch != nil && !r.has {
			q.held = keep(p)
			return
		}
	}
	r.decideLocked(s, q.JID, p)
}

// keep is a request in memory of its own, without what makes it large.
func keep(p *stanza.Presence) *stanza.Presence {
	if xml := stanza.Compact(p.Element()); len(xml) <= maxPresence {
		if st, err := stanza.Parse(xml); err == nil {
			if p, ok := st.(*stanza.Presence); ok {
				return p
			}
		}
	}
	small := stanza.NewPresence(stanza.Subscribe, xmpp.JID{})
	small.SetFrom(p.From().Clone())
	small.SetStatus(strings.Clone(clip(p.Status(), maxRequestText)))
	return small
}

func (r *Roster) contactOf(bare xmpp.JID) (Contact, bool) {
	it := r.items[bare]
	if it == nil {
		return Contact{}, false
	}
	return r.contactLocked(it), true
}

// settleRequestsLocked decides about the requests that have waited for the roster.
func (r *Roster) settleRequestsLocked(s *xmpp.Stream) {
	for jid, q := range r.requests {
		if p := q.held; p != nil {
			q.held = nil
			r.decideLocked(s, jid, p)
		}
	}
}

// decideLocked leaves a request to the policy, if it is known who is a contact, and else to the user.
func (r *Roster) decideLocked(s *xmpp.Stream, bare xmpp.JID, p *stanza.Presence) {
	if s == nil {
		return
	}
	c, known := r.contactOf(bare)
	if known && c.item.guest {
		c = Contact{}
	}
	tell := func() {
		notify(s, &r.delegates.subscription, func(ctx context.Context, d SubscriptionDelegate) {
			d.RosterDidReceivePresenceSubscriptionRequest(ctx, r, c, p)
		})
	}
	if !r.has && !r.cfg.Rosterless {
		tell()
		return
	}
	r.policy.Notify(s, func(ctx context.Context, r *Roster) {
		if !r.cfg.AutoAccept(ctx, r, c, p) || r.Stream() != s || r.grant(xmpp.ByModule(ctx), s, bare) != nil {
			r.mu.Lock()
			defer r.mu.Unlock()
			tell()
		}
	})
}

// receiveSubscriptionAnswer is RFC 6121 section 3.1.6, 3.2.3 and 3.3.3.
func (r *Roster) receiveSubscriptionAnswer(s *xmpp.Stream, p *stanza.Presence, bare xmpp.JID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p.Type() == stanza.Unsubscribe {
		r.answeredLocked(s, bare)
	}
	c, ok := r.contactOf(bare)
	if !ok || c.item.guest || p.IsError() && !c.Ask() {
		return
	}
	notify(s, &r.delegates.subscription, func(ctx context.Context, d SubscriptionDelegate) {
		d.RosterDidReceivePresenceSubscriptionAnswer(ctx, r, c, p)
	})
}

// answeredLocked forgets a request.
func (r *Roster) answeredLocked(s *xmpp.Stream, bare xmpp.JID) {
	if r.requests[bare] == nil {
		return
	}
	old, known := r.contactOf(bare)
	delete(r.requests, bare)
	if known {
		c, _ := r.contactOf(bare)
		notify(s, &r.delegates.contact, func(ctx context.Context, d ContactDelegate) { d.RosterDidUpdateContact(ctx, r, old, c) })
		r.changedLocked(s)
	}
}
