package xmlstream

import "github.com/beevik/etree"

// build makes the tree of the element that frame has found. It returns nil and sets d.err
// if the element turns out not to be well-formed: its characters, references and namespaces are checked only now.
func (d *Decoder) build() *etree.Element {
	s, ok := d.text(d.buf[d.pos : d.pos+d.scan])
	if !ok {
		return nil
	}
	return d.tree(s, true)
}

// text checks and normalizes the element and returns its bytes as the one string that the tree is cut from.
func (d *Decoder) text(data []byte) (string, bool) {
	bad, ctl := checkChars(data)
	if bad >= 0 {
		d.fail(condNotWellFormed, bad, "character or encoding "+quoted(data[bad:bad+1]))
		return "", false
	}
	if !d.normalize(data, ctl) {
		return "", false
	}
	s := string(data)
	return s, !d.rec.prefix || d.checkNames(s)
}

// tree builds the element. With cut, it is cut from its stream: declarations that it inherits are added.
// All nodes come from slabs that have exactly the size needed; slices are full, so that appending to one
// does not write into the next.
func (d *Decoder) tree(s string, cut bool) *etree.Element {
	w := d.rec
	extra, def := 0, -1
	addNS := false
	if cut {
		def, addNS = d.rootNS(s)
		extra = len(w.inuse)
		if addNS {
			extra++
		}
	}
	elems := make([]etree.Element, len(w.elems))
	var attrs []etree.Attr
	if n := len(w.attrs) + extra; n > 0 {
		attrs = make([]etree.Attr, n)
	}
	var texts []etree.CharData
	if w.nodes > 0 {
		texts = make([]etree.CharData, w.nodes)
	}
	var toks []etree.Token
	if n := len(w.elems) - 1 + w.nodes; n > 0 {
		toks = make([]etree.Token, n)
	}

	elem, attr, text, tok, slot := 0, 0, 0, 0, 0
	var cur *etree.Element
	for _, op := range w.ops {
		switch op {
		case opStart, opEmpty:
			r, e := &w.elems[elem], &elems[elem]
			elem++
			name := s[r.name : r.name+uint32(r.nameLen)]
			if r.colon > 0 {
				e.Space, name = name[:r.colon], name[r.colon+1:]
			}
			e.Tag = name
			if n := int(r.child); n > 0 {
				e.Child = toks[tok : tok : tok+n]
				tok += n
			}
			first := slot
			recs := w.attrs[attr : attr+int(r.attrs)]
			attr += len(recs)
			if cur == nil && cut {
				if addNS {
					slot = setAttr(e, attrs, slot, "", "xmlns", d.mapped(d.contentNS))
				} else if def >= 0 {
					a := recs[def]
					slot = setAttr(e, attrs, slot, "", "xmlns", d.mapped(s[a.val:a.end]))
				}
				for _, i := range w.inuse {
					slot = setAttr(e, attrs, slot, "xmlns", d.inherited[i].prefix, d.inherited[i].uri)
				}
			}
			for i := range recs {
				a := &recs[i]
				key, val := s[a.name:a.name+uint32(a.nameLen)], s[a.val:a.end]
				space := ""
				if a.colon > 0 {
					space, key = key[:a.colon], key[a.colon+1:]
				} else if len(key) == 5 && key == "xmlns" {
					if reserved(val) {
						d.fail(condNotWellFormed, int(a.name), "a reserved namespace")
						return nil
					}
					if cur == nil && i == def {
						continue
					}
					if cut {
						val = d.mapped(val)
					}
				}
				slot = setAttr(e, attrs, slot, space, key, val)
			}
			if slot > first {
				e.Attr = attrs[first:slot:slot]
			}
			if cur != nil {
				cur.AddChild(e)
			}
			if op == opStart {
				cur = e
			}
		case opEnd:
			cur = cur.Parent()
		default:
			t, c := w.texts[text], &texts[text]
			text++
			c.SetData(s[t.off:t.end])
			cur.AddChild(c)
		}
	}
	root := &elems[0]
	d.orphan(root)
	return root
}

// mapped returns the default namespace that is handed out for uri.
func (d *Decoder) mapped(uri string) string {
	if d.contentAs != "" && uri == d.contentNS && uri != "" {
		return d.contentAs
	}
	return uri
}

// setAttr makes the attribute attrs[slot] of e and returns the next slot.
// Only CreateAttr can tie an attribute to its element; given a slice of its own for each,
// it appends without looking for one of the same name.
func setAttr(e *etree.Element, attrs []etree.Attr, slot int, space, key, val string) int {
	e.Attr = attrs[slot : slot : slot+1]
	a := e.CreateAttr("", val)
	a.Space, a.Key = space, key
	return slot + 1
}

// orphan gives the root the index that etree documents for an element without a parent.
func (d *Decoder) orphan(root *etree.Element) {
	p := &d.foster
	p.Child = d.fosters[:0]
	p.AddChild(root)
	p.RemoveChildAt(0)
	d.fosters[0] = nil
}

// rootNS returns which attribute of the top-level element declares its default namespace, -1 for none,
// and whether the stream's is to be added: if the element has no prefix, or if one inside it inherits it.
func (d *Decoder) rootNS(s string) (def int, add bool) {
	w := d.rec
	recs := w.attrs[:w.elems[0].attrs]
	for i := range recs {
		if isDefaultNS(s, &recs[i]) {
			return i, false
		}
	}
	if d.contentNS == "" {
		return -1, false
	}
	if w.elems[0].colon == 0 {
		return -1, true
	}
	// declared is the depth of the outermost element around that declares a default namespace.
	depth, declared, elem, attr := 0, 0, 0, 0
	for _, op := range w.ops {
		switch op {
		case opStart, opEmpty:
			r := &w.elems[elem]
			recs := w.attrs[attr : attr+int(r.attrs)]
			elem++
			attr += len(recs)
			depth++
			for i := range recs {
				if declared == 0 && isDefaultNS(s, &recs[i]) {
					declared = depth
				}
			}
			if declared == 0 && r.colon == 0 {
				return -1, true
			}
			if op == opStart {
				continue
			}
		case opEnd:
		default:
			continue
		}
		if declared == depth {
			declared = 0
		}
		depth--
	}
	return -1, false
}

func isDefaultNS(s string, a *attrRec) bool {
	return a.nameLen == 5 && s[a.name:a.name+5] == "xmlns"
}
