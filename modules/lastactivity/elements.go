package lastactivity

import (
	"errors"
	"math"
	"strings"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// NS is the namespace of XEP-0012.
const NS = "jabber:iq:last"

// ErrAnswer is returned for what does not say when somebody was active last.
var ErrAnswer = errors.New("lastactivity: the answer holds no time")

// Meaning is what the time in an [Activity] is the time of.
type Meaning int

// The meanings, by who was asked.
const (
	// Idle is of a client, by its full address: for how long the user has done nothing (XEP-0012 section 3).
	Idle Meaning = iota
	// Gone is of an account, by its bare address: for how long none of its clients is available, 0 while one is (section 4).
	// The status is what the last one said when it went.
	Gone
	// Uptime is of a server or another service, by its domain: for how long it has been running (section 5).
	Uptime
)

// Activity is when somebody was active last.
type Activity struct {
	JID    xmpp.JID      // who
	Ago    time.Duration // in whole seconds, never negative; what cannot be a Duration is the longest there is
	Status string        // a text for people; empty mostly
}

// Meaning tells what Ago is the time of.
func (a Activity) Meaning() Meaning {
	switch {
	case a.JID.Resource() != "":
		return Idle
	case a.JID.Local() != "":
		return Gone
	}
	return Uptime
}

// NewQuery makes the question, for those who send it themselves.
func NewQuery(to xmpp.JID) *stanza.IQ {
	return stanza.NewIQ(stanza.Get, to, stanza.New("query", NS))
}

// IsQuery reports whether an IQ is such a question.
func IsQuery(iq *stanza.IQ) bool { return iq.IsGet() && iq.Child("query", NS) != nil }

// NewResponse makes the answer to a question: for how long nothing was done, in whole seconds, less than none being none; and a text, which clients leave empty.
// It is nil for an IQ that is no request.
func NewResponse(iq *stanza.IQ, ago time.Duration, status string) *stanza.IQ {
	q := stanza.New("query", NS)
	stanza.SetAttrInt(q.Element(), "seconds", int64(max(0, ago)/time.Second))
	if status != "" {
		q.T(status)
	}
	return iq.Result(q)
}

// Forbidden makes the answer to the question of somebody who may not know. It is nil for an IQ that is no request.
func Forbidden(iq *stanza.IQ) *stanza.IQ { return iq.Error(stanza.Forbidden) }

// Parse reads an answer. JID is the sender of it. The error is [ErrAnswer].
func Parse(answer *stanza.IQ) (Activity, error) {
	q := answer.Child("query", NS)
	if q == nil || !answer.IsResult() {
		return Activity{}, ErrAnswer
	}
	v, _ := stanza.Attr(q, "seconds")
	seconds, ok := stanza.ParseInt[int64](v) // one that is too big is cut to the biggest
	if seconds < 0 || !ok && seconds == 0 {
		return Activity{}, ErrAnswer
	}
	a := Activity{JID: answer.From().Clone(), Ago: math.MaxInt64, Status: strings.Clone(stanza.Text(q))}
	if seconds < math.MaxInt64/int64(time.Second) {
		a.Ago = time.Duration(seconds) * time.Second
	}
	return a, nil
}
