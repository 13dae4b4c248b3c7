package testserver

import (
	"slices"
	"strconv"
	"time"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/jid"
	"github.com/go-xmppframework/xmpp/stanza/datetime"
)

// The namespaces of archives.
const (
	nsArchive = "urn:xmpp:mam:2"
	nsRSM     = "http://jabber.org/protocol/rsm"
	nsForward = "urn:xmpp:forward:0"
)

// archivePage is how many messages the archive gives at a time.
const archivePage = 50

// archived is a message in the archive of a room.
type archived struct {
	id string
	at time.Time
	e  *etree.Element
}

// archive answers a query (XEP-0313): by time, and page by page in both directions.
func (rm *room) archive(query *etree.Element, to jid.JID) (*etree.Element, string) {
	var since, until time.Time
	for _, f := range children(child(query, "x", nsForm)) {
		t, err := datetime.Parse(text(child(f, "value", nsForm)))
		switch attr(f, "var") {
		case "start":
			since = t
		case "end":
			until = t
		default:
			continue
		}
		if err != nil {
			return nil, "bad-request"
		}
	}
	list := slices.DeleteFunc(slices.Clone(rm.log), func(a archived) bool {
		return !since.IsZero() && a.at.Before(since) || !until.IsZero() && a.at.After(until)
	})
	set := child(query, "set", nsRSM)
	size, back := archivePage, false
	if n, err := strconv.Atoi(text(child(set, "max", nsRSM))); err == nil && n >= 0 && n < size {
		size = n
	}
	total := len(list)
	position := func(name string) (int, bool) {
		return slices.IndexFunc(list, func(a archived) bool { return a.id == text(child(set, name, nsRSM)) }), text(child(set, name, nsRSM)) != ""
	}
	if i, asked := position("after"); asked {
		if i < 0 {
			return nil, "item-not-found"
		}
		list = list[i+1:]
	}
	if child(set, "before", nsRSM) != nil {
		back = true
		if i, asked := position("before"); asked {
			if i < 0 {
				return nil, "item-not-found"
			}
			list = list[:i]
		}
	}
	complete := len(list) <= size
	if !complete && back {
		list = list[len(list)-size:]
	} else if !complete {
		list = list[:size]
	}
	for _, a := range list {
		m := elem("message", nsClient, "from", rm.jid.String())
		r := elem("result", nsArchive, "id", a.id, "queryid", attr(query, "queryid"))
		f := elem("forwarded", nsForward)
		f.AddChild(elem("delay", nsDelay, "stamp", datetime.Format(a.at.UTC())))
		f.AddChild(a.e.Copy())
		r.AddChild(f)
		m.AddChild(r)
		rm.service.send(m, to)
	}
	fin := elem("fin", nsArchive)
	if complete {
		fin.CreateAttr("complete", "true")
	}
	answer := elem("set", nsRSM)
	if len(list) > 0 {
		answer.CreateElement("first").SetText(list[0].id)
		answer.CreateElement("last").SetText(list[len(list)-1].id)
	}
	answer.CreateElement("count").SetText(strconv.Itoa(total))
	fin.AddChild(answer)
	return fin, ""
}

func children(e *etree.Element) []*etree.Element {
	if e == nil {
		return nil
	}
	return e.ChildElements()
}
