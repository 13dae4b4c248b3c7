package vcard

import (
	"math"
	"strconv"
	"strings"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/stanza"
)

// Decode reads a vCard element of XEP-0054, within limits. What is wrong or too large in it is left out, and the rest is kept:
// see [Media.Err] and [Card.Truncated]. The error is about an element that is no vCard at all. The card shares no memory with e.
func Decode(e *etree.Element, l Limits) (*Card, error) { return decode(e, l.withDefaults(), false) }

// decode with keep leaves nothing out: what is over the limits stays as it is in Extra and in Media.
func decode(e *etree.Element, l Limits, keep bool) (*Card, error) {
	if !stanza.Is(e, "vCard", NS) {
		return nil, errNotCard
	}
	d := &decoder{budget: newBudget(l, keep)}
	c := d.card(e, 0)
	c.Truncated = d.truncated
	return c, nil
}

// budget is what may still be read.
type budget struct {
	limits        Limits
	keep          bool
	text, entries int
	truncated     bool
}

func newBudget(l Limits, keep bool) budget {
	if keep {
		l.Text, l.Entries = math.MaxInt, math.MaxInt
	}
	return budget{limits: l, keep: keep, text: l.Text, entries: l.Entries}
}

// take reports whether n more bytes of text may be kept.
func (b *budget) take(n int) bool {
	if n > b.text {
		b.truncated = true
		return false
	}
	b.text -= n
	return true
}

// string is a text of its own, empty if it is too long.
func (b *budget) string(s string) string {
	if !b.take(len(s)) {
		return ""
	}
	return strings.Clone(s)
}

// entry reports whether one more property may be read.
func (b *budget) entry() bool {
	if b.entries <= 0 {
		b.truncated = true
		return false
	}
	b.entries--
	return true
}

// unknown keeps an element as it is.
func (b *budget) unknown(list *[]*etree.Element, e *etree.Element) {
	if b.take(size(e)) {
		*list = append(*list, own(e))
	}
}

// size is about what an element takes.
func size(e *etree.Element) int {
	n := 16 + 2*len(e.Tag)
	for _, a := range e.Attr {
		n += 8 + len(a.Key) + len(a.Value)
	}
	for _, t := range e.Child {
		switch t := t.(type) {
		case *etree.Element:
			n += size(t)
		case *etree.CharData:
			n += len(t.Data)
		}
	}
	return n
}

// own is a copy that shares no memory with the stanza.
func own(e *etree.Element) *etree.Element { return remake(stanza.Detach(e)) }

// remake makes a tree anew. Copies by etree and by stanza share the strings, and keep elements that they are copied from alive.
func remake(e *etree.Element) *etree.Element {
	c := etree.NewElement(strings.Clone(e.FullTag()))
	for _, a := range e.Attr {
		c.CreateAttr(strings.Clone(a.FullKey()), strings.Clone(a.Value))
	}
	for _, t := range e.Child {
		switch t := t.(type) {
		case *etree.Element:
			c.AddChild(remake(t))
		case *etree.CharData:
			c.CreateText(strings.Clone(t.Data))
		}
	}
	return c
}

type decoder struct{ budget }

// card reads the elements of a vCard. depth is 1 inside the AGENT of another.
func (d *decoder) card(e *etree.Element, depth int) *Card {
	c := new(Card)
	c.Version = d.string(stanza.AttrOr(e, "version", ""))
	for x := range stanza.Children(e, stanza.Any, stanza.Any) {
		if !d.entry() {
			break
		}
		if stanza.Namespace(x) != NS || !d.list(c, x) && (c.has(x.Tag) || !d.single(c, x, depth)) {
			d.unknown(&c.Extra, x)
		}
	}
	return c
}

// has reports whether the place of an element is taken. An empty element takes none.
func (c *Card) has(name string) bool {
	if p := c.text(name); p != nil {
		return *p != ""
	}
	switch name {
	case "N":
		n := &c.Name
		return n.Family+n.Given+n.Middle+n.Prefix+n.Suffix != "" || n.Extra != nil
	case "PHOTO":
		return c.Photo != nil
	case "LOGO":
		return c.Logo != nil
	case "SOUND":
		return c.Sound != nil
	case "ORG":
		return c.Organization.Name != "" || c.Organization.Units != nil || c.Organization.Extra != nil
	case "CATEGORIES":
		return c.Categories != nil
	case "GEO":
		return c.Location != nil
	case "AGENT":
		return c.Agent != nil
	case "CLASS":
		return c.Class != ""
	case "KEY":
		return c.Key != nil
	}
	return false
}

