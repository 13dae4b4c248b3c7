package micro

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"

	"mellium.im/xmlstream"
	"mellium.im/xmpp"
	mjid "mellium.im/xmpp/jid"
	mstanza "mellium.im/xmpp/stanza"
	mstream "mellium.im/xmpp/stream"
)

type melliumMessage struct {
	mstanza.Message
	Body     string       `xml:"body"`
	Request  *struct{}    `xml:"urn:xmpp:receipts request"`
	Markable *struct{}    `xml:"urn:xmpp:chat-markers:0 markable"`
	Active   *struct{}    `xml:"http://jabber.org/protocol/chatstates active"`
	OriginID payloadID    `xml:"urn:xmpp:sid:0 origin-id"`
	StanzaID payloadID    `xml:"urn:xmpp:sid:0 stanza-id"`
	Delay    payloadDelay `xml:"urn:xmpp:delay delay"`
}

type melliumPresence struct {
	mstanza.Presence
	Show     string      `xml:"show"`
	Status   string      `xml:"status"`
	Priority int8        `xml:"priority"`
	Caps     payloadCaps `xml:"http://jabber.org/protocol/caps c"`
	Photo    string      `xml:"vcard-temp:x:update x>photo"`
	Idle     struct {
		Since string `xml:"since,attr"`
	} `xml:"urn:xmpp:idle:1 idle"`
}

type melliumIQ struct {
	mstanza.IQ
	Roster struct {
		Ver  string        `xml:"ver,attr"`
		Item []payloadItem `xml:"item"`
	} `xml:"jabber:iq:roster query"`
	Info struct {
		Node     string            `xml:"node,attr"`
		Identity []payloadIdentity `xml:"identity"`
		Feature  []payloadFeature  `xml:"feature"`
	} `xml:"http://jabber.org/protocol/disco#info query"`
}

// readWriter gives a session the corpus to read and swallows what it writes.
type readWriter struct {
	io.Reader
	io.Writer
}

// decodeMellium drives a session, since that is the library's decoder:
// the negotiator takes the stream header and declares the session ready.
func decodeMellium(stream []byte) error {
	negotiate := func(_ context.Context, in, out *mstream.Info, s *xmpp.Session, _ any) (xmpp.SessionState, io.ReadWriter, any, error) {
		in.XMLNS, out.XMLNS = mstanza.NSClient, mstanza.NSClient
		r := s.TokenReader()
		defer r.Close()
		for {
			t, err := r.Token()
			if err != nil {
				return 0, nil, nil, err
			}
			if _, ok := t.(xml.StartElement); ok {
				return xmpp.Ready, nil, nil, nil
			}
		}
	}
	s, err := xmpp.NewSession(context.Background(), melliumServer, melliumUser,
		readWriter{bytes.NewReader(stream), io.Discard}, 0, negotiate)
	if err != nil {
		return err
	}
	n := 0
	err = s.Serve(xmpp.HandlerFunc(func(t xmlstream.TokenReadEncoder, start *xml.StartElement) error {
		n++
		d := xml.NewTokenDecoder(xmlstream.MultiReader(xmlstream.Token(*start), t))
		var err error
		switch start.Name.Local {
		case "message":
			err = d.Decode(new(melliumMessage))
		case "presence":
			err = d.Decode(new(melliumPresence))
		case "iq":
			err = d.Decode(new(melliumIQ))
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}))
	if err != nil {
		return err
	}
	return count(n)
}

var (
	melliumServer = mjid.MustParse("example.net")
	melliumUser   = mjid.MustParse("romeo@example.net/desktop.7Tf2")
)

// melliumSession returns a session that is ready and swallows what it sends.
func melliumSession() *xmpp.Session {
	negotiate := func(_ context.Context, in, out *mstream.Info, _ *xmpp.Session, _ any) (xmpp.SessionState, io.ReadWriter, any, error) {
		in.XMLNS, out.XMLNS = mstanza.NSClient, mstanza.NSClient
		return xmpp.Ready, nil, nil, nil
	}
	s, err := xmpp.NewSession(context.Background(), melliumServer, melliumUser,
		readWriter{bytes.NewReader(nil), io.Discard}, 0, negotiate)
	if err != nil {
		panic(err) // nothing in the negotiation can fail
	}
	return s
}
