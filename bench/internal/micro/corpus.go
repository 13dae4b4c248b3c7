// Package micro measures what needs no connection: decoding, encoding, serialising, addresses and SCRAM,
// this library side by side with others on the same input.
package micro

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Stanzas is the number of stanzas in a corpus.
const Stanzas = 1000

// StreamHeader opens the stream of the corpus, as a server would.
const StreamHeader = "<?xml version='1.0'?><stream:stream id='c0ffee' version='1.0' xml:lang='en' from='example.com'" +
	" xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"

// StreamFooter closes it.
const StreamFooter = "</stream:stream>"

// Corpus is what a client might receive in a quiet hour: 70 % chat messages with body, receipt request, marker, ids and delay,
// 20 % presence with capabilities and avatar hash, 10 % roster and disco results.
// About a third of the texts are not ASCII, every eighth holds an entity.
type Corpus struct {
	Stanza []string // each by itself, without the stream's namespaces
	Stream string   // all of them between StreamHeader and StreamFooter
}

var texts = []string{
	"Wherefore art thou? Deny thy father and refuse thy name, or if thou wilt not, be but sworn my love.",
	"Did you see the minutes of Tuesday's meeting? I think item 4 is still open, could you have a look before lunch?",
	"Wir treffen uns um 18 Uhr am Südausgang, falls der Zug pünktlich ist. Über Köln dauert es länger.",
	"Привет! Завтра в десять утра у нас созвон, не забудь взять с собой заметки по прошлому проекту.",
	"明日の会議は午後三時に変更になりました。資料は共有フォルダーにあります。",
	"if a &lt; b &amp;&amp; c &gt; d then the whole thing falls over, see line 42 of the log I sent you yesterday",
	"ok 👍",
	"The build is green again: the flaky test waited for a timer, it now runs on a fake clock. Nothing else changed.",
}

var names = []string{"juliet", "romeo", "nurse", "mercutio", "benvolio", "tybalt", "лоренцо", "rosaline"}

// NewCorpus makes the corpus; it is the same every time.
func NewCorpus() Corpus {
	r := rand.New(rand.NewPCG(1, 2))
	c := Corpus{Stanza: make([]string, Stanzas)}
	for i := range c.Stanza {
		switch n := i % 10; {
		case n < 7:
			c.Stanza[i] = message(r, i)
		case n < 9:
			c.Stanza[i] = presence(r)
		case i%20 == 9:
			c.Stanza[i] = roster(r, i)
		default:
			c.Stanza[i] = disco(i)
		}
	}
	c.Stream = StreamHeader + strings.Join(c.Stanza, "") + StreamFooter
	return c
}

func name(r *rand.Rand) string { return names[r.IntN(len(names))] }

func hex(r *rand.Rand, n int) string { return fmt.Sprintf("%0*x", n, r.Uint64())[:n] }

func uuid(r *rand.Rand) string {
	return hex(r, 8) + "-" + hex(r, 4) + "-4" + hex(r, 3) + "-a" + hex(r, 3) + "-" + hex(r, 12)
}

func message(r *rand.Rand, i int) string {
	id := uuid(r)
	delay := ""
	if i%4 == 0 {
		delay = fmt.Sprintf("<delay xmlns='urn:xmpp:delay' from='example.com' stamp='2026-03-%02dT%02d:%02d:07Z'>Offline storage</delay>",
			1+r.IntN(28), r.IntN(24), r.IntN(60))
	}
	return fmt.Sprintf("<message from='%s@example.com/phone.%s' to='romeo@example.net/desktop.7Tf2' type='chat' id='%s' xml:lang='en'>"+
		"<body>%s</body><request xmlns='urn:xmpp:receipts'/><markable xmlns='urn:xmpp:chat-markers:0'/>"+
		"<active xmlns='http://jabber.org/protocol/chatstates'/><origin-id xmlns='urn:xmpp:sid:0' id='%s'/>"+
		"<stanza-id xmlns='urn:xmpp:sid:0' by='romeo@example.net' id='%s'/>%s</message>",
		name(r), hex(r, 6), id, texts[r.IntN(len(texts))], id, uuid(r), delay)
}

func presence(r *rand.Rand) string {
	show := []string{"", "<show>away</show>", "<show>dnd</show><status>in a meeting</status>", "<show>xa</show><status>im Urlaub bis März</status>"}
	return fmt.Sprintf("<presence from='%s@example.com/laptop.%s' to='romeo@example.net/desktop.7Tf2' id='%s'>%s<priority>%d</priority>"+
		"<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://client.example/#2.4.1' ver='QgayPKawpkPSDYmwT/WM94uAlu0='/>"+
		"<x xmlns='vcard-temp:x:update'><photo>%s%s</photo></x>"+
		"<idle xmlns='urn:xmpp:idle:1' since='2026-03-14T15:09:26Z'/></presence>",
		name(r), hex(r, 6), hex(r, 10), show[r.IntN(len(show))], r.IntN(50), hex(r, 16), hex(r, 16))
}

func roster(r *rand.Rand, i int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<iq from='romeo@example.net' to='romeo@example.net/desktop.7Tf2' type='result' id='r%d'><query xmlns='jabber:iq:roster' ver='v%d'>", i, i)
	for range 8 {
		fmt.Fprintf(&b, "<item jid='%s%d@example.com' name='%s' subscription='both'><group>Verona</group></item>", name(r), r.IntN(1000), name(r))
	}
	return b.String() + "</query></iq>"
}

func disco(i int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<iq from='juliet@example.com/phone' to='romeo@example.net/desktop.7Tf2' type='result' id='d%d'>"+
		"<query xmlns='http://jabber.org/protocol/disco#info' node='https://client.example/#2.4.1'>"+
		"<identity category='client' type='phone' name='Exodus 2.4.1'/>", i)
	for _, f := range []string{"http://jabber.org/protocol/disco#info", "urn:xmpp:receipts", "urn:xmpp:chat-markers:0", "urn:xmpp:ping",
		"jabber:iq:version", "urn:xmpp:time", "http://jabber.org/protocol/muc", "urn:xmpp:message-correct:0", "urn:xmpp:jingle:1", "vcard-temp"} {
		fmt.Fprintf(&b, "<feature var='%s'/>", f)
	}
	return b.String() + "</query></iq>"
}
