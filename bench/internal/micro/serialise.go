package micro

import (
	"io"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/internal/xmlstream"
)

// Serialise lists the ways from existing trees, those of the corpus, to bytes.
func Serialise(c Corpus) ([]Candidate, error) {
	trees := make([]*etree.Element, len(c.Stanza))
	documents := make([]*etree.Document, len(c.Stanza))
	for i, s := range c.Stanza {
		documents[i] = etree.NewDocument()
		if err := documents[i].ReadFromString(s); err != nil {
			return nil, err
		}
		trees[i] = documents[i].Root().Copy()
		trees[i].Attr = append([]etree.Attr{{Key: "xmlns", Value: nsClient}}, trees[i].Attr...)
	}
	var written counter
	var buf []byte
	list := []Candidate{
		{Name: "ours", Module: "this library", Yields: "validated bytes", Remark: "into a buffer that is used again", Run: func() error {
			for _, e := range trees {
				var err error
				if buf, err = xmlstream.AppendElement(buf[:0], e, nsClient); err != nil {
					return err
				}
			}
			return nil
		}},
		{Name: "etree", Module: "github.com/beevik/etree v1.8.1", Yields: "bytes", Remark: "Document.WriteTo", Run: func() error {
			for _, d := range documents {
				if _, err := d.WriteTo(io.Writer(&written)); err != nil {
					return err
				}
			}
			return nil
		}},
	}
	size := 0
	for _, s := range c.Stanza {
		size += len(s)
	}
	for i := range list {
		list[i].Ops, list[i].Bytes = Stanzas, size
	}
	return list, nil
}

const nsClient = "jabber:client"
