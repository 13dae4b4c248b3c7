package vcard

import (
	"errors"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/stanza"
)

// NS4 is the namespace of the vCards of version 4 (RFC 6351, XEP-0292).
const NS4 = "urn:ietf:params:xml:ns:vcard-4.0"

// Card4 is a vCard of version 4: a list of properties, in order. Change the list as you like; the methods find and replace by name.
// What was read is written again as it was, groups, parameters and unknown properties included.
type Card4 struct {
	Properties []Property
	// Truncated tells that the card was larger than [Limits] allow, and something of it was left out.
	// Such a card must not be published as the own one.
	Truncated bool
}

// Property is one property of a [Card4].
type Property struct {
	// Name is that of the element, in lower case: fn, n, tel (RFC 6350 section 6).
	Name string
	// Group is the group that it belongs to, empty if none. Neighbours of one group are written into one element.
	Group string
	// Parameters say more about the value: type, pref, language (RFC 6350 section 5).
	Parameters []Parameter
	// Values are what it says: mostly one; several where a property is a list; those of n, adr and gender have the names of its components.
	Values []Value
	// Raw is the element of a property that is not made like that, or is in another namespace. All but Name and Group is empty then. Read-only.
	Raw *etree.Element
}

// Parameter is a parameter of a [Property].
type Parameter struct {
	Name   string // type, pref, language …
	Values []Value
}

// Value is a text and what kind of text it is.
type Value struct {
	// Type is the name of the element: text, uri, date, date-time, date-and-or-time, timestamp, boolean, integer, language-tag …
	// (RFC 6351 section 5), or that of a component: surname, street, sex ….
	Type string
	Text string
}

// NewProperty makes a property with values of one type:
//
//	vcard.NewProperty("note", "text", "Wherefore art thou?")
func NewProperty(name, typ string, values ...string) Property {
	p := Property{Name: name}
	for _, v := range values {
		p.Values = append(p.Values, Value{typ, v})
	}
	return p
}

// parameterTypes are the types of the values of parameters that are not text (RFC 6351 appendix A).
var parameterTypes = map[string]string{"pref": "integer", "language": "language-tag", "geo": "uri"}

// With returns the property with one more parameter; p stays as it is.
func (p Property) With(name string, values ...string) Property {
	typ := parameterTypes[name]
	if typ == "" {
		typ = "text"
	}
	q := Parameter{Name: name}
	for _, v := range values {
		q.Values = append(q.Values, Value{typ, v})
	}
	p.Parameters = append(slices.Clip(slices.Clone(p.Parameters)), q)
	return p
}

// Text is the text of the first value, empty if there is none.
func (p *Property) Text() string {
	if p == nil || len(p.Values) == 0 {
		return ""
	}
	return p.Values[0].Text
}

// Component are the texts of the values of one type, such as the surnames of n; of all values for the empty type.
func (p *Property) Component(typ string) []string {
	if p == nil {
		return nil
	}
	return texts(p.Values, typ)
}

func texts(values []Value, typ string) []string {
	var out []string
	for _, v := range values {
		if v.Type == typ || typ == "" {
			out = append(out, v.Text)
		}
	}
	return out
}

// Parameter are the values of a parameter, nil if it is not there.
func (p *Property) Parameter(name string) []string {
	if p == nil {
		return nil
	}
	var out []string
	for _, q := range p.Parameters {
		if q.Name == name {
			out = append(out, texts(q.Values, "")...)
		}
	}
	return out
}

// HasType reports whether the parameter type has this value, such as home or work, in any case.
func (p *Property) HasType(typ string) bool {
	return slices.ContainsFunc(p.Parameter("type"), func(s string) bool { return strings.EqualFold(s, typ) })
}

// Pref is the preference, from 1, the most preferred, to 100; 101 if none is given (RFC 6350 section 5.3).
func (p *Property) Pref() int {
	for _, s := range p.Parameter("pref") {
		if n, err := strconv.Atoi(strings.TrimSpace(s)); err == nil && 1 <= n && n <= 100 {
			return n
		}
	}
	return 101
}

