package stanza

import "github.com/beevik/etree"

// Detach returns a deep copy of e that has no parent and can stand by itself:
// it gets declarations for the prefixes and the default namespace that it uses and inherits, no others.
// The default namespace's declaration comes first.
//
// An element inside a received stanza shares the stanza's memory:
// keep the copy, not the element, where only a small part of a large stanza is kept.
// Detach of nil is nil.
func Detach(e *etree.Element) *etree.Element {
	if e == nil {
		return nil
	}
	c := copyTree(e)
	decls := inheritedDecls(e)
	if len(decls) > 0 {
		old := c.Attr
		c.Attr = make([]etree.Attr, 0, len(decls)+len(old))
		for _, d := range decls {
			appendAttr(c, d.Space, d.Key, d.Value)
		}
		c.Attr = append(c.Attr, old...)
	}
	xmlnsFirst(c)
	return c
}

// inheritedDecls returns the declarations that the tree under e uses and e's ancestors make.
func inheritedDecls(e *etree.Element) []etree.Attr {
	if e.Parent() == nil {
		return nil
	}
	u := usage{root: e}
	u.walk(e, nil)
	return u.decls
}

// A scope is the list of the elements between the one looked at and the root of the walk.
type scope struct {
	e    *etree.Element
	next *scope
}

func (s *scope) declares(prefix string) bool {
	for ; s != nil; s = s.next {
		for i := range s.e.Attr {
			a := &s.e.Attr[i]
			if prefix == "" && a.Space == "" && a.Key == "xmlns" || prefix != "" && a.Space == "xmlns" && a.Key == prefix {
				return true
			}
		}
	}
	return false
}

type usage struct {
	root  *etree.Element
	decls []etree.Attr
}

func (u *usage) walk(e *etree.Element, up *scope) {
	s := &scope{e, up}
	u.use(e.Space, s)
	for i := range e.Attr {
		if p := e.Attr[i].Space; p != "" && p != "xmlns" {
			u.use(p, s)
		}
	}
	for _, t := range e.Child {
		if c, ok := t.(*etree.Element); ok {
			u.walk(c, s)
		}
	}
}

// use notes that prefix is used where s is in scope.
func (u *usage) use(prefix string, s *scope) {
	if prefix == "xml" || s.declares(prefix) {
		return
	}
	d := etree.Attr{Space: "xmlns", Key: prefix}
	if prefix == "" {
		d = etree.Attr{Key: "xmlns"}
	}
	for i := range u.decls {
		if u.decls[i].Space == d.Space && u.decls[i].Key == d.Key {
			return
		}
	}
	ns, ok := PrefixNamespace(u.root.Parent(), prefix)
	if !ok {
		return // nothing in scope: it stays what it was
	}
	d.Value = ns
	u.decls = append(u.decls, d)
}

// counts of what a tree holds, so that its copy is made in one allocation of each kind.
type counts struct{ elements, attrs, texts, tokens int }

func (n *counts) add(e *etree.Element) {
	n.elements++
	n.attrs += len(e.Attr)
	n.tokens += len(e.Child)
	for _, t := range e.Child {
		switch t := t.(type) {
		case *etree.Element:
			n.add(t)
		case *etree.CharData:
			n.texts++
		}
	}
}

// A slab is the memory of a copy.
type slab struct {
	elements []etree.Element
	attrs    []etree.Attr
	texts    []etree.CharData
	tokens   []etree.Token
}

// copyTree is e.Copy with exact slabs instead of three allocations an element,
// and with attributes that belong to the copy.
func copyTree(e *etree.Element) *etree.Element {
	var n counts
	n.add(e)
	if n.elements == 1 && n.attrs <= 2 && n.tokens == n.texts && n.texts <= 1 {
		m := new(struct {
			node
			text etree.CharData
		})
		m.el.Space, m.el.Tag = e.Space, e.Tag
		m.el.Attr, m.el.Child = m.attrs[:0], m.child[:0]
		copyAttrs(&m.el, e)
		for _, t := range e.Child {
			copyText(&m.text, t.(*etree.CharData))
			m.el.AddChild(&m.text)
		}
		return &m.el
	}
	s := &slab{
		elements: make([]etree.Element, n.elements),
		attrs:    make([]etree.Attr, n.attrs),
		texts:    make([]etree.CharData, n.texts),
		tokens:   make([]etree.Token, n.tokens),
	}
	return s.copy(e)
}

func (s *slab) copy(e *etree.Element) *etree.Element {
	c := &s.elements[0]
	s.elements = s.elements[1:]
	c.Space, c.Tag = e.Space, e.Tag
	n := len(e.Attr)
	c.Attr, s.attrs = s.attrs[:0:n], s.attrs[n:]
	copyAttrs(c, e)
	n = len(e.Child)
	c.Child, s.tokens = s.tokens[:0:n], s.tokens[n:]
	for _, t := range e.Child {
		switch t := t.(type) {
		case *etree.Element:
			c.AddChild(s.copy(t))
		case *etree.CharData:
			d := &s.texts[0]
			s.texts = s.texts[1:]
			copyText(d, t)
			c.AddChild(d)
		case *etree.Comment:
			c.AddChild(etree.NewComment(t.Data))
		case *etree.Directive:
			c.AddChild(etree.NewDirective(t.Data))
		case *etree.ProcInst:
			c.AddChild(etree.NewProcInst(t.Target, t.Inst))
		}
	}
	return c
}

// copyAttrs keeps an attribute that is there twice, for the encoder to refuse.
func copyAttrs(c, e *etree.Element) {
	for i := range e.Attr {
		a := &e.Attr[i]
		appendAttr(c, a.Space, a.Key, a.Value)
	}
}

func copyText(d, t *etree.CharData) {
	if t.IsCData() {
		*d = *etree.NewCData(t.Data)
		return
	}
	d.SetData(t.Data)
}
