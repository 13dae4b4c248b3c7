package chatstates

import (
	"context"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// set is what the application's calls do.
func (c *ChatStates) set(ctx context.Context, with xmpp.JID, thread []string, want State) error {
	s, err := c.ModuleBase.Active()
	if err != nil || with.IsZero() || len(thread) > 0 && len(thread[0]) > maxThread {
		return err
	}
	occupant := isOccupant(s, with, nil)
	c.mu.Lock()
	p := c.peerLocked(c.keyLocked(with, occupant))
	if p.ours = true; with.IsFull() {
		p.sentTo(with)
	}
	v := c.useLocked(p, thread...)
	c.wantLocked(v, want)
	c.mu.Unlock()
	return c.tell(ctx, s, v)
}

// wantLocked notes what the user does.
func (c *ChatStates) wantLocked(v *conversation, want State) {
	if want == Gone && v.room {
		return
	}
	v.want, v.since = want, time.Now()
	c.scheduleLocked(v)
}

// next is what the user does first when nothing is heard of him, and since when; "" if nothing follows.
func (v *conversation) next(cfg Config) (state State, after time.Duration) {
	switch {
	case v.want == Composing && cfg.PausedAfter >= 0:
		state, after = Paused, cfg.PausedAfter
	case (v.want == Composing || v.want == Paused || v.want == Active) && cfg.InactiveAfter >= 0:
		state, after = Inactive, cfg.InactiveAfter
	}
	if v.want != "" && v.want != Gone && cfg.GoneAfter > 0 && !v.room && (state == "" || cfg.GoneAfter <= after) {
		return Gone, cfg.GoneAfter
	}
	return state, after
}

func (c *ChatStates) scheduleLocked(v *conversation) {
	state, after := v.next(c.cfg)
	switch {
	case state != "" && !v.dead:
		c.armLocked(v, time.Until(v.since.Add(after)))
	case v.timer != nil:
		v.timer.Stop()
	}
}

func (c *ChatStates) armLocked(v *conversation, d time.Duration) {
	if v.timer == nil {
		v.timer = time.AfterFunc(d, func() { c.elapsed(v) })
	} else {
		v.timer.Reset(d)
	}
}

// kickLocked lets what was not said be said soon, by another goroutine.
func (c *ChatStates) kickLocked(v *conversation) {
	if !v.dead && v.want != v.told {
		c.armLocked(v, 0)
	}
}

// elapsed is called by the timer.
func (c *ChatStates) elapsed(v *conversation) {
	s := c.Stream()
	c.mu.Lock()
	if v.dead || s == nil {
		c.mu.Unlock()
		return
	}
	for { // of those that are due at once the last is said
		state, after := v.next(c.cfg)
		if state == "" || time.Since(v.since) < after {
			break
		}
		v.want = state
	}
	c.scheduleLocked(v)
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(xmpp.ByModule(context.Background()), time.Second) // if the write limit leaves no room, it is not worth more
	defer cancel()
	_ = c.tell(ctx, s, v)
}

// tell says what the user does, if that was not said. One at a time does; the lock is not held meanwhile, because Send may wait.
func (c *ChatStates) tell(ctx context.Context, s *xmpp.Stream, v *conversation) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v.sending {
		return nil
	}
	v.sending = true
	defer func() { v.sending = false }()
	for v.untold() {
		to, shown, cfg := v.address(), v.support, c.cfg
		c.mu.Unlock()
		may := s.IsAuthenticated() && mayTell(s, cfg, to, v.room, shown)
		c.mu.Lock()
		if !may || !v.untold() {
			return nil
		}
		m, before := v.message(), v.told
		v.told, v.id, v.overtaken = v.want, m.ID(), false
		c.mu.Unlock()
		err := s.Send(ctx, m)
		c.mu.Lock()
		if err != nil {
			if !v.overtaken {
				v.told = before
			}
			return err
		}
		if v.overtaken { // which of the two was the last is not known
			v.told = ""
		}
	}
	return nil
}

// untold reports whether there is something to say.
func (v *conversation) untold() bool { return !v.dead && v.want != "" && v.want != v.told }

// message says what the user does, and nothing else (section 5.6), and is not worth to be kept (XEP-0334).
func (v *conversation) message() *stanza.Message {
	typ := stanza.Chat
	if v.room {
		typ = stanza.Groupchat
	}
	m := stanza.NewMessage(typ, v.address(), "")
	if v.thread != "" {
		m.SetThread(v.thread)
	}
	Set(m, v.want)
	m.C("no-store", "urn:xmpp:hints")
	return m
}

// mayTell reports whether a state may be said outside of a message.
func mayTell(s *xmpp.Stream, cfg Config, to xmpp.JID, room bool, shown support) bool {
	switch {
	case cfg.Off, room && !cfg.Groupchat, !room && shown == no:
		return false
	case !room && shown == unknown:
		if can, known := supports(s, to); !can || !known {
			return false
		}
	}
	if cfg.Allow != nil {
		return cfg.Allow(to)
	}
	if f, ok := xmpp.ModuleOf[xmpp.SubscriptionFinder](s); ok && !room {
		shares, known := f.SharesPresence(to)
		return shares && known
	}
	return true
}

// supports reports what the client announces, or any client at a bare address.
func supports(s *xmpp.Stream, to xmpp.JID) (can, known bool) {
	if f, ok := xmpp.ModuleOf[xmpp.CapabilityFinder](s); ok {
		return f.Supports(to, NS)
	}
	return false, false
}

// willSend makes messages say that the user takes part, and notes what states the application says by itself.
func (c *ChatStates) willSend(_ context.Context, s *xmpp.Stream, m *stanza.Message) *stanza.Message {
	to, thread, state := m.To(), m.Thread(), Of(m)
	room := m.Type() == stanza.Groupchat
	if to.IsZero() || !room && m.Type() != stanza.Chat || state == "" && !m.HasBody() || len(thread) > maxThread {
		return m
	}
	occupant := isOccupant(s, to, m)
	can, known := supports(s, to)
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.keyLocked(to, occupant)
	if room {
		k = key{to.Bare(), true}
	}
	p := c.peerLocked(k)
	v := c.useLocked(p, thread)
	if state != "" && v.id != "" && m.ID() == v.id { // that is tell
		return m
	}
	p.sentTo(to)
	v.overtaken = true
	if c.wantLocked(v, Active); state != "" {
		c.wantLocked(v, state)
	}
	v.told = v.want
	switch {
	case state != "", c.cfg.Off, room && !c.cfg.Groupchat, p.support == no, p.support == unknown && known && !can:
		return m
	}
	m = m.Copy()
	Set(m, Active)
	return m
}
