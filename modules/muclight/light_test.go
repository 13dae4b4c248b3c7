package muclight_test

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// light is a small service of MUC Light inside a server of xmpptest: enough of it for several clients to meet in a room.
type light struct {
	srv    *xmpptest.Server
	domain xmpp.JID

	mu    sync.Mutex
	rooms map[string]*lightRoom
	asked map[string]int
	vers  int
}

type lightRoom struct {
	members map[xmpp.JID]string
	config  [][2]string
	version string
}

func newLight(srv *xmpptest.Server, domain string) *light {
	l := &light{srv: srv, domain: xmpp.MustParseJID(domain), rooms: map[string]*lightRoom{}, asked: map[string]int{}}
	srv.HandleDomain(domain, l.receive)
	return l
}

func (l *light) count(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asked[what]
}

// add and remove change a room behind the back of everybody.
func (l *light) add(room string, who xmpp.JID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rooms[room].members[who] = "member"
	l.next(l.rooms[room])
}

func (l *light) remove(room string, who xmpp.JID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.rooms[room].members, who)
	l.next(l.rooms[room])
}

func (l *light) next(r *lightRoom) (prev string) {
	prev = r.version
	l.vers++
	r.version = fmt.Sprint("v", l.vers)
	return prev
}

// say delivers to all clients of an account.
func (l *light) say(from, to, id, content string) {
	who := xmpp.MustParseJID(to)
	for _, full := range l.srv.Sessions(who.Local()) {
		l.srv.Deliver("<message type='groupchat' from='" + from + "' to='" + full.String() + "' id='" + id + "'>" + content + "</message>")
	}
}

func (l *light) receive(e *etree.Element) {
	l.mu.Lock()
	defer l.mu.Unlock()
	st, err := stanza.From(e)
	if err != nil {
		return
	}
	room, me := st.To().Local(), st.From().Bare()
	r := l.rooms[room]
	switch st := st.(type) {
	case *stanza.Message:
		if r == nil || r.members[me] == "" {
			l.srv.Deliver("<message type='error' from='" + st.To().String() + "' to='" + st.From().String() + "' id='" + st.ID() + "'><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>")
			return
		}
		content := ""
		for c := range st.Children() {
			content += stanza.Compact(c)
		}
		for who := range r.members {
			l.say(st.To().String()+"/"+me.String(), who.String(), st.ID(), content)
		}
	case *stanza.IQ:
		payload, condition := l.request(st, room, me)
		content, typ := payload, "result"
		if condition != "" {
			typ, content = "error", "<error type='cancel'><"+condition+" xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
		}
		l.srv.Deliver("<iq type='" + typ + "' from='" + st.To().String() + "' to='" + st.From().String() + "' id='" + st.ID() + "'>" + content + "</iq>")
	}
}