// Date is the first value as a date; [ErrDate] if it is none.
func (p *Property) Date() (Date, error) { return ParseDate(p.Text()) }

// Media is the value of photo, logo, sound or key: the bytes of a data: URI of at most limit bytes, 256 KiB if that is zero, or the URI as it is.
// It is nil if there is no value.
func (p *Property) Media(limit int) *Media {
	if p.Text() == "" {
		return nil
	}
	m := mediaOfURI(p.Text(), Limits{Media: limit}.withDefaults().Media)
	if t := p.Parameter("mediatype"); m.Type == "" && len(t) > 0 {
		m.Type = t[0]
	}
	return m
}

// All ranges over the properties of a name, in order. They may be changed in place.
func (c *Card4) All(name string) iter.Seq[*Property] {
	return func(yield func(*Property) bool) {
		for i := range c.Properties {
			if p := &c.Properties[i]; p.Name == name && !yield(p) {
				return
			}
		}
	}
}

// Get is the most preferred property of a name, the first of those; nil if there is none. It may be changed in place.
func (c *Card4) Get(name string) *Property {
	var best *Property
	for p := range c.All(name) {
		if best == nil || p.Pref() < best.Pref() {
			best = p
		}
	}
	return best
}

// Text is the text of the property that Get returns, empty if there is none.
func (c *Card4) Text(name string) string { return c.Get(name).Text() }

// Add puts properties at the end.
func (c *Card4) Add(p ...Property) { c.Properties = append(c.Properties, p...) }

// Set puts a property into the place of the first of its name, and removes the others of that name.
func (c *Card4) Set(p Property) {
	if i := slices.IndexFunc(c.Properties, func(q Property) bool { return q.Name == p.Name }); i >= 0 {
		rest := slices.DeleteFunc(c.Properties[i+1:], func(q Property) bool { return q.Name == p.Name })
		c.Properties = c.Properties[:i+1+len(rest)]
		c.Properties[i] = p
		return
	}
	c.Add(p)
}

// Remove removes all properties of a name and returns how many there were.
func (c *Card4) Remove(name string) int {
	n := len(c.Properties)
	c.Properties = slices.DeleteFunc(c.Properties, func(p Property) bool { return p.Name == name })
	return n - len(c.Properties)
}

// FormattedName is the text of fn.
func (c *Card4) FormattedName() string { return c.Text("fn") }

// Photo is the most preferred photo, at most 256 KiB of it; nil if there is none. See [Property.Media].
func (c *Card4) Photo() *Media { return c.Get("photo").Media(0) }

// IsEmpty reports whether there are no properties. It is true for nil.
func (c *Card4) IsEmpty() bool { return c == nil || len(c.Properties) == 0 && !c.Truncated }

// Copy returns a card that shares nothing with c but the elements in Raw. It is nil for nil.
func (c *Card4) Copy() *Card4 {
	if c == nil {
		return nil
	}
	d := &Card4{Properties: slices.Clone(c.Properties), Truncated: c.Truncated}
	for i := range d.Properties {
		p := &d.Properties[i]
		p.Parameters, p.Values = slices.Clone(p.Parameters), slices.Clone(p.Values)
		for j := range p.Parameters {
			p.Parameters[j].Values = slices.Clone(p.Parameters[j].Values)
		}
	}
	return d
}

// MarshalText writes the card as XML, for storages and archives.
func (c *Card4) MarshalText() ([]byte, error) { return []byte(stanza.Compact(c.Element())), nil }

// UnmarshalText reads what MarshalText has written, without limits: it is not for text from the network.
func (c *Card4) UnmarshalText(text []byte) error {
	e, err := stanza.ParseElement(string(text))
	if err != nil {
		return err
	}
	d, err := decode4(e, Limits{Media: math.MaxInt}, true)
	if err != nil {
		return err
	}
	*c = *d
	return nil
}

// errNotCard4 is what Decode4 returns for another element.
var errNotCard4 = errors.New("vcard: not a vCard of version 4")
