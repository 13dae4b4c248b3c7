package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/roster"
	"github.com/go-xmppframework/xmpp/stanza"
)

// view writes what happens. All its callbacks are on one queue, so that it hears everything in order.
type view struct {
	*client
	mu  sync.Mutex // what is typed is answered on another goroutine
	out io.Writer
}

func newView(c *client, out io.Writer) *view {
	v, q := &view{client: c, out: out}, xmpp.NewQueue()
	c.AddDelegate(xmpp.Delegate{Queue: q, Connection: v, Session: v})
	c.roster.AddDelegate(roster.Delegate{Contact: v, Resource: v, Clear: v, Subscription: v}, q)
	return v
}

func (v *view) say(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	fmt.Fprintf(v.out, format+"\n", args...)
}

func (v *view) WillConnect(context.Context, *xmpp.Stream) {}
func (v *view) DidConnect(context.Context, *xmpp.Stream)  {}

func (v *view) DidDisconnect(_ context.Context, _ *xmpp.Stream, err error) {
	if err != nil {
		v.say("! the connection is lost (%v); it is being made again", err)
	}
}

func (v *view) DidStartSession(_ context.Context, s *xmpp.Stream, kind xmpp.SessionKind) {
	if kind == xmpp.SessionResumed {
		v.say("! the connection is back, and nothing was missed")
		return
	}
	v.say("! logged in as %s", s.MyJID())
}

func (v *view) RosterDidAddContact(_ context.Context, _ *roster.Roster, c roster.Contact) {
	v.say("+ %s", line(c))
}

func (v *view) RosterDidUpdateContact(_ context.Context, _ *roster.Roster, _, c roster.Contact) {
	v.say("= %s", line(c))
}

func (v *view) RosterDidRemoveContact(_ context.Context, _ *roster.Roster, old roster.Contact) {
	v.say("- %s", old)
}

func (v *view) RosterDidAddResource(_ context.Context, r *roster.Roster, c roster.Contact, _ roster.Resource) {
	v.presence(r, c)
}

func (v *view) RosterDidUpdateResource(_ context.Context, r *roster.Roster, c roster.Contact, old, res roster.Resource) {
	if old.Show() != res.Show() || old.Status() != res.Status() {
		v.presence(r, c)
	}
}

func (v *view) RosterDidRemoveResource(_ context.Context, r *roster.Roster, c roster.Contact, _ roster.Resource) {
	v.presence(r, c)
}

func (v *view) presence(r *roster.Roster, c roster.Contact) {
	if c.JID() != r.Me().JID() {
		v.say("  %s", line(c))
	}
}

func (v *view) RosterDidClearResources(context.Context, *roster.Roster) {
	v.say("! nobody is known to be there any more")
}

func (v *view) RosterDidReceivePresenceSubscriptionRequest(_ context.Context, _ *roster.Roster, c roster.Contact, p *stanza.Presence) {
	who := p.From().Bare()
	text := ""
	if s := p.Status(); s != "" {
		text = fmt.Sprintf(" (%q)", s)
	}
	v.say("? %s asks to see when you are here%s: accept %s, or reject %s", who, text, who, who)
}

func (v *view) RosterDidReceivePresenceSubscriptionAnswer(_ context.Context, _ *roster.Roster, c roster.Contact, p *stanza.Presence) {
	v.say("? %s: %s", p.From().Bare(), p.Type())
}

// list shows everybody, by sections.
func (v *view) list() {
	section := roster.Section(-1)
	for _, c := range slices.SortedFunc(v.roster.All(), roster.CompareAvailability) {
		if s := c.Section(); s != section {
			section = s
			v.say("%s", strings.ToUpper(s.String()))
		}
		v.say("  %s", line(c))
	}
	if v.roster.Len() == 0 {
		v.say("Nobody is in the list: add user@domain")
	}
	for r := range v.roster.Requests() {
		v.say("? %s waits for an answer: accept %s, or reject %s", r.JID, r.JID, r.JID)
	}
}

// line is a contact in one line.
func line(c roster.Contact) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-24s", c)
	if res, ok := c.Primary(); ok {
		b.WriteString(" " + cmp.Or(res.Show().String(), "here"))
		if res.Status() != "" {
			fmt.Fprintf(&b, " %q", res.Status())
		}
	} else {
		b.WriteString(" offline")
	}
	switch {
	case c.Ask():
		b.WriteString(", asked")
	case c.Subscription() != roster.SubscriptionBoth:
		fmt.Fprintf(&b, ", subscription %s", c.Subscription())
	}
	if h := c.AvatarHash(); h != "" {
		fmt.Fprintf(&b, ", avatar %.8s", h)
	}
	if groups := slices.Collect(c.Groups()); len(groups) > 0 {
		fmt.Fprintf(&b, " [%s]", strings.Join(groups, ", "))
	}
	return b.String()
}
