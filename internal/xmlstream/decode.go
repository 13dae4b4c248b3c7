package xmlstream

import (
	"bufio"
	"encoding/xml"
	"errors"
	"io"

	"github.com/beevik/etree"
)

// Decoder reads one XML stream.
type Decoder struct {
	br     *bufio.Reader
	x      *xml.Decoder
	header *etree.Element
	base   int64
	size   int
	err    error
}

// NewDecoder returns a Decoder that reads from r.
func NewDecoder(r io.Reader, l Limits) *Decoder {
	d := &Decoder{br: bufio.NewReader(r)}
	d.x = xml.NewDecoder(d.br)
	return d
}

// SetLimits changes the limits from the next stanza on.
func (d *Decoder) SetLimits(l Limits) {}

// Restart forgets the stream and keeps the buffered bytes.
func (d *Decoder) Restart() {
	d.base += d.x.InputOffset()
	d.x, d.header, d.err = xml.NewDecoder(d.br), nil, nil
}

// Buffered returns the bytes read and not consumed.
func (d *Decoder) Buffered() int { return d.br.Buffered() }

// Ready reports whether Next will not read.
func (d *Decoder) Ready() bool { return d.err != nil }

// Size returns the bytes of the last element.
func (d *Decoder) Size() int { return d.size }

// Offset returns the bytes consumed.
func (d *Decoder) Offset() int64 { return d.base + d.x.InputOffset() }

func (d *Decoder) fail(err error) error {
	var se *xml.SyntaxError
	if errors.As(err, &se) {
		if se.Msg == "unexpected EOF" {
			return io.ErrUnexpectedEOF
		}
		err = &Error{Condition: "not-well-formed", Reason: se.Msg, Offset: d.Offset()}
		d.err = err
	} else if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func start(t xml.StartElement) *etree.Element {
	e := &etree.Element{Space: t.Name.Space, Tag: t.Name.Local}
	for _, a := range t.Attr {
		k := a.Name.Local
		if a.Name.Space != "" {
			k = a.Name.Space + ":" + k
		}
		e.CreateAttr(k, a.Value)
	}
	return e
}

// Header reads the start tag of the stream.
func (d *Decoder) Header() (*etree.Element, error) {
	for {
		t, err := d.x.RawToken()
		if err != nil {
			return nil, d.fail(err)
		}
		if s, ok := t.(xml.StartElement); ok {
			d.header = start(s)
			return d.header.Copy(), nil
		}
	}
}

// Next reads the next top-level element.
func (d *Decoder) Next() (*etree.Element, error) {
	if d.err != nil {
		return nil, d.err
	}
	var top, cur *etree.Element
	from := d.Offset()
	for {
		t, err := d.x.RawToken()
		if err != nil {
			return nil, d.fail(err)
		}
		switch t := t.(type) {
		case xml.StartElement:
			e := start(t)
			if cur == nil {
				top = e
				def := e.SelectAttrValue("xmlns", d.header.SelectAttrValue("xmlns", ""))
				e.RemoveAttr("xmlns")
				var as []etree.Attr
				if e.Space == "" {
					as = append(as, etree.Attr{Key: "xmlns", Value: def})
				} else if v := d.header.SelectAttr("xmlns:" + e.Space); v != nil {
					as = append(as, *v)
				}
				old := e.Attr
				e.Attr = nil
				for _, a := range append(as, old...) {
					e.CreateAttr(a.FullKey(), a.Value)
				}
			} else {
				cur.AddChild(e)
			}
			cur = e
		case xml.EndElement:
			if cur == nil {
				d.err = io.EOF
				return nil, io.EOF
			}
			if cur = cur.Parent(); cur == nil {
				d.size = int(d.Offset() - from)
				return top, nil
			}
		case xml.CharData:
			if cur != nil {
				cur.CreateText(string(t))
			}
		default:
			d.err = &Error{Condition: "restricted-xml", Reason: "comment, instruction or DTD", Offset: d.Offset()}
			return nil, d.err
		}
	}
}
