package blocking

import (
	"context"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// fetch is one of the list by itself.
type fetch struct{ cancel context.CancelFunc }

// begin fetches the list unless it is there, or on its way.
func (b *Blocking) begin(s *xmpp.Stream) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.on && !b.cfg.NoAutoRetrieve && b.fetch == nil && b.state != StateReady {
		ctx, cancel := context.WithCancel(context.Background())
		f := &fetch{cancel}
		b.fetch = f
		go func() {
			defer cancel()
			_ = b.retrieve(ctx, s) // delegates are told
			b.mu.Lock()
			defer b.mu.Unlock()
			if b.fetch == f {
				b.fetch = nil
			}
		}()
	}
}

// stop is Deactivate's part.
func (b *Blocking) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.on, b.state = false, StateUnknown
	if b.fetch != nil {
		b.fetch.cancel()
		b.fetch = nil
	}
}

// ReceiveSession fetches the list of a new session. A resumed one goes on with what there is.
func (b *Blocking) ReceiveSession(_ context.Context, kind xmpp.SessionKind) {
	s := b.Stream()
	if s == nil {
		return
	}
	account := s.MyJID().Bare()
	b.mu.Lock()
	b.session++
	if kind == xmpp.SessionNew {
		if b.fetch != nil {
			b.fetch.cancel()
			b.fetch = nil
		}
		if b.cfg.ClearOnDisconnect || account != b.account {
			b.clear()
		}
		b.account, b.state = account.Clone(), StateUnknown
	}
	b.mu.Unlock()
	b.begin(s)
}

// listener clears the list where that is wanted.
type listener struct{ b *Blocking }

func (listener) WillConnect(context.Context, *xmpp.Stream) {}
func (listener) DidConnect(context.Context, *xmpp.Stream)  {}

func (l listener) DidDisconnect(_ context.Context, s *xmpp.Stream, _ error) {
	b := l.b
	b.mu.Lock()
	session := b.session
	b.mu.Unlock()
	if !b.cfg.ClearOnDisconnect || s.IsAuthenticated() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.session == session { // else the next one has begun meanwhile, and may have a list
		b.clear()
	}
}

// Receive takes over changes that the server tells of.
func (b *Blocking) Receive(_ context.Context, st stanza.Stanza) {
	iq, ok := st.(*stanza.IQ)
	s := b.Stream()
	if !ok || !iq.IsSet() || s == nil {
		return
	}
	if p := read(s, iq); p.refuse == "" && p.do != nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		p.do(b, s)
	}
}

// push is what the server tells of a change.
type push struct {
	refuse stanza.Condition // how it is to be answered; empty for a result
	do     func(b *Blocking, s *xmpp.Stream)
}

// read looks at a push. One is valid from the own account only, in whose name nobody else can send: XEP-0191 section 3.3, with the rule of RFC 6121 section 2.1.6.
func read(s *xmpp.Stream, iq *stanza.IQ) (p push) {
	el := iq.Payload()
	if !stanza.Is(el, "block", NS) && !stanza.Is(el, "unblock", NS) {
		return p
	}
	if from := iq.From(); !from.IsZero() && from != s.MyJID().Bare() {
		p.refuse = stanza.ServiceUnavailable
		return p
	}
	jids, empty := items(el)
	switch {
	case el.Tag == "unblock" && empty: // everybody, section 3.5
		p.do = (*Blocking).didUnblockAll
	case len(jids) == 0:
		p.refuse = stanza.BadRequest // never to be taken for an empty one
	case el.Tag == "unblock":
		p.do = func(b *Blocking, s *xmpp.Stream) { b.didUnblock(s, jids) }
	default:
		p.do = func(b *Blocking, s *xmpp.Stream) { b.didBlock(s, jids) }
	}
	return p
}

// items are the addresses in an element, those that are valid. empty reports that it has no child elements at all.
func items(el *etree.Element) (jids []xmpp.JID, empty bool) {
	empty = true
	for item := range stanza.Children(el, stanza.Any, stanza.Any) {
		empty = false
		if !stanza.Is(item, "item", NS) {
			continue
		}
		if j, err := xmpp.ParseJID(stanza.AttrOr(item, "jid", "")); err == nil {
			jids = append(jids, j)
		}
	}
	return jids, empty
}

// answer answers pushes. Receive has applied those that are valid.
func answer(ctx context.Context, s *xmpp.Stream, iq *stanza.IQ) {
	reply := iq.Result(nil)
	if p := read(s, iq); p.refuse != "" {
		reply = iq.Error(p.refuse)
	}
	_ = s.Send(ctx, reply)
}

// The methods below change the list and tell of it. They are called with the lock held.

func (b *Blocking) didBlock(s *xmpp.Stream, jids []xmpp.JID) {
	added, err := b.add(jids)
	if len(added) > 0 {
		b.notifyChange(s, func(ctx context.Context, d ChangeDelegate) { d.BlockingDidBlock(ctx, b, added) })
	}
	if err != nil {
		b.notifyIncomplete(s, err)
	}
}

func (b *Blocking) didUnblock(s *xmpp.Stream, jids []xmpp.JID) {
	if removed := b.remove(jids); len(removed) > 0 {
		b.notifyChange(s, func(ctx context.Context, d ChangeDelegate) { d.BlockingDidUnblock(ctx, b, removed) })
	}
}

func (b *Blocking) didUnblockAll(s *xmpp.Stream) {
	if len(b.items) > 0 {
		b.items, b.sorted = make(map[xmpp.JID]struct{}), nil
		b.notifyChange(s, func(ctx context.Context, d ChangeDelegate) { d.BlockingDidUnblockAll(ctx, b) })
	}
}

func (b *Blocking) notify(s *xmpp.Stream, call func(context.Context, Delegate)) {
	b.delegates.Notify(s, call)
}

func (b *Blocking) notifyChange(s *xmpp.Stream, call func(context.Context, ChangeDelegate)) {
	b.notify(s, func(ctx context.Context, d Delegate) {
		if d.Change != nil {
			call(ctx, d.Change)
		}
	})
}

func (b *Blocking) notifyIncomplete(s *xmpp.Stream, err error) {
	b.notify(s, func(ctx context.Context, d Delegate) {
		if d.List != nil {
			d.List.BlockingDidNotReceiveList(ctx, b, err)
		}
	})
}
