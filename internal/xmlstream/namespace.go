package xmlstream

import "hash/maphash"

// Namespaces that are bound without a declaration (XML Names §3), and that of the stream's root (RFC 6120 §4.8.1).
const (
	nsXML     = "http://www.w3.org/XML/1998/namespace"
	nsXMLNS   = "http://www.w3.org/2000/xmlns/"
	nsStreams = "http://etherx.jabber.org/streams"
)

// binding is a prefix in scope.
type binding struct {
	prefix, uri string
	hash        uint64 // of uri: namespaces are compared by it first, however long they are
	depth       int
	used        bool // of an inherited one: it is in records.inuse
}

var seed = maphash.MakeSeed()

func bind(prefix, uri string, depth int) binding {
	return binding{prefix: prefix, uri: uri, hash: maphash.String(seed, uri), depth: depth}
}

var xmlBinding = bind("xml", nsXML, 0)

// reserved reports whether no one may declare uri (XML Names §3).
func reserved(uri string) bool {
	return len(uri) == len(nsXML) && uri == nsXML || len(uri) == len(nsXMLNS) && uri == nsXMLNS
}

// badDeclaration returns why xmlns:prefix='uri' is not allowed (XML Names §3), or "".
func badDeclaration(prefix, uri string) string {
	switch {
	case prefix == "xml" && uri == nsXML:
		return ""
	case prefix == "xml" || prefix == "xmlns":
		return "the prefix " + prefix + " is reserved"
	case uri == "":
		return "a prefix bound to no namespace"
	case reserved(uri):
		return "a reserved namespace"
	}
	return ""
}

// checkNames resolves every prefix in the element, whose bytes are s: each must be bound,
// and no two attributes of an element may have the same namespace and local name (XML Names §6.3).
// It collects the inherited prefixes in use.
func (d *Decoder) checkNames(s string) bool {
	w := d.rec
	for i := range d.inherited {
		d.inherited[i].used = false
	}
	depth, elem, attr := 0, 0, 0
	for _, op := range w.ops {
		switch op {
		case opStart, opEmpty:
			el := &w.elems[elem]
			attrs := w.attrs[attr : attr+int(el.attrs)]
			elem++
			attr += int(el.attrs)
			depth++
			if el.named && !d.checkElement(s, el, attrs, depth) {
				return false
			}
			if op == opStart {
				continue
			}
		case opEnd:
		default:
			continue
		}
		for n := len(w.scope); n > 0 && w.scope[n-1].depth == depth; n-- {
			w.scope = w.scope[:n-1]
		}
		depth--
	}
	return true
}

// checkElement is checkNames for one element.
func (d *Decoder) checkElement(s string, el *elemRec, attrs []attrRec, depth int) bool {
	w := d.rec
	prefixed := 0
	for i := range attrs {
		a := &attrs[i]
		if a.colon == 0 {
			continue
		}
		name := s[a.name : a.name+uint32(a.nameLen)]
		if name[:a.colon] != "xmlns" {
			prefixed++
			continue
		}
		prefix, uri := name[a.colon+1:], s[a.val:a.end]
		if why := badDeclaration(prefix, uri); why != "" {
			d.fail(condNotWellFormed, int(a.name), why)
			return false
		}
		if len(w.scope) >= 4*d.lim.NSDecls {
			d.fail(condPolicyViolation, int(a.name), "more prefixes in scope than the limit")
			return false
		}
		w.scope = append(w.scope, bind(prefix, uri, depth))
	}
	if el.colon > 0 {
		if d.lookup(s[el.name:el.name+uint32(el.colon)], int(el.name)) == nil {
			return false
		}
	}
	if prefixed == 0 {
		return true
	}
	type expanded struct {
		hash  uint64
		local string
	}
	var few [16]expanded
	names := few[:0]
	var many map[expanded]struct{}
	if prefixed > len(few) {
		many = make(map[expanded]struct{}, prefixed)
	}
	for i := range attrs {
		a := &attrs[i]
		if a.colon == 0 {
			continue
		}
		name := s[a.name : a.name+uint32(a.nameLen)]
		if name[:a.colon] == "xmlns" {
			continue
		}
		b := d.lookup(name[:a.colon], int(a.name))
		if b == nil {
			return false
		}
		x := expanded{b.hash, name[a.colon+1:]}
		twin := false
		if many != nil {
			_, twin = many[x]
			many[x] = struct{}{}
		} else {
			for _, y := range names {
				twin = twin || x == y
			}
			names = append(names, x)
		}
		if twin {
			d.fail(condNotWellFormed, int(a.name), "attribute "+quoted(name)+" twice under two prefixes")
			return false
		}
	}
	return true
}

// lookup returns what prefix is bound to, nil after an error.
func (d *Decoder) lookup(prefix string, at int) *binding {
	w := d.rec
	for i := len(w.scope) - 1; i >= 0; i-- {
		if w.scope[i].prefix == prefix {
			return &w.scope[i]
		}
	}
	for i := range d.inherited {
		if b := &d.inherited[i]; b.prefix == prefix {
			if !b.used {
				b.used = true
				w.inuse = append(w.inuse, i)
			}
			return b
		}
	}
	if prefix == "xml" {
		return &xmlBinding
	}
	d.fail(condNotWellFormed, at, "prefix "+quoted(prefix)+" is not bound")
	return nil
}
