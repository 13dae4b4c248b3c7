package xmlstream

import (
	"bytes"
	"errors"

	"github.com/beevik/etree"
)

// Errors that an EncodeError matches with errors.Is.
var (
	ErrInvalidXMLChar = errors.New("xmlstream: character that XML cannot carry")
	ErrInvalidName    = errors.New("xmlstream: invalid XML name")
)

// EncodeError says why an element cannot be written.
type EncodeError struct {
	Reason string
	Err    error
}

func (e *EncodeError) Error() string { return "xmlstream: encode: " + e.Reason }

// Unwrap returns ErrInvalidXMLChar or ErrInvalidName.
func (e *EncodeError) Unwrap() error { return e.Err }

// Footer ends a stream.
const Footer = "</stream:stream>"

// Header is the start tag of a stream.
type Header struct{ To, From, Lang, ContentNS, ID, Version string }

// AppendHeader appends the XML declaration and the start tag of a stream.
func AppendHeader(dst []byte, h Header) []byte {
	e := etree.NewElement("stream:stream")
	for _, a := range [][2]string{{"xmlns", h.ContentNS}, {"xmlns:stream", "http://etherx.jabber.org/streams"},
		{"to", h.To}, {"from", h.From}, {"xml:lang", h.Lang}, {"id", h.ID}, {"version", h.Version}} {
		if a[1] != "" {
			e.CreateAttr(a[0], a[1])
		}
	}
	dst = append(dst, "<?xml version='1.0'?>"...)
	dst, _ = AppendStandalone(dst, e)
	return append(dst[:len(dst)-2], '>')
}

// AppendElement appends e as a stanza of a stream whose default namespace is contentNS.
func AppendElement(dst []byte, e *etree.Element, contentNS string) ([]byte, error) {
	if contentNS == "" {
		contentNS = "jabber:client"
	}
	if v := e.SelectAttrValue("xmlns", ""); e.Space == "" && (v == contentNS || v == "jabber:client") {
		e = e.Copy()
		e.RemoveAttr("xmlns")
	}
	return AppendStandalone(dst, e)
}

// AppendStandalone appends e with every declaration.
func AppendStandalone(dst []byte, e *etree.Element) ([]byte, error) {
	b := bytes.NewBuffer(dst)
	e.WriteTo(b, &etree.WriteSettings{})
	return b.Bytes(), nil
}
