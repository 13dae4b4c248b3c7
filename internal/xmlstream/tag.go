package xmlstream

import (
	"bytes"
	"io"
	"unicode/utf8"
)

// startTag takes the start tag or empty-element tag at p. It notes nothing unless the tag is complete.
func (d *Decoder) startTag(data []byte, p int) int {
	w := d.rec
	if len(w.stack) >= d.lim.Depth {
		d.fail(condPolicyViolation, p, "elements nest deeper than the limit")
		return failed
	}
	at := p + 1
	i, colon := d.name(data, at)
	if i <= 0 {
		return i
	}
	el := elemRec{name: uint32(at), nameLen: uint16(i - at), colon: uint16(colon), named: colon > 0}
	attrs := w.attrs
	first := len(attrs)
	var seen uint64 // one bit for each attribute, by its name's length and last byte
	decls, twins := 0, false
	for i < len(data) {
		c := data[i]
		if class[c]&cSpace != 0 {
			i++
			if i < len(data) {
				if c = data[i]; class[c]&cSpace != 0 {
					i = skipSpace(data, i)
					if i < len(data) {
						c = data[i]
					}
				}
			}
			if i >= len(data) {
				return more
			}
		} else if c != '>' && c != '/' {
			return d.malformed(data, i, "in a tag")
		}
		if c == '>' || c == '/' {
			empty := c == '/'
			if empty {
				i++
				if i >= len(data) {
					return more
				}
				if data[i] != '>' {
					return d.malformed(data, i, "after '/' in a tag")
				}
			}
			n := len(attrs) - first
			if twins && d.twins(data, attrs[first:]) {
				return failed
			}
			el.attrs = uint16(n)
			w.attrs = attrs
			return d.open(el, empty, i+1)
		}

		name := i
		// Most names are ASCII without a prefix, followed by =" or ='.
		end := asciiName(data, i)
		colon := 0
		if end >= len(data) || data[end] != '=' || class[data[name]]&cStart == 0 || end-name > d.lim.Name {
			if end, colon = d.name(data, name); end <= 0 {
				return end
			}
		}
		i = end
		if data[i] != '=' {
			i = skipSpace(data, i)
			if i >= len(data) {
				return more
			}
			if data[i] != '=' {
				return d.malformed(data, i, "where '=' belongs")
			}
		}
		i++
		if i < len(data) && class[data[i]]&cSpace != 0 {
			i = skipSpace(data, i)
		}
		if i >= len(data) {
			return more
		}
		q := data[i]
		if q != '"' && q != '\'' {
			return d.malformed(data, i, "where a quote belongs")
		}
		i++
		k := bytes.IndexByte(data[i:], q)
		if k < 0 {
			return more
		}
		n := end - name
		attrs = append(attrs, attrRec{uint32(name), uint32(i), uint32(i + k), uint16(n), uint16(colon)})
		i += k + 1

		bit := uint64(1) << ((uint(data[end-1]) + uint(n)*7) & 63)
		twins = twins || seen&bit != 0
		seen |= bit
		if n >= 5 && isXMLNS(data[name:end], colon) {
			decls++
			el.named = el.named || colon != 0
		} else if colon != 0 && !(colon == 3 && string(data[name:name+3]) == "xml") {
			el.named = true
		}
		if len(attrs)-first > d.lim.Attrs {
			d.fail(condPolicyViolation, name, "more attributes than the limit")
			return failed
		}
		if decls > d.lim.NSDecls {
			d.fail(condPolicyViolation, name, "more namespace declarations than the limit")
			return failed
		}
	}
	return more
}

// isXMLNS reports whether the name, of five bytes at least, declares a namespace.
func isXMLNS(name []byte, colon int) bool {
	return name[4] == 's' && (colon == 5 || len(name) == 5) && string(name[:5]) == "xmlns"
}

// open notes a complete start tag and returns next.
func (d *Decoder) open(el elemRec, empty bool, next int) int {
	w := d.rec
	index := len(w.elems)
	if index >= d.lim.Elements || len(w.attrs) > 2*d.lim.Elements {
		d.fail(condPolicyViolation, int(el.name)-1, "more elements or attributes in one stanza than the limit")
		return failed
	}
	if n := len(w.stack); n > 0 {
		w.elems[w.stack[n-1]].child++
	}
	w.elems = append(w.elems, el)
	w.angles++
	w.more = false
	w.prefix = w.prefix || el.named
	if empty {
		w.ops = append(w.ops, opEmpty)
	} else {
		w.ops = append(w.ops, opStart)
		w.stack = append(w.stack, uint32(index))
	}
	return next
}

