package testserver

import (
	"slices"
	"time"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/jid"
	"github.com/go-xmppframework/xmpp/stanza/datetime"
)

// The namespaces of archives.
const (
	nsArchive = "urn:xmpp:mam:2"
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
	list, answer, complete, ok := page(list, child(query, "set", nsRSM), archivePage, func(a archived) string { return a.id })
	if !ok {
		return nil, "item-not-found"
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
	fin.AddChild(answer)
	return fin, ""
}

func children(e *etree.Element) []*etree.Element {
	if e == nil {
		return nil
	}
	return e.ChildElements()
}
