// Package nick tells others by what name one wants to be called: User Nickname, XEP-0172.
//
// [Of] reads the nick in a subscription request or a message, [Set] writes one. An active [Nick] adds the own nick
// where the specification wants it: to subscription requests, and to the first message to somebody who does not know the account yet.
//
// A nick is no identity. Anybody can choose any, also that of somebody else, and change it: show it beside the address,
// never in its place, and prefer the name that the user has given to a contact in the roster (section 7).
package nick

import (
	"context"
	"strings"
	"sync"
	"unicode"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// NS is the namespace of XEP-0172, and the name of its PubSub node.
const NS = "http://jabber.org/protocol/nick"

// MaxRunes is the number of characters to which [Clean] cuts a nick.
const MaxRunes = 128

// maxAddressed is how many correspondents are remembered as ones that need no nick.
const maxAddressed = 1000

// Of returns the nick in a stanza, made fit to be shown by [Clean]; "" if there is none.
// It is what the sender of the stanza, its from, claims to be called (section 3).
func Of(st stanza.Stanza) string { return Clean(stanza.Text(st.Child("nick", NS))) }

// Set puts a nick into a message or presence in place of the one that is there; "" removes that.
// It must not be put into presence that is broadcast (section 4.1).
func Set(st stanza.Stanza, nick string) {
	el := st.Element()
	stanza.RemoveChildren(el, "nick", NS)
	if nick = Clean(nick); nick != "" && el != nil {
		el.AddChild(stanza.New("nick", NS).T(nick).Element())
	}
}

// Clean makes a nick fit to be shown on one line: control and formatting characters are taken out, those too that turn the direction
// of what follows, but for the joiners that scripts and emoji need; runs of white space become one space, at the ends none;
// what is longer than [MaxRunes] is cut. The result shares no memory with the argument. It may still look like any other nick.
func Clean(nick string) string {
	var b strings.Builder
	n, space := 0, false
	for _, r := range nick {
		switch {
		case unicode.IsSpace(r):
			space = n > 0
			continue
		case r == '\u200c' || r == '\u200d': // ZWNJ, ZWJ
		case r == unicode.ReplacementChar || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co):
			continue
		}
		if n == MaxRunes || space && n+1 == MaxRunes {
			break
		}
		if space {
			b.WriteByte(' ')
			n++
		}
		b.WriteRune(r)
		n, space = n+1, false
	}
	return b.String()
}

// LooksLikeAddress reports whether a nick could be taken for an address: it contains an "@", or what looks like one.
// One that is not the sender's own is to be shown with care, or not at all (section 7).
func LooksLikeAddress(nick string) bool {
	return strings.ContainsAny(nick, "@\uff20\ufe6b") // FULLWIDTH and SMALL COMMERCIAL AT
}

// Config tunes a [Nick].
type Config struct {
	// Nick is by what name others are asked to call the user; [Clean] is applied. If zero, nothing is added to anything.
	Nick string
}

// Nick is the module. Make it with [New].
//
// It adds the own nick to presence of type subscribe, and to the first message with a body that goes to the bare address of somebody,
// unless the account's presence goes there (see [xmpp.SubscriptionFinder]) or that somebody has written before; where neither is known
// it adds it, once. It adds nothing where there is a nick already, and nothing to full addresses: those may be
// occupants of rooms, where the user goes by another name.
type Nick struct {
	xmpp.ModuleBase

	mu    sync.Mutex
	nick  string
	knows map[xmpp.JID]bool // bare addresses that need no nick; of those that were written to, since SetNick
	order []xmpp.JID        // the same, oldest first
}

// New makes a module that is not active yet.
func New(cfg Config) *Nick { return &Nick{nick: Clean(cfg.Nick)} }

// Name is "nick".
func (n *Nick) Name() string { return "nick" }

// Features are what service discovery announces.
func (n *Nick) Features() []string { return []string{NS} }

// Activate attaches the module to a stream.
func (n *Nick) Activate(s *xmpp.Stream) error {
	return n.Attach(s, n, func() error {
		n.OnDeactivate(s.AddInterceptor(xmpp.Interceptor{Name: n.Name(), WillSendMessage: n.willSendMessage, WillSendPresence: n.willSendPresence}))
		return nil
	})
}

// Nick is the own nick, "" if there is none.
func (n *Nick) Nick() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.nick
}

// SetNick changes the own nick, for what is sent from now on; "" means none. Whoever was told the former one
// is told the new one with the next message, under the same conditions. It publishes nothing.
func (n *Nick) SetNick(nick string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.nick, n.knows, n.order = Clean(nick), nil, nil
}

// Receive notes who has written.
func (n *Nick) Receive(_ context.Context, st stanza.Stanza) {
	if m, ok := st.(*stanza.Message); ok && m.HasBody() && !m.IsError() && m.Type() != stanza.Groupchat && m.From().Local() != "" {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.noteLocked(m.From().Bare())
	}
}

func (n *Nick) willSendPresence(_ context.Context, _ *xmpp.Stream, p *stanza.Presence) *stanza.Presence {
	nick := n.Nick()
	if nick == "" || p.Type() != stanza.Subscribe || p.Child("nick", NS) != nil {
		return p
	}
	p = p.Copy()
	Set(p, nick)
	return p
}

func (n *Nick) willSendMessage(_ context.Context, s *xmpp.Stream, m *stanza.Message) *stanza.Message {
	to := m.To()
	if !to.IsBareWithUser() || !m.HasBody() || m.IsError() || m.Type() == stanza.Groupchat {
		return m
	}
	contact := to == s.MyJID().Bare()
	if f, ok := xmpp.ModuleOf[xmpp.SubscriptionFinder](s); ok && !contact {
		contact, _ = f.SharesPresence(to)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	known := contact || n.knows[to]
	if !known && s.IsAuthenticated() { // else it is not sent
		n.noteLocked(to)
	}
	if known || n.nick == "" || m.Child("nick", NS) != nil {
		return m
	}
	m = m.Copy()
	Set(m, n.nick)
	return m
}

// noteLocked remembers an address.
func (n *Nick) noteLocked(j xmpp.JID) {
	if n.knows[j] {
		return
	}
	if n.knows == nil {
		n.knows = make(map[xmpp.JID]bool)
	}
	if len(n.order) == maxAddressed {
		delete(n.knows, n.order[0])
		n.order = n.order[1:]
	}
	j = j.Clone()
	n.knows[j] = true
	n.order = append(n.order, j)
}
