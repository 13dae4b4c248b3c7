package clients

import (
	"context"
	"encoding/xml"
	"io"
	"net"
	"time"

	"mellium.im/sasl"
	"mellium.im/xmlstream"
	"mellium.im/xmpp"
	"mellium.im/xmpp/jid"
	"mellium.im/xmpp/stanza"
)

var mellium = Library{
	Name: "mellium", Module: "mellium.im/xmpp v0.23.0",
	Remark: "sends token streams with Session.Send, the faster of its ways; receives with Serve and a handler that decodes into a struct",
	Login:  loginMellium,
}

type melliumClient struct {
	session *xmpp.Session
	done    chan struct{}
}

// melliumMessage is what the handler decodes a message into.
type melliumMessage struct {
	stanza.Message
	Body     string `xml:"body"`
	OriginID struct {
		ID string `xml:"id,attr"`
	} `xml:"urn:xmpp:sid:0 origin-id"`
}

func loginMellium(ctx context.Context, a Account, in *Inbox) (Client, error) {
	config, err := a.TLS()
	if err != nil {
		return nil, err
	}
	j, err := jid.Parse(a.JID())
	if err != nil {
		return nil, err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", a.Addr)
	if err != nil {
		return nil, err
	}
	s, err := xmpp.NewClientSession(ctx, j, conn,
		xmpp.StartTLS(config), xmpp.SASL("", a.Password, sasl.ScramSha256, sasl.ScramSha1), xmpp.BindResource())
	if err != nil {
		conn.Close()
		return nil, err
	}
	c := &melliumClient{session: s, done: make(chan struct{})}
	if err := s.Send(ctx, stanza.Presence{Type: stanza.AvailablePresence}.Wrap(nil)); err != nil {
		conn.Close()
		return nil, err
	}
	go func() {
		defer close(c.done)
		s.Serve(xmpp.HandlerFunc(func(t xmlstream.TokenReadEncoder, start *xml.StartElement) error {
			if start.Name.Local != "message" {
				return nil
			}
			var m melliumMessage
			if err := xml.NewTokenDecoder(xmlstream.MultiReader(xmlstream.Token(*start), t)).Decode(&m); err != nil && err != io.EOF {
				return err
			}
			in.add(m.Body)
			return nil
		}))
	}()
	return c, nil
}

func (c *melliumClient) Send(ctx context.Context, to string, messages []Message) error {
	j, err := jid.Parse(to)
	if err != nil {
		return err
	}
	for _, v := range messages {
		if err := c.session.Send(ctx, melliumTokens(j, v.ID, v.Body)); err != nil {
			return err
		}
	}
	return nil
}

func melliumTokens(to jid.JID, id, body string) xml.TokenReader {
	return stanza.Message{ID: id, To: to, Type: stanza.ChatMessage}.Wrap(xmlstream.MultiReader(
		xmlstream.Wrap(xmlstream.Token(xml.CharData(body)), xml.StartElement{Name: xml.Name{Local: "body"}}),
		xmlstream.Wrap(nil, xml.StartElement{
			Name: xml.Name{Space: nsOriginID, Local: "origin-id"},
			Attr: []xml.Attr{{Name: xml.Name{Local: "id"}, Value: id}},
		}),
	))
}

func (c *melliumClient) Close() error {
	err := c.session.Close()
	select {
	case <-c.done:
	case <-time.After(2 * time.Second):
	}
	c.session.Conn().Close()
	return err
}
