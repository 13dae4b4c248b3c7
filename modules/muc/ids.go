package muc

import "strings"

// origin is how one message is told from another.
type origin struct {
	nick, occupant     string
	stanza, origin, id string
}

// key is one way to name a message.
type key struct {
	kind byte // 's': by the room, 'o': origin-id, 'i': id
	nick string
	id   string
}

// ids are the last messages of a room. The zero value with a max is empty.
type ids struct {
	max  int
	last []*origin // a ring
	next int
	by   map[key]*origin
}

func (o *origin) keys() (list [3]key) {
	if o.stanza != "" {
		list[0] = key{'s', "", o.stanza}
	}
	if o.origin != "" {
		list[1] = key{'o', o.nick, o.origin}
	}
	if o.id != "" {
		list[2] = key{'i', o.nick, o.id}
	}
	return list
}

// seen reports whether the message was noted before: see Storage for which are the same.
func (s *ids) seen(o *origin) bool {
	keys := o.keys()
	if keys[0].kind != 0 && s.by[keys[0]] != nil {
		return true
	}
	for _, k := range keys[1:] {
		if k.kind == 0 {
			continue
		}
		x := s.by[k]
		switch {
		case x == nil, x.stanza != "" && o.stanza != "", x.occupant != "" && o.occupant != "" && x.occupant != o.occupant:
		case k.kind == 'i' && x.origin != "" && o.origin != "":
		default:
			return true
		}
	}
	return false
}

// has reports whether a message with that stanza-id was noted.
func (s *ids) has(id string) bool { return id != "" && s.by[key{'s', "", id}] != nil }

// note remembers a message, and forgets the oldest. The strings of o are cloned.
func (s *ids) note(o *origin) {
	c := origin{strings.Clone(o.nick), strings.Clone(o.occupant), clipID(o.stanza), clipID(o.origin), clipID(o.id)}
	keys := c.keys()
	if keys == [3]key{} {
		return
	}
	if s.by == nil {
		s.by = map[key]*origin{}
	}
	if len(s.last) < s.max {
		s.last = append(s.last, &c)
	} else {
		old := s.last[s.next]
		for _, k := range old.keys() {
			if s.by[k] == old {
				delete(s.by, k)
			}
		}
		s.last[s.next] = &c
		s.next = (s.next + 1) % s.max
	}
	for _, k := range keys {
		if k.kind != 0 {
			s.by[k] = &c
		}
	}
}

// clipID copies an id; one that nobody would make is none.
func clipID(id string) string {
	if len(id) > 256 {
		return ""
	}
	return strings.Clone(id)
}
