package micro

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/internal/xmlstream"
	gstanza "gosrc.io/xmpp/stanza"
)

// Decode lists the ways from a stream's bytes to what a user of the library gets.
// Every one is fed the corpus through an io.Reader, with no socket in between.
func Decode(c Corpus) []Candidate {
	stream := []byte(c.Stream)
	list := []Candidate{
		{Name: "ours", Module: "this library", Yields: "checked etree tree", Run: func() error { return decodeOurs(stream) }},
		{Name: "mellium", Module: "mellium.im/xmpp v0.23.0", Yields: "structs", Remark: "Session.Serve and a handler that decodes into structs, as token readers are for users to decode",
			Run: func() error { return decodeMellium(stream) }},
		{Name: "gosrc", Module: "gosrc.io/xmpp v0.5.1", Yields: "structs, unknown payloads dropped", Run: func() error { return decodeGosrc(stream) }},
		{Name: "xmppo", Module: "github.com/xmppo/go-xmpp v0.3.6", Yields: "structs, the rest as text", Run: func() error { return decodeXmppo(stream) }},
		{Name: "encoding/xml Token", Module: "standard library", Yields: "tokens", Run: func() error { return decodeTokens(stream, (*xml.Decoder).Token) }},
		{Name: "encoding/xml RawToken", Module: "standard library", Yields: "tokens", Run: func() error { return decodeTokens(stream, (*xml.Decoder).RawToken) }},
		{Name: "etree", Module: "github.com/beevik/etree v1.8.1", Yields: "tree", Remark: "ReadFromBytes for each stanza", Run: func() error { return decodeEtree(c.Stanza) }},
		{Name: "counting <", Module: "standard library", Yields: "a number", Remark: "bytes.Count, the limit", Run: func() error {
			if bytes.Count(stream, []byte("<")) < Stanzas {
				return errors.New("too few")
			}
			return nil
		}},
	}
	for i := range list {
		list[i].Ops, list[i].Bytes = Stanzas, len(stream)
	}
	return list
}

var errCount = errors.New("wrong number of stanzas")

func count(n int) error {
	if n != Stanzas {
		return fmt.Errorf("%w: %d", errCount, n)
	}
	return nil
}

func decodeOurs(stream []byte) error {
	d := xmlstream.NewDecoder(bytes.NewReader(stream), xmlstream.DefaultLimits())
	if _, err := d.Header(); err != nil {
		return err
	}
	for n := 0; ; n++ {
		if _, err := d.Next(); err == io.EOF {
			return count(n)
		} else if err != nil {
			return err
		}
	}
}

func decodeGosrc(stream []byte) error {
	d := xml.NewDecoder(bytes.NewReader(stream))
	if _, err := gstanza.InitStream(d); err != nil {
		return err
	}
	for n := 0; ; n++ {
		p, err := gstanza.NextPacket(d)
		if err != nil {
			return err
		}
		if _, end := p.(gstanza.StreamClosePacket); end {
			return count(n)
		}
	}
}

// decodeTokens does not count stanzas: it only takes every token.
func decodeTokens(stream []byte, token func(*xml.Decoder) (xml.Token, error)) error {
	d := xml.NewDecoder(bytes.NewReader(stream))
	for {
		if _, err := token(d); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func decodeEtree(stanzas []string) error {
	for _, s := range stanzas {
		if err := etree.NewDocument().ReadFromBytes([]byte(s)); err != nil {
			return err
		}
	}
	return nil
}

// melliumKinds are what the handler decodes into.
type (
	payloadID struct {
		ID string `xml:"id,attr"`
		By string `xml:"by,attr"`
	}
	payloadDelay struct {
		From  string `xml:"from,attr"`
		Stamp string `xml:"stamp,attr"`
		Text  string `xml:",chardata"`
	}
	payloadCaps struct {
		Hash string `xml:"hash,attr"`
		Node string `xml:"node,attr"`
		Ver  string `xml:"ver,attr"`
	}
	payloadItem struct {
		JID          string   `xml:"jid,attr"`
		Name         string   `xml:"name,attr"`
		Subscription string   `xml:"subscription,attr"`
		Group        []string `xml:"group"`
	}
	payloadIdentity struct {
		Category string `xml:"category,attr"`
		Type     string `xml:"type,attr"`
		Name     string `xml:"name,attr"`
	}
	payloadFeature struct {
		Var string `xml:"var,attr"`
	}
)

// isEOF reports the end of the input as different libraries tell it.
func isEOF(err error) bool {
	return err == io.EOF || err != nil && strings.Contains(err.Error(), "closed stream")
}
