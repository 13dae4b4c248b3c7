package roster

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"unicode"
	"unicode/utf8"

	"github.com/go-xmppframework/xmpp"
)

// All are all contacts, in no particular order, as they are when the loop begins. For a sorted list:
//
//	slices.SortedFunc(r.All(), roster.CompareName)
func (r *Roster) All() iter.Seq[Contact] {
	return func(yield func(Contact) bool) { each(r.snapshot(nil), yield) }
}

// Online are the contacts with a primary resource; otherwise it is like All. Its cost is that of those, not of the whole roster.
func (r *Roster) Online() iter.Seq[Contact] {
	return func(yield func(Contact) bool) {
		r.mu.RLock()
		var list []Contact
		for jid := range r.presence {
			if it := r.items[jid]; it != nil {
				if c := r.contactLocked(it); c.IsOnline() {
					list = append(list, c)
				}
			}
		}
		r.mu.RUnlock()
		each(list, yield)
	}
}

// Offline are the contacts without a primary resource; otherwise it is like All.
func (r *Roster) Offline() iter.Seq[Contact] {
	return func(yield func(Contact) bool) {
		each(r.snapshot(func(c Contact) bool { return !c.IsOnline() }), yield)
	}
}

// Group are the contacts in a group; otherwise it is like All.
func (r *Roster) Group(name string) iter.Seq[Contact] {
	return func(yield func(Contact) bool) {
		each(r.snapshot(func(c Contact) bool { return c.InGroup(name) }), yield)
	}
}

// Groups are the names of the groups that have contacts, sorted.
func (r *Roster) Groups() iter.Seq[string] {
	return func(yield func(string) bool) {
		r.mu.RLock()
		names := slices.Sorted(maps.Keys(r.groups))
		r.mu.RUnlock()
		each(names, yield)
	}
}

// Len is how many contacts there are.
func (r *Roster) Len() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.items)
}

// Contact is the contact with an address; a resource in it does not matter.
func (r *Roster) Contact(jid xmpp.JID) (c Contact, ok bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	it := r.items[jid.Bare()]
	if it == nil {
		return Contact{}, false
	}
	return r.contactLocked(it), true
}

// Resource is the available resource with a full address, of a contact or the own account.
func (r *Roster) Resource(full xmpp.JID) (Resource, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	bare := full.Bare()
	if r.items[bare] == nil && bare != r.account {
		return Resource{}, false
	}
	x := r.presence[bare].find(full)
	return Resource{x}, x != nil
}

// Me is the own account, with the account's available resources as far as the server has told of them:
// once presence was sent, that of this stream is one of them. It has no name, no groups and no subscription.
func (r *Roster) Me() Contact {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.contactLocked(r.self)
}

// OtherResources are those of Me that are other clients of the account.
func (r *Roster) OtherResources() iter.Seq[Resource] {
	return func(yield func(Resource) bool) {
		var mine xmpp.JID
		if s := r.Stream(); s != nil {
			mine = s.MyJID()
		}
		for x := range r.Me().Resources() {
			if x.JID() != mine && !yield(x) {
				return
			}
		}
	}
}

// contactLocked is the snapshot of a contact.
func (r *Roster) contactLocked(it *item) Contact {
	_, requested := r.requests[it.jid]
	return Contact{item: it, presences: r.presence[it.jid], requested: requested}
}

// snapshot are the contacts that pass, all if keep is nil.
func (r *Roster) snapshot(keep func(Contact) bool) []Contact {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var list []Contact
	if keep == nil {
		list = make([]Contact, 0, len(r.items))
	}
	for _, it := range r.items {
		if c := r.contactLocked(it); keep == nil || keep(c) {
			list = append(list, c)
		}
	}
	return list
}

func each[T any](list []T, yield func(T) bool) {
	for _, x := range list {
		if !yield(x) {
			return
		}
	}
}

// CompareName orders contacts by DisplayName, whatever the case, then by address. It knows no language's rules of sorting.
func CompareName(a, b Contact) int {
	return cmp.Or(compareFold(a.DisplayName(), b.DisplayName()), cmp.Compare(a.DisplayName(), b.DisplayName()), a.JID().Compare(b.JID()))
}

// CompareAvailability orders contacts by their sections, the available first, then as CompareName does.
func CompareAvailability(a, b Contact) int {
	return cmp.Or(cmp.Compare(a.Section(), b.Section()), CompareName(a, b))
}

// CompareResources orders resources, the best first: by priority, then by how available they are, then by time, the latest first, then by address.
func CompareResources(a, b Resource) int {
	switch {
	case a.r == b.r:
		return 0
	case a.r == nil:
		return 1
	case b.r == nil:
		return -1
	}
	return a.r.better(b.r)
}

// compareFold compares two texts letter by letter, in lower case.
func compareFold(a, b string) int {
	for a != "" && b != "" {
		x, n := utf8.DecodeRuneInString(a)
		y, m := utf8.DecodeRuneInString(b)
		if x != y {
			if c := cmp.Compare(unicode.ToLower(x), unicode.ToLower(y)); c != 0 {
				return c
			}
		}
		a, b = a[n:], b[m:]
	}
	return cmp.Compare(len(a), len(b))
}
