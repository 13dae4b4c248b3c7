package testserver

import (
	"strconv"
	"time"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/jid"
	"github.com/go-xmppframework/xmpp/stanza/datetime"
)

// version is XEP-0092.
func (srv *Server) version() *etree.Element {
	q := elem("query", nsVersion)
	q.CreateElement("name").SetText("testserver")
	q.CreateElement("version").SetText("1")
	return q
}

// time is XEP-0202. The server lives in UTC.
func (srv *Server) time() *etree.Element {
	q := elem("time", nsTime)
	q.CreateElement("tzo").SetText("Z")
	q.CreateElement("utc").SetText(datetime.Format(time.Now()))
	return q
}

// lastActivity is XEP-0012: for how long the server has been running (§5), or since when an account has no available resource,
// which those may know who see its presence (§4). mu is held.
func (srv *Server) lastActivity(e *etree.Element, own bool, to jid.JID) (*etree.Element, string) {
	if to == srv.domain {
		return last(srv.started, ""), ""
	}
	a := srv.account(to)
	if own {
		a = srv.accounts[fromOf(e).Local()]
	}
	switch {
	case !srv.sees(e, a):
		return nil, "forbidden"
	case own || len(a.others(nil)) > 0:
		return last(time.Now(), ""), "" // it is there
	case a.seen.IsZero():
		return nil, "item-not-found" // never
	}
	return last(a.seen, a.seenStatus), ""
}

// noteGone remembers since when an account has no available resource, and the last word of the last one.
func (a *account) noteGone(e *etree.Element) {
	if len(a.others(nil)) > 0 {
		return
	}
	a.seen, a.seenStatus = time.Now(), ""
	if c := child(e, "status", nsClient); c != nil {
		a.seenStatus = c.Text()
	}
}

func last(since time.Time, status string) *etree.Element {
	q := elem("query", nsLast, "seconds", strconv.Itoa(int(time.Since(since)/time.Second)))
	if status != "" {
		q.SetText(status)
	}
	return q
}

// fromOf is the sender, the zero JID if there is none.
func fromOf(e *etree.Element) jid.JID {
	j, _ := jid.Parse(attr(e, "from"))
	return j
}
