package clients

import (
	"context"
	"encoding/xml"
	"errors"

	gxmpp "gosrc.io/xmpp"
	gstanza "gosrc.io/xmpp/stanza"
)

var gosrc = Library{
	Name: "gosrc", Module: "gosrc.io/xmpp v0.5.1",
	Remark: "logs in with PLAIN, the only mechanism it has; calls the handlers of received stanzas in goroutines of their own",
	Login:  loginGosrc,
}

type gosrcOriginID struct {
	gstanza.MsgExtension `xml:"-"`
	XMLName              xml.Name `xml:"urn:xmpp:sid:0 origin-id"`
	ID                   string   `xml:"id,attr"`
}

func init() {
	gstanza.TypeRegistry.MapExtension(gstanza.PKTMessage,
		xml.Name{Space: nsOriginID, Local: "origin-id"}, gosrcOriginID{})
}

type gosrcClient struct{ client *gxmpp.Client }

func loginGosrc(_ context.Context, a Account, in *Inbox) (Client, error) {
	config, err := a.TLS()
	if err != nil {
		return nil, err
	}
	router := gxmpp.NewRouter()
	router.HandleFunc("message", func(_ gxmpp.Sender, p gstanza.Packet) {
		if m, ok := p.(gstanza.Message); ok {
			in.add(m.Body)
		}
	})
	c, err := gxmpp.NewClient(&gxmpp.Config{
		TransportConfiguration: gxmpp.TransportConfiguration{Address: a.Addr, Domain: a.Domain, TLSConfig: config},
		Jid:                    a.JID(), Credential: gxmpp.Password(a.Password), ConnectTimeout: 10,
	}, router, func(error) {})
	if err != nil {
		return nil, err
	}
	if err := c.Connect(); err != nil {
		return nil, err
	}
	return gosrcClient{c}, nil
}

func (c gosrcClient) Send(_ context.Context, to string, messages []Message) error {
	for _, v := range messages {
		if err := c.client.Send(gosrcMessage(to, v.ID, v.Body)); err != nil {
			return err
		}
	}
	return nil
}

func gosrcMessage(to, id, body string) gstanza.Message {
	m := gstanza.NewMessage(gstanza.Attrs{To: to, Type: gstanza.MessageTypeChat, Id: id})
	m.Body = body
	m.Extensions = append(m.Extensions, gosrcOriginID{ID: id})
	return m
}

func (c gosrcClient) Close() error {
	if err := c.client.Disconnect(); err != nil {
		return errors.Join(errors.New("gosrc: disconnect"), err)
	}
	return nil
}
