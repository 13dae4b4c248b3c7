package caps

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/disco"
	"github.com/go-xmppframework/xmpp/stanza"
)

// own is something that was announced.
type own struct {
	ann  *Announcement
	info *disco.Info
}

// listener hears of modules that come and go, and of features that change.
type listener struct{ c *Caps }

func (l listener) DidRegisterModule(context.Context, *xmpp.Stream, xmpp.Module)    { l.c.changed() }
func (l listener) WillUnregisterModule(context.Context, *xmpp.Stream, xmpp.Module) { l.c.changed() }
func (l listener) DiscoFeaturesDidChange(context.Context, *disco.Disco)            { l.c.changed() }

// attach makes a module for service discovery answer for what was announced.
func (c *Caps) attach(s *xmpp.Stream, d *disco.Disco) (detach func()) {
	var undo []func()
	answer := disco.Node{Info: c.answer}.Handle
	for _, prefix := range []string{c.cfg.Node + "#", nodePrefix} {
		remove, err := d.AddNodePrefix(prefix, answer)
		if err != nil {
			s.Logger().Warn("caps: somebody else answers for the node", "node", prefix, "err", err)
			continue
		}
		undo = append(undo, remove)
	}
	remove := d.AddDelegate(disco.Delegate{Features: listener{c}}, nil)
	return func() {
		_ = remove(xmpp.NoWait)
		for _, f := range undo {
			f()
		}
	}
}

// answer is what the client is, as it was announced with that node; nodes of XEP-0115 from before are answered as of now.
func (c *Caps) answer(_ context.Context, _ xmpp.JID, node string) (*disco.Info, error) {
	c.mu.Lock()
	i := slices.IndexFunc(c.former, func(o own) bool { return slices.Contains(o.ann.nodes(), node) })
	if i >= 0 {
		defer c.mu.Unlock()
		return c.former[i].info, nil
	}
	c.mu.Unlock()
	if s := c.Stream(); s != nil && strings.HasPrefix(node, c.cfg.Node+"#") {
		if d, ok := xmpp.ModuleOf[*disco.Disco](s); ok {
			return d.Own(), nil
		}
	}
	return nil, stanza.ItemNotFound
}

// Own is what is to be announced at this moment. It is empty where modules/disco is not active, or answers what cannot be hashed.
func (c *Caps) Own() Announcement {
	if a := c.current(); a != nil {
		return *a
	}
	return Announcement{}
}

// current makes the announcement, nil if there is none, and remembers it: from now on it is answered for.
func (c *Caps) current() *Announcement {
	s := c.Stream()
	if s == nil {
		return nil
	}
	d, ok := xmpp.ModuleOf[*disco.Disco](s)
	if !ok {
		return nil
	}
	info := d.Own()
	if err := wellFormed(info); err != nil {
		s.Logger().Warn("caps: the own features cannot be announced", "err", err)
		return nil
	}
	a := &Announcement{Node: c.cfg.Node, Algo: "sha-1"}
	a.Ver = sum(a.Algo, input115(info))
	if input, err := input390(info, true); err == nil && !c.cfg.Only115 {
		a.Hashes = append(a.Hashes, Hash{NS2, "sha-256", sum("sha-256", input)})
	}
	a.Hashes = append(a.Hashes, Hash{NS, a.Algo, a.Ver})
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.former, func(o own) bool { return o.ann.equal(a) })
	if i == 0 {
		return c.former[0].ann
	}
	if i > 0 {
		c.former = slices.Delete(c.former, i, i+1)
	}
	c.former = slices.Insert(c.former, 0, own{a, info})
	c.former = c.former[:min(len(c.former), formerSets)]
	return a
}

// willSendPresence puts the announcement into available presence, directed or not (XEP-0115 section 6.1, XEP-0390 section 6.1).
func (c *Caps) willSendPresence(_ context.Context, s *xmpp.Stream, p *stanza.Presence) *stanza.Presence {
	to := p.To()
	if !to.IsZero() {
		c.noteDirected(to, p.Type())
	}
	if p.Type() != stanza.Available || blocked(s, to) {
		return p
	}
	a := c.current()
	if to.IsZero() {
		c.mu.Lock()
		c.sent = a
		c.mu.Unlock()
	}
	if a == nil {
		return p
	}
	p = p.Copy()
	a.write(p)
	return p
}

// blocked reports whether a module knows that an address is blocked. The server refuses what is sent there, anyway.
func blocked(s *xmpp.Stream, jid xmpp.JID) bool {
	b, ok := xmpp.ModuleOf[xmpp.BlockFinder](s)
	if !ok {
		return false
	}
	yes, _ := b.IsBlocked(jid)
	return yes
}

// changed makes presence be sent again soon, if what is announced is not what was.
func (c *Caps) changed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session != nil && c.timer == nil {
		ses := c.session
		c.timer = time.AfterFunc(resendDelay, func() { c.resend(ses) })
	}
}

func (c *Caps) resend(ses *session) {
	c.mu.Lock()
	if c.session != ses { // the next session sends presence, anyway
		c.mu.Unlock()
		return
	}
	c.timer = nil
	c.mu.Unlock()
	_ = c.Recollect(ses.ctx) // there is no connection, then
}

// Recollect looks what the client can do at this moment, and sends presence again if that is not what was announced. Mostly it is not needed:
// it is noticed when modules come and go, and when [disco.Disco.FeaturesDidChange] is called. It does nothing while no presence was sent.
// The error is that of [xmpp.Stream.Send].
func (c *Caps) Recollect(ctx context.Context) error {
	s, err := c.Active()
	if err != nil {
		return err
	}
	a := c.current()
	c.mu.Lock()
	same := a == nil || c.sent != nil && c.sent.equal(a)
	c.mu.Unlock()
	if same {
		return nil
	}
	return s.ResendMyPresence(ctx)
}
