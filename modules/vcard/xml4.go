package vcard

import (
	"math"
	"strings"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/stanza"
)

// Decode4 reads a vcard element of RFC 6351, within limits: what is too large is left out, see [Card4.Truncated].
// Limits.Media is that of the bytes in one data: URI. A vcards element with one card is read as well.
// The error is about an element that is no such vCard. The card shares no memory with e.
func Decode4(e *etree.Element, l Limits) (*Card4, error) { return decode4(e, l.withDefaults(), false) }

func decode4(e *etree.Element, l Limits, keep bool) (*Card4, error) {
	if stanza.Is(e, "vcards", NS4) {
		e = stanza.Child(e, "vcard", NS4)
	}
	if !stanza.Is(e, "vcard", NS4) {
		return nil, errNotCard4
	}
	d := &decoder4{budget: newBudget(l, keep), c: new(Card4)}
	d.properties(e, "", false)
	d.c.Truncated = d.truncated
	return d.c, nil
}

type decoder4 struct {
	budget
	c *Card4
}

// properties reads what is in a vcard, or in a group of it.
func (d *decoder4) properties(e *etree.Element, group string, inside bool) {
	for x := range stanza.Children(e, stanza.Any, stanza.Any) {
		if !inside && stanza.Is(x, "group", NS4) {
			if name, ok := stanza.Attr(x, "name"); ok && name != "" {
				d.properties(x, d.string(name), true)
				continue
			}
		}
		if !d.entry() {
			return
		}
		p, n, ok := property(x)
		if ok {
			n += d.data(p)
		} else {
			p, n = Property{Name: x.Tag, Raw: x}, size(x)
		}
		if !d.take(n) {
			continue
		}
		if p.Group = group; p.Raw != nil {
			p.Raw = own(x)
		}
		p.clone()
		d.c.Properties = append(d.c.Properties, p)
	}
}

// data is by how much less a data: URI counts as text; more than all text if it is too large.
func (d *decoder4) data(p Property) int {
	uri := p.Text()
	if len(p.Values) != 1 || len(uri) < 5 || !strings.EqualFold(uri[:5], "data:") {
		return 0
	}
	if !d.keep && len(uri) > d.limits.Media/3*4+256 {
		return math.MaxInt / 2
	}
	return -len(uri)
}

// property reads an element of the shape that properties have; n is about how many bytes it takes.
func property(e *etree.Element) (p Property, n int, ok bool) {
	if stanza.Namespace(e) != NS4 || !plain(e) {
		return p, 0, false
	}
	p, n = Property{Name: e.Tag}, 32+len(e.Tag)
	for x := range stanza.Children(e, stanza.Any, stanza.Any) {
		if x.Tag != "parameters" {
			v, ok := value(x)
			if !ok {
				return p, 0, false
			}
			p.Values = append(p.Values, v)
			n += 16 + len(v.Type) + len(v.Text)
			continue
		}
		if !plain(x) || stanza.Namespace(x) != NS4 || p.Parameters != nil || p.Values != nil { // they come once, and first
			return p, 0, false
		}
		for y := range stanza.Children(x, stanza.Any, stanza.Any) {
			q := Parameter{Name: y.Tag}
			for z := range stanza.Children(y, stanza.Any, stanza.Any) {
				v, ok := value(z)
				if !ok {
					return p, 0, false
				}
				q.Values = append(q.Values, v)
				n += 16 + len(v.Type) + len(v.Text)
			}
			if !plain(y) || stanza.Namespace(y) != NS4 {
				return p, 0, false
			}
			p.Parameters = append(p.Parameters, q)
			n += 16 + len(q.Name)
		}
	}
	return p, n, true
}

// plain reports whether an element has no attributes and no text of its own.
func plain(e *etree.Element) bool {
	return len(stanza.Attrs(e)) == 0 && strings.TrimSpace(stanza.Text(e)) == ""
}

// value reads an element that holds a text and nothing else.
func value(e *etree.Element) (Value, bool) {
	if stanza.Namespace(e) != NS4 || len(stanza.Attrs(e)) > 0 || stanza.Child(e, stanza.Any, stanza.Any) != nil {
		return Value{}, false
	}
	return Value{e.Tag, stanza.Text(e)}, true
}

// clone gives the property strings of its own.
func (p *Property) clone() {
	p.Name = strings.Clone(p.Name)
	cloneValues(p.Values)
	for i := range p.Parameters {
		q := &p.Parameters[i]
		q.Name = strings.Clone(q.Name)
		cloneValues(q.Values)
	}
}

func cloneValues(values []Value) {
	for i := range values {
		values[i] = Value{strings.Clone(values[i].Type), strings.Clone(values[i].Text)}
	}
}

// Element makes the vcard element, anew each time. It is nil for nil.
func (c *Card4) Element() *etree.Element {
	if c == nil {
		return nil
	}
	b := stanza.New("vcard", NS4)
	group := ""
	for i := range c.Properties {
		p := &c.Properties[i]
		if p.Group != group {
			if group != "" {
				b.Up()
			}
			if group = p.Group; group != "" {
				b.C("group").A("name", group)
			}
		}
		p.write(b)
	}
	return b.Element()
}

func (p *Property) write(b *stanza.Builder) {
	if p.Raw != nil {
		b.Add(stanza.Raw(p.Raw))
		return
	}
	b.C(p.Name)
	if len(p.Parameters) > 0 {
		b.C("parameters")
		for _, q := range p.Parameters {
			b.C(q.Name)
			writeValues(b, q.Values)
			b.Up()
		}
		b.Up()
	}
	writeValues(b, p.Values)
	b.Up()
}

func writeValues(b *stanza.Builder, values []Value) {
	for _, v := range values {
		b.C(v.Type)
		if v.Text != "" {
			b.T(v.Text)
		}
		b.Up()
	}
}
