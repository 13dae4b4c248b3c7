// Package rsm asks for long lists page by page: Result Set Management, XEP-0059. A [Request] and an [Answer] are the element <set/>,
// inside the element of the specification whose list it is: the archive, service discovery, publish-subscribe.
//
// [Items] goes through such a list, and asks for a page when it comes to it:
//
//	for item, err := range rsm.Items(ctx, rsm.Request{Max: 50}, rsm.Limits{}, fetch) {
//		if err != nil {
//			return err
//		}
//		…
//	}
package rsm

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/stanza"
)

// NS is the namespace of XEP-0059.
const NS = "http://jabber.org/protocol/rsm"

// MaxID is how many bytes an id may have in what is read; one that is longer is malformed.
const MaxID = 4096

// ErrMalformed is returned for a <set/> that cannot be understood.
var ErrMalformed = errors.New("rsm: malformed result set")

// Request says which page is asked for. The zero value asks for the first one, as large as whoever answers likes.
// At most one of After, Before, Last and Index says where it is.
type Request struct {
	// Max is how many items at most. If zero, as many as whoever answers likes; there may be fewer in any case.
	Max int
	// CountOnly asks how many items there are, and for none of them; then nothing else counts (section 2.7).
	CountOnly bool
	// After is the id after whose item the page begins (section 2.2). If zero, none.
	After string
	// Before is the id before whose item the page ends (section 2.3). If zero, none.
	Before string
	// Last asks for the last page (section 2.5).
	Last bool
	// Index is the position of the page's first item, counted from 0; not everybody can find it (section 2.6). If zero, none is sent.
	Index int
}

// Backwards reports whether the pages that follow are those before it.
func (r Request) Backwards() bool { return r.After == "" && (r.Before != "" || r.Last) }

// Valid reports what is wrong with the request: a number below zero, an id that is too long, or two places. nil is nothing.
func (r Request) Valid() error {
	places := 0
	for _, set := range []bool{r.After != "", r.Before != "", r.Last, r.Index != 0} {
		if set {
			places++
		}
	}
	switch {
	case r.Max < 0 || r.Index < 0:
		return fmt.Errorf("%w: a number below zero", ErrMalformed)
	case len(r.After) > MaxID || len(r.Before) > MaxID:
		return fmt.Errorf("%w: an id of more than %d bytes", ErrMalformed, MaxID)
	case places > 1 && !r.CountOnly:
		return fmt.Errorf("%w: two places at once", ErrMalformed)
	}
	return nil
}

// Element is <set/>, for the element of the specification whose list it is: a Request is a [stanza.Elementer]. Of a request that is not valid it has the first place that is set.
func (r Request) Element() *etree.Element {
	set := stanza.New("set", NS)
	switch {
	case r.CountOnly:
		return set.C("max").T("0").Element()
	case r.Max > 0:
		set.C("max").T(strconv.Itoa(r.Max)).Up()
	}
	switch {
	case r.After != "":
		set.C("after").T(r.After)
	case r.Before != "":
		set.C("before").T(r.Before)
	case r.Last:
		set.C("before")
	case r.Index > 0:
		set.C("index").T(strconv.Itoa(r.Index))
	}
	return set.Element()
}

// RequestOf reads the request inside e, which is that of the specification whose list it is. ok is false if there is none.
// The error is ErrMalformed for two of them, for what is there twice, for what is no number, and for what [Request.Valid] refuses.
func RequestOf(e *etree.Element) (r Request, ok bool, err error) {
	set, err := find(e)
	if set == nil || err != nil {
		return r, set != nil, err
	}
	p := parts{set: set}
	limit := p.number("max")
	r.After = p.text("after")
	if _, there := p.one("before"); there {
		r.Before = p.text("before")
		r.Last = r.Before == ""
	}
	index := p.number("index")
	if p.err != nil {
		return Request{}, true, p.err
	}
	r.Max, r.Index, r.CountOnly = max(limit, 0), max(index, 0), limit == 0
	if err := r.Valid(); err != nil {
		return Request{}, true, err
	}
	return r, true, nil
}

// Answer says which page one was given. It is a value, and its strings are copies.
type Answer struct {
	First string // the id of the first item; empty if the page is
	Last  string // the id of the last item; empty if the page is
	Index int    // the position of the first item, counted from 0; -1 if it is not said
	Count int    // how many items there are in all; -1 if it is not said. Both may be estimates
}

// Element is <set/>, as whoever answers writes it.
func (a Answer) Element() *etree.Element {
	set := stanza.New("set", NS)
	if a.First != "" {
		set.C("first").T(a.First)
		if a.Index >= 0 {
			set.A("index", strconv.Itoa(a.Index))
		}
		set.Up()
	}
	if a.Last != "" {
		set.C("last").T(a.Last).Up()
	}
	if a.Count >= 0 {
		set.C("count").T(strconv.Itoa(a.Count))
	}
	return set.Element()
}

// AnswerOf reads the answer inside e, which is that of the specification whose list it is. It is nil if there is none:
// whoever answers knows nothing of pages, and has given all.
// The error is ErrMalformed for two of them, for what is there twice, and for an id that is longer than [MaxID]. A count or an index that is no number is none.
func AnswerOf(e *etree.Element) (*Answer, error) {
	set, err := find(e)
	if set == nil || err != nil {
		return nil, err
	}
	p := parts{set: set}
	a := &Answer{First: p.text("first"), Last: p.text("last"), Index: -1, Count: -1}
	if first, ok := p.one("first"); ok {
		a.Index = number(stanza.AttrOr(first, "index", ""))
	}
	if count, ok := p.one("count"); ok {
		a.Count = number(stanza.Text(count))
	}
	if p.err != nil {
		return nil, p.err
	}
	return a, nil
}

// find is the only <set/> in e, nil if there is none.
func find(e *etree.Element) (*etree.Element, error) {
	p := parts{set: e}
	set, _ := p.one("set")
	return set, p.err
}

// parts reads children of which there may be one each.
type parts struct {
	set *etree.Element
	err error
}

func (p *parts) one(name string) (found *etree.Element, ok bool) {
	if p.set == nil {
		return nil, false
	}
	for c := range stanza.Children(p.set, name, NS) {
		if found != nil {
			p.err = fmt.Errorf("%w: <%s/> twice", ErrMalformed, name)
		}
		found = c
	}
	return found, found != nil
}

func (p *parts) text(name string) string {
	e, _ := p.one(name)
	text := stanza.Text(e)
	if len(text) > MaxID {
		p.err = fmt.Errorf("%w: an id of more than %d bytes", ErrMalformed, MaxID)
		return ""
	}
	return strings.Clone(text)
}

// number is -1 for a child that is not there.
func (p *parts) number(name string) int {
	e, ok := p.one(name)
	if !ok {
		return -1
	}
	n := number(stanza.Text(e))
	if n < 0 {
		p.err = fmt.Errorf("%w: <%s/> is no number", ErrMalformed, name)
	}
	return n
}

// number is -1 for what is none from 0 to 2³¹-1.
func number(s string) int {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 31)
	if err != nil {
		return -1
	}
	return int(n)
}
