package jid_test

import (
	"testing"

	"github.com/go-xmppframework/xmpp/jid"
)

// benchInputs are the shapes that the performance targets name.
var benchInputs = []struct{ name, in string }{
	{"bare", "romeo@example.com"},
	{"full52", "juliet.capulet@chat.example.com/balcony-1234567890ab"},
	{"cyrillic", "ромео@example.com"},
	{"upper", "Romeo@Example.com"},
	{"arabic", "\u0631\u0648\u0645\u064A\u0648@example.com"},
	{"idn", "romeo@bücher.example"},
}

var (
	sinkJID    jid.JID
	sinkString string
)

func BenchmarkParse(b *testing.B) {
	for _, bm := range benchInputs {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				sinkJID, _ = jid.Parse(bm.in)
			}
		})
	}
}

func BenchmarkString(b *testing.B) {
	j := jid.MustParse("juliet.capulet@chat.example.com/balcony-1234567890ab")
	b.ReportAllocs()
	for b.Loop() {
		sinkString = j.String()
	}
}
