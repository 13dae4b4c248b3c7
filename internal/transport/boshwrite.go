package transport

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"net"
	"strconv"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/internal/xmlstream"
)

// maxRequestItems is how many bytes go into one request, unless one element alone is larger; maxWaiting how many requests wait for their turn.
const (
	maxRequestItems = 64 << 10
	maxWaiting      = 2
)

// requestKind is what a request asks for besides carrying elements.
type requestKind uint8

const (
	kindPlain     requestKind = iota
	kindSession               // a session (XEP-0124 section 7.1)
	kindRestart               // a new stream in it (XEP-0206 section 5)
	kindTerminate             // its end (XEP-0124 section 13)
)

// AppendHeader is [Wire.AppendHeader].
func (b *bosh) AppendHeader(dst []byte, h xmlstream.Header) []byte { return appendOpen(dst, h) }

// AppendFooter is [Wire.AppendFooter].
func (b *bosh) AppendFooter(dst []byte) []byte { return appendClose(dst) }

// AppendElement is [Wire.AppendElement].
func (b *bosh) AppendElement(dst []byte, e *etree.Element) ([]byte, error) {
	return appendAlone(dst, e)
}

// Write is [Wire.Write]. What comes after an end is not sent.
func (b *bosh) Write(p []byte, ends []int) error {
	start, from := 0, 0 // of the item, and of what is not handed over
	for _, end := range ends {
		item := p[start:end]
		var err error
		switch {
		case isOpen(item):
			if err = b.put(kindPlain, p[from:start]); err == nil {
				err = b.put(kindSession, item)
			}
			from = end
		case isClose(item):
			return b.put(kindTerminate, p[from:start])
		case start > from && end-from > maxRequestItems:
			err = b.put(kindPlain, p[from:start])
			from = start
		}
		if err != nil {
			return err
		}
		start = end
	}
	return b.put(kindPlain, p[from:])
}

// put waits until there is room, and makes a request of the items.
func (b *bosh) put(kind requestKind, items []byte) error {
	if kind == kindPlain && len(bytes.Trim(items, space)) == 0 {
		return nil
	}
	var open *etree.Element
	if kind == kindSession {
		var err error
		if open, err = xmlstream.Parse(items, xmlstream.Limits{}); err != nil {
			return err
		}
	}
	b.web.Meter.WillWrite()
	if err := b.enqueue(kind, items, open); err != nil {
		return err
	}
	b.web.Meter.DidWrite(len(items))
	return nil
}

var errNoOpen = errors.New("transport: the first thing that is written must be a header")

func (b *bosh) enqueue(kind requestKind, items []byte, open *etree.Element) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.began && b.err == nil {
		switch kind {
		case kindSession:
			b.began = true
			b.send(&boshRequest{kind: kindSession, attrs: b.sessionAttrs(open)})
			return nil
		case kindTerminate:
			b.finish(io.EOF)
			return nil
		default:
			return errNoOpen
		}
	}
	for b.err == nil && !b.closing && len(b.queue) >= maxWaiting && kind != kindTerminate && !b.joins(kind, items) {
		b.changed.Wait()
	}
	switch {
	case b.err == io.EOF || b.closing && b.err == nil:
		return net.ErrClosed
	case b.err != nil:
		return b.err
	case b.joins(kind, items):
		q := b.queue[len(b.queue)-1]
		q.items = append(q.items, items...)
		return nil
	}
	r := &boshRequest{kind: kind, items: bytes.Clone(items)}
	switch kind {
	case kindSession:
		r.kind, r.items, r.attrs = kindRestart, nil, restartAttrs(open)
	case kindTerminate:
		r.attrs = " type='terminate'"
		b.closing = true
	}
	b.queue = append(b.queue, r)
	b.pump()
	return nil
}

// joins reports whether the items find room in the request that waits last.
func (b *bosh) joins(kind requestKind, items []byte) bool {
	n := len(b.queue)
	if n == 0 || kind != kindPlain {
		return false
	}
	q := b.queue[n-1]
	return q.kind == kindPlain && len(q.items)+len(items) <= maxRequestItems
}

// sessionAttrs asks for a session: an answer after a minute at the latest, one request held meanwhile.
// Who asks is said over TLS only (RFC 6120 section 4.7.1).
func (b *bosh) sessionAttrs(open *etree.Element) string {
	var a attrs
	a.add("content", "text/xml; charset=utf-8")
	a.add("to", open.SelectAttrValue("to", ""))
	if b.secure {
		a.add("from", open.SelectAttrValue("from", ""))
	}
	a.add("xml:lang", open.SelectAttrValue("xml:lang", ""))
	a.add("wait", strconv.Itoa(askedWait))
	a.add("hold", "1")
	a.add("ver", "1.6") // some read it as a decimal fraction, where 1.11 would be less
	a.add("ack", "1")
	a.add("xmlns:xmpp", nsXBOSH)
	a.add("xmpp:version", "1.0")
	return a.String()
}

func restartAttrs(open *etree.Element) string {
	var a attrs
	a.add("to", open.SelectAttrValue("to", ""))
	a.add("xml:lang", open.SelectAttrValue("xml:lang", ""))
	a.add("xmlns:xmpp", nsXBOSH)
	a.add("xmpp:restart", "true")
	return a.String()
}

// body makes the body of a request.
func (r *boshRequest) body(sid string, ack uint64, key, newKey string) []byte {
	var a attrs
	a.WriteString("<body")
	a.add("xmlns", nsHTTPBind)
	a.add("rid", strconv.FormatUint(r.rid, 10))
	a.add("sid", sid)
	if ack != 0 {
		a.add("ack", strconv.FormatUint(ack, 10))
	}
	a.add("key", key)
	a.add("newkey", newKey)
	a.WriteString(r.attrs)
	if bytes.Contains(r.items, []byte("<stream:")) { // written by hand
		a.add("xmlns:stream", nsStreams)
	}
	if len(r.items) == 0 {
		a.WriteString("/>")
		return a.Bytes()
	}
	a.WriteByte('>')
	a.Write(r.items)
	a.WriteString("</body>")
	return a.Bytes()
}

// attrs is a start tag in the making.
type attrs struct{ bytes.Buffer }

// add adds the attribute unless it has no value.
func (a *attrs) add(name, value string) {
	if value != "" {
		a.WriteString(" " + name + "='")
		_ = xml.EscapeText(a, []byte(value))
		a.WriteByte('\'')
	}
}