// list reads an element of which there may be several; it leaves out those with nothing in them.
func (d *decoder) list(c *Card, e *etree.Element) bool {
	switch e.Tag {
	case "ADR":
		var a Address
		d.parts(e, &a.Extra, &a.Flags, fields{"POBOX": &a.POBox, "EXTADD": &a.Extended, "STREET": &a.Street, "LOCALITY": &a.Locality,
			"REGION": &a.Region, "PCODE": &a.PostalCode, "CTRY": &a.Country, "COUNTRY": &a.Country})
		if a.Flags != 0 || a.Extra != nil || a.POBox+a.Extended+a.Street+a.Locality+a.Region+a.PostalCode+a.Country != "" {
			c.Addresses = append(c.Addresses, a)
		}
	case "LABEL":
		var l Label
		d.parts(e, &l.Extra, &l.Flags, fields{"LINE": &l.Lines})
		if text := strings.TrimSpace(stanza.Text(e)); l.Lines == nil && text != "" {
			l.Lines = []string{d.string(text)}
		}
		if l.Flags != 0 || l.Extra != nil || l.Lines != nil {
			c.Labels = append(c.Labels, l)
		}
	case "TEL":
		var p Phone
		d.parts(e, &p.Extra, &p.Flags, fields{"NUMBER": &p.Number})
		d.orText(e, &p.Number)
		if p.Extra != nil || p.Number != "" {
			c.Phones = append(c.Phones, p)
		}
	case "EMAIL":
		var m Email
		d.parts(e, &m.Extra, &m.Flags, fields{"USERID": &m.UserID})
		d.orText(e, &m.UserID)
		if m.Flags != 0 || m.Extra != nil || m.UserID != "" {
			c.Emails = append(c.Emails, m)
		}
	default:
		return false
	}
	return true
}

// single reads an element that has one place. It reports false if it is unknown, or cannot be read.
func (d *decoder) single(c *Card, e *etree.Element, depth int) bool {
	if p := c.text(e.Tag); p != nil {
		*p = d.string(stanza.Text(e))
		return true
	}
	switch e.Tag {
	case "N":
		n := &c.Name
		d.parts(e, &n.Extra, nil, fields{"FAMILY": &n.Family, "GIVEN": &n.Given, "MIDDLE": &n.Middle, "PREFIX": &n.Prefix, "SUFFIX": &n.Suffix})
	case "PHOTO":
		c.Photo = d.media(e, nil)
	case "LOGO":
		c.Logo = d.media(e, nil)
	case "SOUND":
		s := new(Sound)
		if m := d.media(e, &s.Phonetic); m != nil {
			s.Media = *m
		}
		if m := &s.Media; s.Phonetic != "" || m.Data != nil || m.URI != "" || m.err != nil || m.Type != "" || m.Extra != nil {
			c.Sound = s
		}
	case "ORG":
		o := &c.Organization
		d.parts(e, &o.Extra, nil, fields{"ORGNAME": &o.Name, "ORGUNIT": &o.Units})
		d.orText(e, &o.Name)
	case "CATEGORIES":
		var unknown []*etree.Element
		d.parts(e, &unknown, nil, fields{"KEYWORD": &c.Categories})
		c.Extra = append(c.Extra, wrapped("CATEGORIES", unknown)...)
		if text := strings.TrimSpace(stanza.Text(e)); c.Categories == nil && text != "" { // a server that converts vCard4 writes it so
			c.Categories = []string{d.string(text)}
		}
	case "GEO":
		return d.location(c, e)
	case "AGENT":
		return depth == 0 && d.agent(c, e)
	case "CLASS":
		return d.class(c, e)
	case "KEY":
		k := new(Key)
		d.parts(e, &k.Extra, nil, fields{"TYPE": &k.Type, "CRED": &k.Credential})
		d.orText(e, &k.Credential)
		if k.Type != "" || k.Credential != "" || k.Extra != nil {
			c.Key = k
		}
	default:
		return false
	}
	return true
}

// text is the place of an element that holds a text.
func (c *Card) text(name string) *string {
	switch name {
	case "VERSION":
		return &c.Version
	case "FN":
		return &c.FormattedName
	case "NICKNAME":
		return &c.Nickname
	case "BDAY":
		return &c.Birthday
	case "JABBERID":
		return &c.JabberID
	case "MAILER":
		return &c.Mailer
	case "TZ":
		return &c.TimeZone
	case "TITLE":
		return &c.Title
	case "ROLE":
		return &c.Role
	case "NOTE":
		return &c.Note
	case "PRODID":
		return &c.ProductID
	case "REV":
		return &c.Revision
	case "SORT-STRING":
		return &c.SortString
	case "UID":
		return &c.UID
	case "URL":
		return &c.URL
	case "DESC":
		return &c.Description
	}
	return nil
}

