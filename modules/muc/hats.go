package muc

import (
	"cmp"
	"context"
	"iter"
	"strconv"
	"strings"

	"github.com/go-xmppframework/xmpp/stanza"
)

// NSHats is the namespace of XEP-0317.
const NSHats = "urn:xmpp:hats:0"

// What is kept of an occupant's hats at most: so many, with names and titles of so many bytes.
const (
	maxHats = 16
	maxHat  = 256
)

// Hat is something that an occupant is in a room, beyond role and affiliation: a host, a teacher (XEP-0317). The room gives it; it allows nothing by itself.
type Hat struct {
	URI   string  // what it is, for programs
	Title string  // for people, cut at 256 bytes; may be empty
	Hue   float64 // the angle of its colour, from 0 to 360 (XEP-0392); -1 if the room does not say
}

// Hats are the hats of an occupant, in the room's order: a value that nobody changes, and that == compares. The zero value is none.
type Hats struct{ list string } // what XML cannot have is between them

const (
	hatSep   = "\x1e"
	fieldSep = "\x1f"
)

// HatsOf makes hats of a list, of which it takes the first 16 that have a URI of at most 256 bytes, each once.
func HatsOf(list ...Hat) Hats {
	var b strings.Builder
	n, seen := 0, map[string]bool{}
	for _, h := range list {
		if h.URI == "" || len(h.URI) > maxHat || strings.ContainsAny(h.URI+h.Title, hatSep+fieldSep) || seen[h.URI] {
			continue
		}
		if n == maxHats {
			break
		}
		seen[h.URI] = true
		if n++; n > 1 {
			b.WriteString(hatSep)
		}
		hue := ""
		if h.Hue >= 0 && h.Hue <= 360 {
			hue = strconv.FormatFloat(h.Hue, 'g', -1, 64)
		}
		b.WriteString(h.URI + fieldSep + clip(h.Title, maxHat) + fieldSep + hue)
	}
	return Hats{b.String()}
}

// All are the hats.
func (h Hats) All() iter.Seq[Hat] {
	return func(yield func(Hat) bool) {
		if h.list == "" {
			return
		}
		for s := range strings.SplitSeq(h.list, hatSep) {
			f := strings.Split(s, fieldSep)
			hat := Hat{URI: f[0], Title: f[1], Hue: -1}
			if n, err := strconv.ParseFloat(f[2], 64); err == nil {
				hat.Hue = n
			}
			if !yield(hat) {
				return
			}
		}
	}
}

// Has reports whether the hat of that URI is among them.
func (h Hats) Has(uri string) bool {
	for hat := range h.All() {
		if hat.URI == uri {
			return true
		}
	}
	return false
}

// Len is the number of hats.
func (h Hats) Len() int {
	if h.list == "" {
		return 0
	}
	return strings.Count(h.list, hatSep) + 1
}

// String is the titles, or the URIs where there are none, with commas between them.
func (h Hats) String() string {
	var titles []string
	for hat := range h.All() {
		titles = append(titles, cmp.Or(hat.Title, hat.URI))
	}
	return strings.Join(titles, ", ")
}

// hatsOf reads the hats that a room adds. It takes away those that occupants give themselves, so two lists are not to be believed.
func hatsOf(p *stanza.Presence) Hats {
	var list []Hat
	n := 0
	for e := range p.Children() {
		if !stanza.Is(e, "hats", NSHats) {
			continue
		}
		if n++; n > 1 {
			return Hats{}
		}
		for h := range stanza.Children(e, "hat", NSHats) {
			if len(list) < maxHats {
				list = append(list, Hat{URI: stanza.AttrOr(h, "uri", ""), Title: stanza.AttrOr(h, "title", ""), Hue: stanza.AttrFloat(h, "hue", -1)})
			}
		}
	}
	return HatsOf(list...)
}

// HatsDelegate hears of hats.
type HatsDelegate interface {
	// RoomOccupantDidChangeHats is called when presence of an occupant shows other hats than the last one: Old has the old ones, Occupant the new ones.
	// It comes after the RoomOccupantDidUpdate of that presence; for one who comes with hats there is RoomOccupantDidJoin only.
	RoomOccupantDidChangeHats(ctx context.Context, r *Room, e OccupantEvent)
}

// hatsLocked tells of other hats.
func (r *Room) hatsLocked(e OccupantEvent) {
	if !e.Old.IsZero() && e.Old.Hats != e.Occupant.Hats {
		notify(r, ofHats, func(ctx context.Context, d HatsDelegate) { d.RoomOccupantDidChangeHats(ctx, r, e) })
	}
}
