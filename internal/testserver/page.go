package testserver

import (
	"slices"
	"strconv"

	"github.com/beevik/etree"
)

const nsRSM = "http://jabber.org/protocol/rsm"

// page gives the part of a list that set asks for, size at most, in the order of the list (XEP-0059); set may be nil.
// complete says that there is no more in that direction; ok is false if the id that is named is not there.
func page[T any](list []T, set *etree.Element, size int, id func(T) string) (part []T, answer *etree.Element, complete, ok bool) {
	if n, err := strconv.Atoi(text(child(set, "max", nsRSM))); err == nil && n >= 0 && n < size {
		size = n
	}
	from, to, back := 0, len(list), child(set, "before", nsRSM) != nil
	position := func(name string) (i int, asked bool) {
		v := text(child(set, name, nsRSM))
		return slices.IndexFunc(list, func(x T) bool { return id(x) == v }), v != ""
	}
	if i, asked := position("after"); asked {
		if i < 0 {
			return nil, nil, false, false
		}
		from = i + 1
	}
	if i, asked := position("before"); asked {
		if i < 0 {
			return nil, nil, false, false
		}
		to = i
	}
	part = list[from:max(from, to)]
	complete = len(part) <= size
	if !complete && back {
		part = part[len(part)-size:]
	} else if !complete {
		part = part[:size]
	}
	answer = elem("set", nsRSM)
	if len(part) > 0 {
		answer.CreateElement("first").SetText(id(part[0]))
		answer.CreateElement("last").SetText(id(part[len(part)-1]))
	}
	answer.CreateElement("count").SetText(strconv.Itoa(len(list)))
	return part, answer, complete, true
}
