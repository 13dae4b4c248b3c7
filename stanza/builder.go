package stanza

import "github.com/beevik/etree"

// A Builder makes an element step by step; every step returns the builder, so that steps are chained,
// and any step may end the chain, because a Builder is an [Elementer]:
//
//	stanza.New("query", "jabber:iq:register").
//		C("username").T("juliet").Up().
//		C("x", "jabber:x:data").A("type", "submit")
//
// A builder stands on one element at a time, at first on its root.
// Names and characters are not checked while building: the encoder refuses what cannot be sent, and Send returns its error.
// A nil or zero Builder has no element and ignores every step.
// A Builder is not safe for concurrent use while it builds; a finished one may be added to many stanzas at once.
type Builder struct {
	root, cur *etree.Element
	mem       *arena
}

// New makes a builder whose root is a new element, in the namespace ns if one is given.
//
// Without a namespace (or with "") the element has no declaration
// and takes the default namespace of what it is added to, as in XML.
// For a name of the form "prefix:name" the namespace is bound to that prefix.
func New(name string, ns ...string) *Builder {
	s := new(struct {
		b   Builder
		mem arena
		n   node
	})
	e := s.n.init(name)
	if len(ns) > 0 && ns[0] != "" {
		DeclarePrefix(e, e.Space, ns[0])
	}
	s.b = Builder{root: e, cur: e, mem: &s.mem}
	return &s.b
}

// C adds a child element and descends to it.
// Without a namespace the child is in the default namespace that is in scope; no declaration is written,
// nor where ns is that namespace already.
func (b *Builder) C(name string, ns ...string) *Builder {
	if b == nil || b.cur == nil {
		return b
	}
	uri := ""
	if len(ns) > 0 {
		uri = ns[0]
	}
	b.cur = addChild(b.mem, b.cur, name, uri)
	return b
}

// A sets an attribute of the current element. The name is as for [SetAttr]:
// "xml:lang", or another "prefix:name", is an attribute with a prefix.
func (b *Builder) A(name, value string) *Builder {
	if b != nil {
		SetAttr(b.cur, name, value)
	}
	return b
}

// T adds text to the current element, after what it holds already.
func (b *Builder) T(text string) *Builder {
	if b != nil && b.cur != nil && text != "" {
		b.cur.CreateText(text)
	}
	return b
}

// Up climbs to the parent of the current element, never above the root.
func (b *Builder) Up() *Builder {
	if b == nil || b.cur == nil || b.cur == b.root {
		return b
	}
	if p := b.cur.Parent(); p != nil {
		b.cur = p
	}
	return b
}

// Add adds copies of existing elements to the current element and does not descend.
// What is nil, or has no element, is left out. See [Detach] for what a copy takes along.
func (b *Builder) Add(es ...Elementer) *Builder {
	if b != nil {
		addAll(b.cur, es)
	}
	return b
}

// Element returns the root, whichever element the builder stands on; nil for a nil or zero builder.
// It is the builder's own tree, not a copy.
func (b *Builder) Element() *etree.Element {
	if b == nil {
		return nil
	}
	return b.root
}

func addAll(e *etree.Element, es []Elementer) {
	if e == nil {
		return
	}
	for _, x := range es {
		graft(e, elementOf(x))
	}
}

// graft appends a copy of c to e.
// A declaration of the default namespace that e makes superfluous is left out.
func graft(e, c *etree.Element) {
	if c == nil {
		return
	}
	c = Detach(c)
	if len(c.Attr) > 0 && c.Attr[0].Key == "xmlns" && c.Attr[0].Space == "" {
		if ns, ok := defaultNamespace(e); ok && ns == c.Attr[0].Value {
			c.Attr = c.Attr[1:]
		}
	}
	e.AddChild(c)
}
