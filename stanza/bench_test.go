package stanza_test

import (
	"testing"

	"github.com/go-xmppframework/xmpp/jid"
	"github.com/go-xmppframework/xmpp/stanza"
)

var (
	sinkMessage *stanza.Message
	sinkIQ      *stanza.IQ
	sinkString  string
	sinkJID     jid.JID
)

const benchBody = "Wherefore art thou, Romeo? <3 & more – ünïcode"

func BenchmarkNewMessage(b *testing.B) {
	to := jid.MustParse("romeo@example.net/orchard")
	b.ReportAllocs()
	for b.Loop() {
		sinkMessage = stanza.NewMessage(stanza.Chat, to, benchBody)
	}
}

// BenchmarkNewMessageChildren is the message that performance is compared with: receipt request and origin id too.
func BenchmarkNewMessageChildren(b *testing.B) {
	to := jid.MustParse("romeo@example.net/orchard")
	b.ReportAllocs()
	for b.Loop() {
		m := stanza.NewMessage(stanza.Chat, to, benchBody)
		m.C("request", "urn:xmpp:receipts").Up().C("origin-id", "urn:xmpp:sid:0").A("id", m.ID())
		sinkMessage = m
	}
}

func BenchmarkNewIQ(b *testing.B) {
	to := jid.MustParse("example.net")
	q := stanza.New("query", "http://jabber.org/protocol/disco#info")
	b.ReportAllocs()
	for b.Loop() {
		sinkIQ = stanza.NewIQ(stanza.Get, to, q)
	}
}

func received(b *testing.B) *stanza.Message {
	s, err := stanza.Parse(`<message xmlns="jabber:client" from="juliet@example.com/balcony" to="romeo@example.net/orchard" type="chat" id="a1">` +
		`<active xmlns="http://jabber.org/protocol/chatstates"/><request xmlns="urn:xmpp:receipts"/><body>` + "Wherefore art thou" + `</body><thread>t1</thread></message>`)
	if err != nil {
		b.Fatal(err)
	}
	return s.(*stanza.Message)
}

func BenchmarkReply(b *testing.B) {
	m := received(b)
	b.ReportAllocs()
	for b.Loop() {
		sinkMessage = m.Reply("here")
	}
}

func BenchmarkResult(b *testing.B) {
	iq := stanza.NewIQ(stanza.Get, jid.MustParse("romeo@example.net/orchard"), stanza.New("ping", "urn:xmpp:ping"))
	iq.SetFrom(jid.MustParse("example.net"))
	b.ReportAllocs()
	for b.Loop() {
		sinkIQ = iq.Result(nil)
	}
}

func BenchmarkBody(b *testing.B) {
	m := received(b)
	b.ReportAllocs()
	for b.Loop() {
		sinkString = m.Body()
	}
}

func BenchmarkFrom(b *testing.B) {
	m := received(b)
	b.ReportAllocs()
	for b.Loop() {
		sinkJID = m.From()
	}
}

func BenchmarkCopy(b *testing.B) {
	m := received(b)
	b.ReportAllocs()
	for b.Loop() {
		sinkMessage = m.Copy()
	}
}

func BenchmarkCompact(b *testing.B) {
	m := received(b)
	b.ReportAllocs()
	for b.Loop() {
		sinkString = stanza.Compact(m.Element())
	}
}

func BenchmarkNewID(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		sinkString = stanza.NewID()
	}
}
