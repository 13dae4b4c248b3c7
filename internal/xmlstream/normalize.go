package xmlstream

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// normalize resolves references and CDATA sections, turns line ends into line feeds (XML 1.0 §2.11)
// and white space in attribute values into spaces (§3.3.3), all in place: no result is longer than its source.
// It refuses "]]>" in text. ctl says whether there are line ends or tabs at all.
// The bytes have passed checkChars; the records are corrected.
func (d *Decoder) normalize(data []byte, ctl bool) bool {
	w := d.rec
	amp := bytes.IndexByte(data, '&') >= 0
	closer := bytes.IndexByte(data, ']') >= 0
	if !amp && !ctl && !closer && !w.cdata {
		return true
	}
	if amp || ctl {
		for i := range w.attrs {
			a := &w.attrs[i]
			end, ok := d.resolve(data, int(a.val), int(a.val), int(a.end), inValue)
			if !ok {
				return false
			}
			a.end = uint32(end)
		}
	}
	ops, texts := w.ops[:0], w.texts[:0]
	next := 0
	for _, op := range w.ops {
		if op < opText {
			ops = append(ops, op)
			continue
		}
		t := w.texts[next]
		next++
		from, to := int(t.off), int(t.end)
		where := inText
		if op == opCData || op == opCDataMore {
			where = inCData
		} else if k := bytes.Index(data[from:to], cdataClose); k >= 0 {
			d.fail(condNotWellFormed, from+k, "']]>' in text")
			return false
		}
		if op >= opTextMore {
			last := &texts[len(texts)-1]
			end, ok := d.resolve(data, int(last.end), from, to, where)
			if !ok {
				return false
			}
			last.end = uint32(end)
			continue
		}
		end, ok := d.resolve(data, from, from, to, where)
		if !ok {
			return false
		}
		ops = append(ops, op)
		texts = append(texts, textRec{t.off, uint32(end)})
	}
	w.ops, w.texts = ops, texts
	return true
}

// Where a piece of data stands.
type context uint8

const (
	inText context = iota
	inCData
	inValue
)

// resolve writes what data[from:to] stands for to data[at:], at ≤ from, and returns its end.
func (d *Decoder) resolve(data []byte, at, from, to int, where context) (int, bool) {
	for i := from; i < to; {
		c := data[i]
		switch {
		case c == '&' && where != inCData:
			r, n := d.reference(data[:to], i)
			if n == 0 {
				return 0, false
			}
			at += utf8.EncodeRune(data[at:i+n], r)
			i += n
			continue
		case c == '\r':
			if i+1 < to && data[i+1] == '\n' {
				i++
			}
			c = '\n'
			if where == inValue {
				c = ' '
			}
		case where == inValue && (c == '\n' || c == '\t'):
			c = ' '
		}
		data[at] = c
		at++
		i++
	}
	return at, true
}

// reference returns what the reference at i stands for and its length, 0 after an error.
func (d *Decoder) reference(data []byte, i int) (rune, int) {
	rest := data[i+1:]
	n := bytes.IndexByte(rest, ';')
	switch {
	case n < 0:
		d.fail(condNotWellFormed, i, "'&' that begins no reference")
		return 0, 0
	case n > 1 && rest[0] == '#':
		r, ok := charRef(rest[1:n])
		if !ok {
			d.fail(condNotWellFormed, i, "reference "+quoted(data[i:i+n+2]))
			return 0, 0
		}
		return r, n + 2
	}
	switch string(rest[:n]) {
	case "lt":
		return '<', 4
	case "gt":
		return '>', 4
	case "amp":
		return '&', 5
	case "quot":
		return '"', 6
	case "apos":
		return '\'', 6
	}
	// RFC 6120 §11.1 has no other entities; what is not even the name of one is not XML.
	if end := scanNCName(rest, 0); end == n {
		d.fail(condRestrictedXML, i, "entity "+quoted(data[i:i+n+2]))
	} else {
		d.fail(condNotWellFormed, i, "'&' that begins no reference")
	}
	return 0, 0
}

// charRef returns the character that the digits of a character reference name (XML 1.0 §4.1).
func charRef(s []byte) (rune, bool) {
	base := rune(10)
	if s[0] == 'x' {
		base = 16
		s = s[1:]
	}
	if len(s) == 0 {
		return 0, false
	}
	var r rune
	for _, c := range s {
		var v rune
		switch {
		case c >= '0' && c <= '9':
			v = rune(c - '0')
		case base == 16 && c >= 'a' && c <= 'f':
			v = rune(c-'a') + 10
		case base == 16 && c >= 'A' && c <= 'F':
			v = rune(c-'A') + 10
		default:
			return 0, false
		}
		if r = r*base + v; r > unicode.MaxRune {
			return 0, false
		}
	}
	return r, isXMLChar(r)
}

// isXMLChar reports whether r matches the production Char (XML 1.0 §2.2).
func isXMLChar(r rune) bool {
	return r >= 0x20 && r <= 0xD7FF || r == '\t' || r == '\n' || r == '\r' ||
		r >= 0xE000 && r <= 0xFFFD || r >= 0x10000 && r <= unicode.MaxRune
}
