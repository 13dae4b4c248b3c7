// Package sid reads and writes unique and stable stanza ids, XEP-0359, and finds duplicates by them.
package sid

import (
	"sync"

	"github.com/go-xmppframework/xmpp/jid"
	"github.com/go-xmppframework/xmpp/stanza"
)

// NS is the namespace of XEP-0359.
const NS = "urn:xmpp:sid:0"

// OriginID returns the id that the sender has given, "" if there is none.
func OriginID(st stanza.Stanza) string {
	return stanza.AttrOr(st.Child("origin-id", NS), "id", "")
}

// SetOriginID makes id the sender's id of a message, in place of one that it has; "" removes that.
// The section 3 of the specification wants it to be the id attribute, too, which is left to the caller.
func SetOriginID(m *stanza.Message, id string) {
	m.Remove("origin-id", NS)
	if id != "" {
		m.C("origin-id", NS).A("id", id)
	}
}

// StanzaID returns the id that by has given: the own account, or a room. It is "" if there is none.
// Anybody can write such an element: trust it only if by is known to remove those of others in its own name,
// which it says by the feature NS in service discovery (section 6).
func StanzaID(st stanza.Stanza, by jid.JID) string {
	for el := range st.Children() {
		if !stanza.Is(el, "stanza-id", NS) {
			continue
		}
		if j, err := jid.Parse(stanza.AttrOr(el, "by", "")); err == nil && j == by {
			return stanza.AttrOr(el, "id", "")
		}
	}
	return ""
}

// DefaultSize is how many ids a [Filter] remembers if it is not told.
const DefaultSize = 10_000

// Filter remembers the ids of messages, to recognise one that comes again: from the archive after it came live, as a copy of another client's,
// or sent anew by somebody who does not know that it arrived. It forgets the oldest. The zero value remembers [DefaultSize] ids, of which a message has up to two.
// It is safe for concurrent use.
type Filter struct {
	mu   sync.Mutex
	size int
	seen map[key]struct{}
	ring []key
	next int
}

type key struct {
	origin bool
	by     string
	id     string
}

// NewFilter returns a filter that remembers so many ids. It panics if that is not positive.
func NewFilter(size int) *Filter {
	if size <= 0 {
		panic("sid: NewFilter without a size")
	}
	return &Filter{size: size}
}

// Seen reports whether the message was given to the filter before, and remembers it.
// Two are the same if by has given both the same stanza-id, or the same sender the same origin-id:
// nobody can make somebody else's message a duplicate. by is as for [StanzaID]; with the zero JID only origin-ids count.
// A message without either id is never a duplicate, nor is one of type error.
func (f *Filter) Seen(m *stanza.Message, by jid.JID) bool {
	if m.IsError() {
		return false
	}
	var keys []key
	if id := StanzaID(m, by); id != "" && !by.IsZero() {
		keys = append(keys, key{false, by.String(), id})
	}
	if id := OriginID(m); id != "" {
		from := m.From()
		if m.Type() != stanza.Groupchat { // an occupant of a room is its full address
			from = from.Bare()
		}
		keys = append(keys, key{true, from.String(), id})
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	seen := false
	for _, k := range keys {
		if _, ok := f.seen[k]; ok {
			seen = true
		} else {
			f.remember(k)
		}
	}
	return seen
}

func (f *Filter) remember(k key) {
	if f.seen == nil {
		if f.size == 0 {
			f.size = DefaultSize
		}
		f.seen = make(map[key]struct{})
	}
	if len(f.ring) < f.size {
		f.ring = append(f.ring, k)
	} else {
		delete(f.seen, f.ring[f.next])
		f.ring[f.next] = k
		f.next = (f.next + 1) % f.size
	}
	f.seen[k] = struct{}{}
}