func (l *light) request(iq *stanza.IQ, room string, me xmpp.JID) (payload, condition string) {
	q, r := iq.Payload(), l.rooms[room]
	switch {
	case stanza.Is(q, "query", "http://jabber.org/protocol/disco#items"):
		l.asked["items"]++
		for _, name := range slices.Sorted(maps.Keys(l.rooms)) {
			if l.rooms[name].members[me] != "" {
				payload += "<item jid='" + name + "@" + l.domain.String() + "' version='" + l.rooms[name].version + "'/>"
			}
		}
		return items + payload + "</query>", ""
	case stanza.Is(q, "query", "urn:xmpp:muclight:0#create"):
		if r != nil {
			return "", "conflict"
		}
		r = &lightRoom{members: map[xmpp.JID]string{me: "owner"}}
		for f := range stanza.Children(stanza.Child(q, "configuration", stanza.Any), "", stanza.Any) {
			r.config = append(r.config, [2]string{f.Tag, stanza.Text(f)})
		}
		for u := range stanza.Children(stanza.Child(q, "occupants", stanza.Any), "user", stanza.Any) {
			r.members[xmpp.MustParseJID(stanza.Text(u))] = stanza.AttrOr(u, "affiliation", "")
		}
		l.rooms[room] = r
		l.next(r)
		for who, a := range r.members {
			l.say(iq.To().String(), who.String(), iq.ID(), "<x "+affNS+">"+versions("", r.version)+user(who, a)+"</x><body/>")
		}
		return "", ""
	case r == nil || r.members[me] == "":
		return "", "item-not-found"
	case iq.IsGet():
		if stanza.ChildText(q, "version", stanza.Any) == r.version {
			return "", ""
		}
		l.asked["full"]++
		return l.describe(q, r), ""
	case stanza.Is(q, "query", "urn:xmpp:muclight:0#destroy"):
		if r.members[me] != "owner" {
			return "", "not-allowed"
		}
		for who := range r.members {
			l.say(iq.To().String(), who.String(), iq.ID(), "<x "+affNS+">"+user(who, "none")+"</x><x xmlns='urn:xmpp:muclight:0#destroy'/><body/>")
		}
		delete(l.rooms, room)
		return "", ""
	case stanza.Is(q, "query", "urn:xmpp:muclight:0#configuration"):
		changes := ""
		for f := range stanza.Children(q, "", stanza.Any) {
			r.config = slices.DeleteFunc(r.config, func(x [2]string) bool { return x[0] == f.Tag })
			r.config = append(r.config, [2]string{f.Tag, stanza.Text(f)})
			changes += "<" + f.Tag + ">" + stanza.Text(f) + "</" + f.Tag + ">"
		}
		prev := l.next(r)
		for who := range r.members {
			l.say(iq.To().String(), who.String(), iq.ID(), "<x "+confNS+">"+versions(prev, r.version)+changes+"</x><body/>")
		}
		return "", ""
	}
	return "", l.affiliations(iq, r, me)
}

func (l *light) describe(q *etree.Element, r *lightRoom) string {
	people, config := "", ""
	for _, who := range slices.SortedFunc(maps.Keys(r.members), xmpp.JID.Compare) {
		people += user(who, r.members[who])
	}
	for _, f := range r.config {
		config += "<" + f[0] + ">" + f[1] + "</" + f[0] + ">"
	}
	switch {
	case stanza.Is(q, "query", "urn:xmpp:muclight:0#affiliations"):
		return "<query " + affNS + ">" + versions("", r.version) + people + "</query>"
	case stanza.Is(q, "query", "urn:xmpp:muclight:0#configuration"):
		return "<query " + confNS + ">" + versions("", r.version) + config + "</query>"
	}
	return "<query " + infoNS + ">" + versions("", r.version) + "<configuration>" + config + "</configuration><occupants>" + people + "</occupants></query>"
}

func (l *light) affiliations(iq *stanza.IQ, r *lightRoom, me xmpp.JID) (condition string) {
	before, changes := maps.Clone(r.members), ""
	for u := range stanza.Children(iq.Payload(), "user", stanza.Any) {
		who, a := xmpp.MustParseJID(stanza.Text(u)), stanza.AttrOr(u, "affiliation", "")
		if before[me] != "owner" && (who != me || a != "none") {
			return "not-allowed"
		}
		if a == "owner" && before[me] == "owner" && r.members[me] != "" {
			r.members[me] = "member"
			changes += user(me, "member")
		}
		if r.members[who] = a; a == "none" {
			delete(r.members, who)
		}
		changes += user(who, a)
	}
	prev := l.next(r)
	for who, a := range r.members {
		content := versions(prev, r.version) + changes
		if before[who] == "" {
			content = versions("", r.version) + user(who, a)
		}
		l.say(iq.To().String(), who.String(), iq.ID(), "<x "+affNS+">"+content+"</x><body/>")
	}
	for who := range before {
		if r.members[who] == "" {
			l.say(iq.To().String(), who.String(), iq.ID(), "<x "+affNS+">"+user(who, "none")+"</x><body/>")
		}
	}
	return ""
}