// endTag takes the end tag at p.
func (d *Decoder) endTag(data []byte, p int) int {
	w := d.rec
	if len(w.stack) == 0 {
		return d.endStream(data)
	}
	el := &w.elems[w.stack[len(w.stack)-1]]
	n := int(el.nameLen)
	i := p + 2 + n
	if i >= len(data) {
		return more
	}
	if string(data[p+2:i]) != string(data[el.name:int(el.name)+n]) {
		d.fail(condNotWellFormed, p, "end tag "+quoted(data[p:i])+" does not match "+quoted(data[el.name:int(el.name)+n]))
		return failed
	}
	if data[i] != '>' {
		i = skipSpace(data, max(i, d.hint))
		if i >= len(data) {
			d.hint = i
			return more
		}
		if data[i] != '>' {
			return d.malformed(data, i, "in an end tag")
		}
	}
	w.stack = w.stack[:len(w.stack)-1]
	w.ops = append(w.ops, opEnd)
	w.angles++
	w.more = false
	return i + 1
}

// endStream takes the end tag of the stream's root.
func (d *Decoder) endStream(data []byte) int {
	i := 2 + len(d.root)
	if i >= len(data) {
		return more
	}
	if d.phase != inStream || string(data[2:i]) != d.root {
		d.fail(condNotWellFormed, 0, "end tag "+quoted(data[:i])+" does not match the root")
		return failed
	}
	i = skipSpace(data, max(i, d.hint))
	if i >= len(data) {
		d.hint = i
		return more
	}
	if data[i] != '>' {
		return d.malformed(data, i, "in an end tag")
	}
	d.consume(i + 1)
	d.rewind()
	d.err = io.EOF
	return failed
}

// longTag is for a start tag at p whose end has not come yet: it looks for that end in what is new,
// so that a tag in many pieces is parsed a few times only.
func (d *Decoder) longTag(data []byte, p int) int {
	if d.hint == 0 {
		d.hint, d.quote = p+1, 0
	}
	d.try = 2 * (len(data) - p)
	d.tagEnds(data)
	return more
}

// waiting reports whether the start tag at p, which was not complete before, need not be tried yet.
func (d *Decoder) waiting(data []byte, p int) bool {
	return d.hint != 0 && !d.tagEnds(data) && len(data)-p < d.try
}

// tagEnds goes on from hint to the '>' that ends a start tag, and reports whether it is there.
func (d *Decoder) tagEnds(data []byte) bool {
	i := d.hint
	for i < len(data) {
		if d.quote != 0 {
			k := bytes.IndexByte(data[i:], d.quote)
			if k < 0 {
				i = len(data)
				break
			}
			i += k + 1
			d.quote = 0
			continue
		}
		switch c := data[i]; c {
		case '>':
			d.hint = i // to be found again if the tag turns out not to be complete
			return true
		case '"', '\'':
			d.quote = c
		}
		i++
	}
	d.hint = i
	return false
}

// name is scanQName with the limit of names. The end is more or failed where there is none.
func (d *Decoder) name(data []byte, at int) (end, colon int) {
	end = asciiName(data, at)
	if end < len(data) && data[end] < utf8.RuneSelf && data[end] != ':' && end > at && class[data[at]]&cStart != 0 {
		if end-at <= d.lim.Name {
			return end, 0
		}
	} else {
		end, colon = scanQName(data[:min(len(data), at+d.lim.Name+1)], at)
	}
	switch {
	case end == invalid:
		return d.malformed(data, at, "where a name belongs"), 0
	case end == needMore && len(data)-at <= d.lim.Name:
		return more, 0
	case end == needMore || end-at > d.lim.Name:
		d.fail(condPolicyViolation, at, "a name longer than the limit")
		return failed, 0
	}
	return end, colon
}

// malformed refuses what is at i.
func (d *Decoder) malformed(data []byte, i int, where string) int {
	d.fail(condNotWellFormed, i, quoted(data[i:i+1])+" "+where)
	return failed
}

// twins refuses two attributes with the same raw name (XML 1.0 §3.1).
func (d *Decoder) twins(data []byte, attrs []attrRec) bool {
	name := func(a attrRec) []byte { return data[a.name : a.name+uint32(a.nameLen)] }
	if len(attrs) > 64 {
		set := make(map[string]struct{}, len(attrs))
		for _, a := range attrs {
			if _, ok := set[string(name(a))]; ok {
				d.fail(condNotWellFormed, int(a.name), "attribute "+quoted(name(a))+" twice")
				return true
			}
			set[string(name(a))] = struct{}{}
		}
		return false
	}
	for i, a := range attrs {
		for _, b := range attrs[:i] {
			if a.nameLen == b.nameLen && string(name(a)) == string(name(b)) {
				d.fail(condNotWellFormed, int(a.name), "attribute "+quoted(name(a))+" twice")
				return true
			}
		}
	}
	return false
}