// fields are places for the texts of children: *string for one, *[]string for several.
type fields map[string]any

// parts reads the children of a structured element; what has no place goes to extra, flags if it is nil too.
func (d *decoder) parts(e *etree.Element, extra *[]*etree.Element, flags *Flags, f fields) {
	for x := range stanza.Children(e, stanza.Any, stanza.Any) {
		known := stanza.Namespace(x) == NS
		switch p := f[x.Tag].(type) {
		case *string:
			if known && *p == "" {
				*p = d.string(stanza.Text(x))
				continue
			}
		case *[]string:
			if known {
				if d.entry() {
					*p = append(*p, d.string(stanza.Text(x)))
				}
				continue
			}
		default:
			if flag := flagNamed(x.Tag); known && flags != nil && flag != 0 {
				*flags |= flag
				continue
			}
		}
		if d.entry() {
			d.unknown(extra, x)
		}
	}
}

// orText takes the text of the element itself where the child for it is missing, as some write it.
func (d *decoder) orText(e *etree.Element, p *string) {
	if text := strings.TrimSpace(stanza.Text(e)); *p == "" && text != "" {
		*p = d.string(text)
	}
}

// media reads a photo, logo or sound; nil if there is nothing in it.
func (d *decoder) media(e *etree.Element, phonetic *string) *Media {
	m := new(Media)
	for x := range stanza.Children(e, stanza.Any, stanza.Any) {
		switch {
		case stanza.Is(x, "TYPE", NS) && m.Type == "":
			m.Type = d.string(stanza.Text(x))
		case stanza.Is(x, "EXTVAL", NS) && m.URI == "":
			m.URI = d.string(stanza.Text(x))
		case stanza.Is(x, "PHONETIC", NS) && phonetic != nil && *phonetic == "":
			*phonetic = d.string(stanza.Text(x))
		case stanza.Is(x, "BINVAL", NS) && (m.Data != nil || m.err != nil):
			if d.keep {
				d.unknown(&m.Extra, x)
			}
		case stanza.Is(x, "BINVAL", NS):
			m.Data, m.err = decodeBinary(stanza.Text(x), d.limits.Media)
			if len(m.Data) == 0 {
				m.Data = nil
			}
			if m.err != nil && d.keep {
				m.raw = own(e)
			}
		default:
			if d.entry() {
				d.unknown(&m.Extra, x)
			}
		}
	}
	if m.Data == nil && m.URI == "" && m.err == nil && m.Extra == nil { // a type alone says nothing
		return nil
	}
	return m
}

func (d *decoder) location(c *Card, e *etree.Element) bool {
	var l Location
	var lat, lon string
	d.parts(e, &l.Extra, nil, fields{"LAT": &lat, "LON": &lon})
	if lat == "" && lon == "" && l.Extra == nil {
		return true
	}
	var ok1, ok2 bool
	l.Latitude, ok1 = degrees(lat, 90)
	l.Longitude, ok2 = degrees(lon, 180)
	if ok1 && ok2 {
		c.Location = &l
	}
	return ok1 && ok2
}

// degrees reads a number of degrees, most of which there may be.
func degrees(s string, most float64) (float64, bool) {
	f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	return f, err == nil && math.Abs(f) <= most
}

func (d *decoder) agent(c *Card, e *etree.Element) bool {
	a := new(Agent)
	for x := range stanza.Children(e, stanza.Any, stanza.Any) {
		switch {
		case stanza.Is(x, "vCard", NS) && a.Card == nil:
			a.Card = d.card(x, 1)
		case stanza.Is(x, "EXTVAL", NS) && a.URI == "":
			a.URI = d.string(stanza.Text(x))
		default:
			if d.entry() {
				d.unknown(&a.Extra, x)
			}
		}
	}
	if a.Card != nil || a.URI != "" || a.Extra != nil {
		c.Agent = a
	}
	return true
}

func isClass(c Class) bool { return c == Public || c == Private || c == Confidential }

// class reads a CLASS that holds one of the three and nothing else.
func (d *decoder) class(c *Card, e *etree.Element) bool {
	children := e.ChildElements()
	if len(children) != 1 || stanza.Namespace(children[0]) != NS || !isClass(Class(children[0].Tag)) {
		return len(children) == 0
	}
	c.Class = Class(strings.Clone(children[0].Tag))
	return true
}

// wrapped puts elements into one of this name again.
func wrapped(name string, children []*etree.Element) []*etree.Element {
	if children == nil {
		return nil
	}
	b := stanza.New(name, NS)
	for _, x := range children {
		b.Add(stanza.Raw(x))
	}
	return []*etree.Element{b.Element()}
}
