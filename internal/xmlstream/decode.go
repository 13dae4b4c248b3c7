package xmlstream

import (
	"errors"
	"io"

	"github.com/beevik/etree"
)

// Decoder reads one side of an XML stream (RFC 6120 §4) from an io.Reader:
// first [Decoder.Header], then [Decoder.Next] until io.EOF.
//
// It reads no more than it needs for the element asked for, but takes whatever one Read gives.
// While it waits with nothing buffered it holds about 1 KiB; larger buffers come from a pool and go back to it.
// It is not safe for concurrent use.
type Decoder struct {
	r       io.Reader
	readErr error // came with bytes, due when they are used up
	err     error // final: io.EOF or an *Error
	idle    []byte
	buf     []byte // the buffered bytes are buf[pos:end]
	pos     int
	end     int
	base    int64 // the stream offset of pos
	size    int

	rec   *records
	phase phase
	found bool // a complete element is at pos, scan bytes long
	scan  int  // framing goes on here, counted from pos
	hint  int  // what lies before it, from scan on, need not be looked at again; 0: nothing
	try   int  // a start tag is not tried again before that many of its bytes are there
	quote byte // the quote that is open at hint, in a start tag

	lim    Limits
	newLim Limits // for the next element

	root      string    // the raw name of the stream's root
	contentNS string    // its default namespace
	contentAs string    // what elements are given in its place; "" for itself
	inherited []binding // the prefixes it binds

	foster  etree.Element // see orphan
	fosters [1]etree.Token
}

// phase is what the Decoder expects next.
type phase uint8

const (
	atStart    phase = iota // the XML declaration or the root's start tag
	atRestart               // the same, after white space that belongs to the stream before
	inProlog                // the root's start tag
	inStream                // top-level elements or the root's end tag
	inDocument              // one element without a stream around it
)

// NewDecoder returns a Decoder that reads from r. It does not read yet.
func NewDecoder(r io.Reader, l Limits) *Decoder {
	l = l.withDefaults()
	return &Decoder{r: r, lim: l, newLim: l}
}

// SetLimits changes the limits, from the next top-level element on that has not begun to be framed.
// Bytes that are buffered but not yet looked at by Next or Ready are subject to the new limits.
func (d *Decoder) SetLimits(l Limits) { d.newLim = l.withDefaults() }

// MapContent makes Next hand out ns wherever an element has the stream's default namespace,
// by inheriting it or by declaring it as its own default. A component gives jabber:client here,
// so that its stanzas have the same names as everybody's; [AppendElement] maps the other way.
// Prefixes bound to the namespace stay bound to it. It holds for all later elements and streams; "" ends it.
func (d *Decoder) MapContent(ns string) { d.contentAs = ns }

// Restart begins a new stream on the same bytes, as after SASL negotiation (RFC 6120 §6.4.6):
// it keeps what is buffered and forgets the stream's namespaces. The caller calls Header next.
// White space before the new header belongs to the stream before it and is skipped.
// An *Error stays.
func (d *Decoder) Restart() {
	if d.err == io.EOF {
		d.err = nil
	}
	d.phase = atRestart
	d.root, d.contentNS, d.inherited = "", "", nil
	d.rewind()
}

// rewind forgets how far the element at pos has been framed.
func (d *Decoder) rewind() {
	d.found, d.scan, d.hint, d.try, d.quote = false, 0, 0, 0, 0
	if d.rec != nil {
		d.rec.reset()
	}
}

// consume moves past n bytes.
func (d *Decoder) consume(n int) {
	d.pos += n
	d.base += int64(n)
}

// Buffered returns the number of bytes read from the io.Reader and not consumed,
// white space between top-level elements included.
func (d *Decoder) Buffered() int { return d.end - d.pos }

// Size returns the number of bytes that the element last returned by Next took on the wire.
func (d *Decoder) Size() int { return d.size }

// Offset returns the number of bytes consumed since the Decoder was made.
func (d *Decoder) Offset() int64 { return d.base }

// Ready reports whether Next will return without reading:
// with an element that is completely buffered, with the end of the stream, or with an error.
// It frames what is buffered; nothing is framed twice.
func (d *Decoder) Ready() bool {
	if d.err != nil || d.readErr != nil {
		return true
	}
	return d.phase >= inStream && d.frame() != frameMore
}

// errNoHeader is what a misplaced Next gives.
var errNoHeader = errors.New("xmlstream: Next before Header")

// Next returns the next top-level element, cut from the stream:
//
//   - its first attribute is xmlns with its namespace, or with its default namespace if it has a prefix
//     and an element inside it takes the default namespace from the stream;
//     an element that declares it itself has its declaration moved to the front;
//   - then come declarations of those prefixes bound by the stream's header
//     that it, its attributes, its descendants or their attributes use, and no others;
//   - then its own attributes.
//
// Parent is nil for the element and right for everything inside.
// Text is one CharData node between two tags, CDATA sections and references resolved.
// etree has no namespace for the prefix xml, which no one declares: NamespaceURI is "" there,
// XML Names §3 says http://www.w3.org/XML/1998/namespace.
// If the stream's header declares no default namespace, none is added.
//
// Next returns io.EOF at the end tag of the stream, io.ErrUnexpectedEOF when the reader ends without it,
// an *Error for what the stream may not carry (each of them again on every later call),
// and any other error of the reader as it is, after which it may be called again.
func (d *Decoder) Next() (*etree.Element, error) {
	if d.phase < inStream && d.err == nil {
		return nil, errNoHeader
	}
	for d.err == nil {
		switch d.frame() {
		case frameDone:
			e := d.build()
			if e == nil {
				break
			}
			d.size = d.scan
			d.consume(d.scan)
			if d.rec.oversized() {
				d.rec = nil
			}
			d.rewind()
			return e, nil
		case frameMore:
			if err := d.fill(); err != nil {
				return nil, d.ended(err)
			}
		}
	}
	return nil, d.err
}

// ended turns what the reader ended with into what Next and Header return.
func (d *Decoder) ended(err error) error {
	if err != io.EOF {
		return err
	}
	// A tag that is not complete may already be wrong.
	d.try = 0
	if d.phase >= inStream {
		d.frame()
	} else {
		d.header()
	}
	if d.err == nil {
		d.err = io.ErrUnexpectedEOF
	}
	return d.err
}

// fail ends the stream at the given offset from pos.
func (d *Decoder) fail(condition string, at int, reason string) {
	d.err = &Error{Condition: condition, Reason: reason, Offset: d.base + int64(at)}
}
