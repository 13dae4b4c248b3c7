package micro

import (
	"context"
	"encoding/xml"
	"io"

	"github.com/beevik/etree"
	gstanza "gosrc.io/xmpp/stanza"
	"mellium.im/xmlstream"
	mjid "mellium.im/xmpp/jid"
	mstanza "mellium.im/xmpp/stanza"
)

// Message is what the encode measurement builds: a chat message whose body needs escaping and is not all ASCII,
// with a receipt request (XEP-0184) and an origin-id (XEP-0359).
type Message struct{ To, ID, Body string }

// Sample is the message measured.
var Sample = Message{
	To:   "juliet@example.com/balcony",
	ID:   "a1f6c2d0-5b1e-4c52-9f0e-7d3f3a9c1b20",
	Body: "if a < b && b < c, dann fällt das Ganze um – see line 42 of the log I sent you yesterday 👍",
}

const (
	nsReceipts = "urn:xmpp:receipts"
	nsSID      = "urn:xmpp:sid:0"
)

// counter swallows bytes and knows how many.
type counter int

func (c *counter) Write(b []byte) (int, error) { *c += counter(len(b)); return len(b), nil }

// Encode lists the ways from the message's parts to bytes, addresses parsed beforehand.
func Encode() []Candidate {
	to := mjid.MustParse(Sample.To)
	encoder := xml.NewEncoder(io.Discard)
	session := melliumSession()
	document := etree.NewDocument()
	xmppo := encodeXmppo(io.Discard)
	list := []Candidate{
		encodeOurs(),
		{Name: "mellium tokens", Module: "mellium.im/xmpp v0.23.0", Yields: "bytes", Remark: "Session.Send", Run: func() error {
			return session.Send(context.Background(), melliumMessageTokens(to, Sample))
		}},
		{Name: "tokens alone", Module: "mellium.im/xmlstream v0.15.4, encoding/xml", Yields: "bytes", Remark: "the tokens of the row before into a bare xml.Encoder, which is not what a session sends with", Run: func() error {
			return encodeMelliumTokens(encoder, to, Sample)
		}},
		{Name: "mellium struct", Module: "mellium.im/xmpp v0.23.0", Yields: "bytes", Remark: "Session.Encode", Run: func() error {
			return session.Encode(context.Background(), melliumOut(to, Sample))
		}},
		{Name: "gosrc", Module: "gosrc.io/xmpp v0.5.1", Yields: "bytes", Run: func() error {
			_, err := xml.Marshal(gosrcOut(Sample))
			return err
		}},
		{Name: "xmppo", Module: "github.com/xmppo/go-xmpp v0.3.6", Yields: "bytes", Remark: "chooses the ids itself; has no receipt request", Run: func() error {
			return xmppo(Sample)
		}},
		{Name: "etree", Module: "github.com/beevik/etree v1.8.1", Yields: "tree and bytes", Run: func() error {
			document.Child = document.Child[:0]
			document.AddChild(etreeOut(Sample))
			_, err := document.WriteTo(io.Discard)
			return err
		}},
	}
	for i := range list {
		list[i].Ops = 1
	}
	return list
}

func encodeMelliumTokens(e *xml.Encoder, to mjid.JID, m Message) error {
	if _, err := xmlstream.Copy(e, melliumMessageTokens(to, m)); err != nil {
		return err
	}
	return e.Flush()
}

func melliumMessageTokens(to mjid.JID, m Message) xml.TokenReader {
	return mstanza.Message{ID: m.ID, To: to, Type: mstanza.ChatMessage}.Wrap(xmlstream.MultiReader(
		xmlstream.Wrap(xmlstream.Token(xml.CharData(m.Body)), xml.StartElement{Name: xml.Name{Local: "body"}}),
		xmlstream.Wrap(nil, xml.StartElement{Name: xml.Name{Space: nsReceipts, Local: "request"}}),
		xmlstream.Wrap(nil, xml.StartElement{Name: xml.Name{Space: nsSID, Local: "origin-id"},
			Attr: []xml.Attr{{Name: xml.Name{Local: "id"}, Value: m.ID}}}),
	))
}

type melliumOutgoing struct {
	mstanza.Message
	Body     string    `xml:"body"`
	Request  struct{}  `xml:"urn:xmpp:receipts request"`
	OriginID payloadID `xml:"urn:xmpp:sid:0 origin-id"`
}

func melliumOut(to mjid.JID, m Message) melliumOutgoing {
	return melliumOutgoing{
		Message: mstanza.Message{ID: m.ID, To: to, Type: mstanza.ChatMessage},
		Body:    m.Body, OriginID: payloadID{ID: m.ID},
	}
}

type gosrcOriginID struct {
	XMLName xml.Name `xml:"urn:xmpp:sid:0 origin-id"`
	ID      string   `xml:"id,attr"`
}

func gosrcOut(m Message) gstanza.Message {
	out := gstanza.NewMessage(gstanza.Attrs{To: m.To, Type: gstanza.MessageTypeChat, Id: m.ID})
	out.Body = m.Body
	out.Extensions = append(out.Extensions, gstanza.ReceiptRequest{}, gosrcOriginID{ID: m.ID})
	return out
}

func etreeOut(m Message) *etree.Element {
	e := etree.NewElement("message")
	e.CreateAttr("to", m.To)
	e.CreateAttr("id", m.ID)
	e.CreateAttr("type", "chat")
	e.CreateElement("body").SetText(m.Body)
	e.CreateElement("request").CreateAttr("xmlns", nsReceipts)
	o := e.CreateElement("origin-id")
	o.CreateAttr("xmlns", nsSID)
	o.CreateAttr("id", m.ID)
	return e
}
