package testserver

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/internal/xmlstream"
)

const (
	nsFraming = "urn:ietf:params:xml:ns:xmpp-framing"
	nsBOSH    = "http://jabber.org/protocol/httpbind"
	nsXBOSH   = "urn:xmpp:xbosh"
)

// webFeed cuts the bytes that a session writes into what the ways over HTTP carry.
type webFeed struct {
	tap   tap
	dec   *xmlstream.Decoder
	fresh bool // a header is next
	raw   bool // there was something that is no XML; the rest is passed on as it comes
}

// word is one thing that a session says.
type word struct {
	header *etree.Element // of the stream
	e      *etree.Element // an element, nil for what is none
	xml    []byte         // it, with all its declarations; or bytes as they are
}

func newWebFeed(pipe io.Reader) *webFeed {
	f := &webFeed{tap: tap{r: pipe}, fresh: true}
	f.dec = xmlstream.NewDecoder(&f.tap, testLimits)
	return f
}

// next waits for the next word: io.EOF after the closing tag.
func (f *webFeed) next() (word, error) {
	if f.raw {
		return f.rest()
	}
	var e *etree.Element
	var err error
	if f.fresh {
		e, err = f.dec.Header()
	} else {
		e, err = f.dec.Next()
	}
	switch bad := (*xmlstream.Error)(nil); {
	case errors.As(err, &bad):
		left := f.tap.since(f.dec.Offset())
		if text := strings.TrimSpace(string(left)); f.fresh && !isHeader(text) {
			// The session ends before it has opened its stream, or opened it anew.
			f.tap = tap{r: io.MultiReader(strings.NewReader(streamTag+text), f.tap.r)}
			f.dec, f.fresh = xmlstream.NewDecoder(&f.tap, testLimits), false
			if _, err := f.dec.Header(); err != nil {
				return word{}, err
			}
			return f.next()
		}
		f.raw = true
		if len(left) > 0 {
			return word{xml: left}, nil
		}
		return f.rest()
	case err != nil:
		return word{}, err
	}
	f.tap.forget(f.dec.Offset())
	if f.fresh {
		f.fresh = false
		return word{header: e}, nil
	}
	if is(e, "success", nsSASL) { // a new stream follows (RFC 6120 §6.4.6)
		f.dec.Restart()
		f.fresh = true
	}
	b, err := xmlstream.AppendStandalone(nil, e)
	return word{e: e, xml: b}, err
}

func (f *webFeed) rest() (word, error) {
	b := make([]byte, 4096)
	n, err := f.tap.r.Read(b)
	if n > 0 {
		return word{xml: b[:n]}, nil
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return word{}, err
}

// tap remembers what a decoder has read and not yet consumed.
type tap struct {
	r    io.Reader
	buf  bytes.Buffer
	base int64 // of buf in all that was read
}

func (t *tap) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	t.buf.Write(p[:n])
	return n, err
}

func (t *tap) forget(offset int64) {
	t.buf.Next(int(offset - t.base))
	t.base = offset
}

func (t *tap) since(offset int64) []byte {
	t.forget(offset)
	return bytes.Clone(t.buf.Bytes())
}

// streamHeader makes the stream header that the attributes of an <open/> or a <body/> stand for.
func streamHeader(e *etree.Element, version string) []byte {
	var lang string
	for i := range e.Attr {
		if a := &e.Attr[i]; a.Space == "xml" && a.Key == "lang" {
			lang = a.Value
		}
	}
	return xmlstream.AppendHeader(nil, xmlstream.Header{
		To: attr(e, "to"), From: attr(e, "from"), Lang: lang, ContentNS: nsClient, Version: version,
	})
}
