package roster

import (
	"fmt"
	"maps"
	"slices"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
)

// Populate makes query the roster, as if the server had been asked.
func (r *Roster) Populate(s *xmpp.Stream, query *etree.Element) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.populateLocked(s, query)
}

// Check looks whether everything fits together.
func (r *Roster) Check() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	counts := map[string]int{}
	for jid, it := range r.items {
		if jid != it.jid || !jid.IsBare() || jid == r.account {
			return fmt.Errorf("%v is listed as %v", it.jid, jid)
		}
		if !slices.IsSorted(it.groups) || len(slices.Compact(slices.Clone(it.groups))) != len(it.groups) || slices.Contains(it.groups, "") {
			return fmt.Errorf("%v is in the groups %q", jid, it.groups)
		}
		for _, g := range it.groups {
			counts[g]++
		}
	}
	have := map[string]int{}
	for name, g := range r.groups {
		if have[name] = g.n; g.one[0] != name {
			return fmt.Errorf("the group %q is called %q", name, g.one)
		}
	}
	if !maps.Equal(counts, have) {
		return fmt.Errorf("the groups are %v, counted %v", counts, have)
	}
	others := 0
	for jid, p := range r.presence {
		it := r.itemLocked(jid)
		if jid != p.jid || len(p.list) == 0 && p.last == "" || len(p.list) > maxResources {
			return fmt.Errorf("%v has %d resources as %v", p.jid, len(p.list), jid)
		}
		if r.has && it == nil {
			return fmt.Errorf("%v is no contact, and has presence", jid)
		}
		for i, x := range p.list {
			if x.jid.Bare() != jid || i > 0 && p.list[i-1].better(x) >= 0 || slices.IndexFunc(p.list, func(y *resource) bool { return y.jid == x.jid }) != i {
				return fmt.Errorf("%v is in its place wrong", x.jid)
			}
			if it == nil || it.guest {
				others += x.weight()
			}
		}
	}
	if others != r.others || others > maxOthers {
		return fmt.Errorf("the presence of others weighs %d, counted %d", others, r.others)
	}
	for jid, q := range r.requests {
		if jid != q.JID || !jid.IsBare() || jid == r.account || r.items[jid] != nil && r.items[jid].sub.From() && q.held != nil {
			return fmt.Errorf("%v asks as %v", q.JID, jid)
		}
	}
	return nil
}
