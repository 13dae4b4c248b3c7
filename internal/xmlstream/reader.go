package xmlstream

import (
	"io"
	"sync"
)

const (
	idleBuffer = 512      // what a Decoder that waits with nothing buffered holds
	busyBuffer = 32 << 10 // what it takes from the pool once a read fills what it has
	maxPooled  = 64 << 10 // larger buffers are left to the garbage collector
	maxRecords = 4 << 10  // and so are record slices with more entries
	maxEmpty   = 100      // reads in a row that may return nothing
)

var (
	bufferPool = sync.Pool{New: func() any { b := make([]byte, busyBuffer); return &b }}
	recordPool = sync.Pool{New: func() any { return new(records) }}
)

// records is what framing one top-level element leaves for building it.
// Offsets count from the element's first byte.
type records struct {
	ops    []uint8   // the element in document order
	elems  []elemRec // one for each opStart and opEmpty
	attrs  []attrRec // those of elems[0], then of elems[1] …
	texts  []textRec // one for each opText, opCData, opTextMore, opCDataMore
	stack  []uint32  // indices of the open elements
	scope  []binding // prefixes declared in the element, while they are in scope
	inuse  []int     // inherited prefixes that the element uses
	nodes  int       // texts that become nodes: those that do not continue another
	angles int       // how many '<' the markup and the CDATA sections account for
	more   bool      // the next text continues the last
	cdata  bool      // there is a CDATA section
	prefix bool      // there is a prefix other than xml, or a declaration of one
}

// What an op says.
const (
	opStart     = iota // an element whose content follows
	opEmpty            // an element without content
	opEnd              // the end of an opStart
	opText             // text
	opCData            // a CDATA section
	opTextMore         // text that continues the one before, no tag between
	opCDataMore        // a CDATA section that continues it
)

type elemRec struct {
	name           uint32
	nameLen, colon uint16 // colon is the prefix' length, 0 for none
	attrs          uint16
	named          bool // has a prefix or declares one: namespaces must be looked at
	child          uint32
}

type attrRec struct {
	name, val, end uint32 // the value is val:end
	nameLen, colon uint16
}

type textRec struct{ off, end uint32 }

// reset makes r ready for the next element.
func (r *records) reset() {
	if r.prefix {
		clear(r.scope[:cap(r.scope)]) // these hold strings
	}
	*r = records{
		ops: r.ops[:0], elems: r.elems[:0], attrs: r.attrs[:0], texts: r.texts[:0],
		stack: r.stack[:0], scope: r.scope[:0], inuse: r.inuse[:0],
	}
}

// oversized reports whether r has grown for an unusual element.
func (r *records) oversized() bool {
	return cap(r.ops) > 4*maxRecords || cap(r.elems) > maxRecords || cap(r.attrs) > maxRecords ||
		cap(r.texts) > maxRecords || cap(r.stack) > maxRecords || cap(r.scope) > maxRecords
}

// fill reads once. It returns nil when there are more bytes than before.
func (d *Decoder) fill() error {
	if err := d.readErr; err != nil {
		d.readErr = nil
		return err
	}
	d.makeRoom()
	for range maxEmpty {
		n, err := d.r.Read(d.buf[d.end:])
		if n < 0 || n > len(d.buf)-d.end {
			panic("xmlstream: a Read returned an impossible count")
		}
		d.end += n
		if n > 0 {
			d.readErr = err
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// makeRoom leaves room behind the buffered bytes, or only the idle buffer if there are none.
func (d *Decoder) makeRoom() {
	switch {
	case d.pos == d.end:
		d.release()
		if d.idle == nil {
			d.idle = make([]byte, idleBuffer)
		}
		d.buf, d.pos, d.end = d.idle, 0, 0
	case len(d.buf) > maxPooled && d.end-d.pos <= busyBuffer/2:
		// A large stanza is over.
		d.move(*bufferPool.Get().(*[]byte))
	case d.end < len(d.buf):
	case len(d.buf) < busyBuffer:
		// A read has filled the idle buffer: there is more where that came from.
		d.move(*bufferPool.Get().(*[]byte))
	case d.pos >= len(d.buf)/2, d.pos > 0 && len(d.buf) >= d.lim.StanzaBytes:
		d.end = copy(d.buf, d.buf[d.pos:d.end])
		d.pos = 0
	default:
		// No more than the limit is ever looked at.
		d.move(make([]byte, min(2*len(d.buf), max(d.lim.StanzaBytes, len(d.buf)+idleBuffer))))
	}
}

// move takes the buffered bytes to a larger buffer.
func (d *Decoder) move(to []byte) {
	n := copy(to, d.buf[d.pos:d.end])
	d.dropBuffer()
	d.buf, d.pos, d.end = to, 0, n
}

// dropBuffer returns a pooled buffer.
func (d *Decoder) dropBuffer() {
	if len(d.buf) >= busyBuffer && len(d.buf) <= maxPooled {
		b := d.buf
		bufferPool.Put(&b)
	}
	d.buf = nil
}

// release gives back what only a Decoder with buffered bytes needs.
func (d *Decoder) release() {
	d.dropBuffer()
	if d.rec != nil {
		if !d.rec.oversized() {
			d.rec.reset()
			recordPool.Put(d.rec)
		}
		d.rec = nil
	}
}

// record returns the records, taking them from the pool after idleness.
func (d *Decoder) record() *records {
	if d.rec == nil {
		d.rec = recordPool.Get().(*records)
	}
	return d.rec
}
