package roster

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/datetime"
)

const (
	// maxResources bounds the available resources of one address; the presence of more is left out.
	maxResources = 128
	// maxStatus is how many bytes of a status are kept.
	maxStatus = 4 << 10
	// maxPresence is the size in bytes up to which a presence is kept whole.
	maxPresence = 8 << 10
)

// Resource is an available resource at one moment: a small value that never changes and may be kept. The zero Resource is none.
type Resource struct{ r *resource }

// resource never changes.
type resource struct {
	jid      xmpp.JID
	xml      string // the presence; empty if it was too large
	status   string
	time     time.Time
	show     stanza.ShowType
	priority int8
}

// IsZero reports whether it is none.
func (r Resource) IsZero() bool { return r.r == nil }

// JID is the full address.
func (r Resource) JID() xmpp.JID {
	if r.r == nil {
		return xmpp.JID{}
	}
	return r.r.jid
}

// Show is how available it is.
func (r Resource) Show() stanza.ShowType {
	if r.r == nil {
		return stanza.ShowNone
	}
	return r.r.show
}

// Status is the text that goes with it, the first 4 KiB of it.
func (r Resource) Status() string {
	if r.r == nil {
		return ""
	}
	return r.r.status
}

// Priority is where messages to the bare address go: to the highest, and to none below 0.
func (r Resource) Priority() int8 {
	if r.r == nil {
		return 0
	}
	return r.r.priority
}

// Time is when its presence was sent, by its delay (XEP-0203) if it has one, which is the sender's word, else when it was received.
func (r Resource) Time() time.Time {
	if r.r == nil {
		return time.Time{}
	}
	return r.r.time
}

// Presence is the presence, for all that the other methods do not tell. Each call makes a new one, which belongs to the caller.
// Of a presence larger than 8 KiB only what the other methods tell is left. It is nil for the zero Resource.
func (r Resource) Presence() *stanza.Presence {
	if r.r == nil {
		return nil
	}
	if st, err := stanza.Parse(r.r.xml); err == nil {
		if p, ok := st.(*stanza.Presence); ok {
			return p
		}
	}
	p := stanza.NewPresence(stanza.Available, xmpp.JID{})
	p.SetFrom(r.r.jid)
	p.SetShow(r.r.show)
	p.SetStatus(r.r.status)
	p.SetPriority(r.r.priority)
	return p
}

// String is the resource's part of its address.
func (r Resource) String() string { return r.JID().Resource() }

// newResource reads an available presence. Nothing of it is kept but copies.
func newResource(p *stanza.Presence, from xmpp.JID, now time.Time) *resource {
	r := &resource{jid: from, status: strings.Clone(clip(p.Status(), maxStatus)), time: now, show: p.Show(), priority: p.Priority()}
	if v, ok := stanza.Attr(p.Child("delay", "urn:xmpp:delay"), "stamp"); ok {
		if t, err := datetime.Parse(v); err == nil && t.Before(now) {
			r.time = t
		}
	}
	if xml := stanza.Compact(p.Element()); len(xml) <= maxPresence {
		r.xml = xml
	}
	return r
}

// clip cuts a text to n bytes, between characters.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// better is the order of resources: the best is the least.
func (r *resource) better(o *resource) int {
	return cmp.Or(cmp.Compare(o.priority, r.priority), cmp.Compare(o.show, r.show), o.time.Compare(r.time), r.jid.Compare(o.jid))
}

// presences are the available resources of one bare address. They never change; nil is none.
type presences struct {
	jid  xmpp.JID    // bare
	list []*resource // the best first
	last string      // the status of the last that has gone
}

func (p *presences) all() []*resource {
	if p == nil {
		return nil
	}
	return p.list
}

func (p *presences) find(full xmpp.JID) *resource {
	for _, r := range p.all() {
		if r.jid == full {
			return r
		}
	}
	return nil
}

// with are the presences with r, which takes the place of old, nil if it is new.
func (p *presences) with(bare xmpp.JID, r, old *resource) *presences {
	all := p.all()
	next := &presences{jid: bare, list: make([]*resource, 0, len(all)+1)}
	if p != nil {
		next.jid = p.jid
	}
	at := -1
	for _, x := range all {
		if x == old {
			continue
		}
		if at < 0 && r.better(x) < 0 {
			at = len(next.list)
			next.list = append(next.list, r)
		}
		next.list = append(next.list, x)
	}
	if at < 0 {
		next.list = append(next.list, r)
	}
	return next
}

// without are the presences without old, which has gone with a status; nil if nothing is left to tell.
func (p *presences) without(old *resource, status string) *presences {
	next := &presences{jid: p.jid, last: status}
	if old != nil && len(p.list) > 1 {
		next.list = slices.DeleteFunc(slices.Clone(p.list), func(r *resource) bool { return r == old })
	}
	if len(next.list) == 0 && status == "" {
		return nil
	}
	return next
}
