package xmlstream

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

const (
	testHeader = `<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'` +
		` from='example.net' id='c7f1' version='1.0' xml:lang='en'>`
	testFooter = `</stream:stream>`
)

var bodies = []string{
	"Wherefore art thou, Romeo?",
	"See you at the usual place at nine, bring the papers with you and do not tell anyone else about it.",
	"Ça va être très bien, à demain matin à la gare de l’Est",
	"ok",
	"Привет! Как дела? Встречаемся завтра в шесть часов вечера у метро",
	"The build is green again; I had to bump two dependencies and rerun the flaky one.",
	"👍 great, thanks",
	"明日の午後三時に駅前で会いましょう",
}

// chatStanza is a message as servers deliver it: receipt request, marker, ids, delay.
func chatStanza(r *rand.Rand) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<message xml:lang='en' to='juliet@example.net/balcony-%04x' from='romeo@montague.example/orchard-%04x' type='chat' id='%08x-%04x-%04x'>`,
		r.IntN(1<<16), r.IntN(1<<16), r.Uint32(), r.IntN(1<<16), r.IntN(1<<16))
	fmt.Fprintf(&b, `<archived xmlns='urn:xmpp:mam:tmp' by='juliet@example.net' id='%d'/>`, 1700000000000000+r.Int64N(1e12))
	fmt.Fprintf(&b, `<stanza-id xmlns='urn:xmpp:sid:0' by='juliet@example.net' id='%d'/>`, 1700000000000000+r.Int64N(1e12))
	fmt.Fprintf(&b, `<delay xmlns='urn:xmpp:delay' from='example.net' stamp='2026-03-0%dT1%d:3%d:01.%06dZ'/>`, 1+r.IntN(9), r.IntN(10), r.IntN(10), r.IntN(1e6))
	fmt.Fprintf(&b, `<origin-id xmlns='urn:xmpp:sid:0' id='%08x'/>`, r.Uint32())
	fmt.Fprintf(&b, `<body>%s</body>`, bodies[r.IntN(len(bodies))])
	b.WriteString(`<request xmlns='urn:xmpp:receipts'/><markable xmlns='urn:xmpp:chat-markers:0'/></message>`)
	return b.String()
}

// presenceStanza is a presence with capabilities and an avatar hash.
func presenceStanza(r *rand.Rand) string {
	return fmt.Sprintf(`<presence xml:lang='en' to='juliet@example.net/balcony-%04x' from='room%02x@conference.example.net/Nick %d'>`+
		`<show>away</show><status>%s</status><priority>5</priority>`+
		`<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://gajim.org' ver='%08x%08xN6KB0ohM='/>`+
		`<x xmlns='vcard-temp:x:update'><photo>%08x%08x%08x%08x%08x</photo></x>`+
		`<idle xmlns='urn:xmpp:idle:1' since='2026-03-01T10:00:00Z'/>`+
		`<x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant'/></x></presence>`,
		r.IntN(1<<16), r.IntN(256), r.IntN(100), bodies[r.IntN(len(bodies))],
		r.Uint32(), r.Uint32(), r.Uint32(), r.Uint32(), r.Uint32(), r.Uint32(), r.Uint32())
}

// rosterStanza is a roster result of a few items.
func rosterStanza(r *rand.Rand) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<iq to='juliet@example.net/balcony' type='result' id='%08x'><query xmlns='jabber:iq:roster' ver='ver%d'>`, r.Uint32(), r.IntN(100))
	for i := range 5 {
		fmt.Fprintf(&b, `<item jid='contact%d@montague.example' name='Contact %d' subscription='both'><group>Friends</group></item>`, r.IntN(1000), i)
	}
	b.WriteString(`</query></iq>`)
	return b.String()
}

// discoStanza is a disco#info result.
func discoStanza(r *rand.Rand) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<iq from='example.net' to='juliet@example.net/balcony' type='result' id='%08x'>`+
		`<query xmlns='http://jabber.org/protocol/disco#info'><identity category='server' type='im' name='Server'/>`, r.Uint32())
	for _, f := range []string{"http://jabber.org/protocol/disco#info", "urn:xmpp:ping", "urn:xmpp:carbons:2", "urn:xmpp:mam:2",
		"vcard-temp", "urn:xmpp:blocking", "msgoffline", "urn:xmpp:sid:0"} {
		fmt.Fprintf(&b, `<feature var='%s'/>`, f)
	}
	b.WriteString(`</query></iq>`)
	return b.String()
}

// benchCorpus is 1,000 stanzas: 70 % chat, 20 % presence, 10 % roster and disco.
func benchCorpus() []string {
	r := rand.New(rand.NewPCG(1, 2))
	out := make([]string, 1000)
	for i := range out {
		switch k := i % 10; {
		case k < 7:
			out[i] = chatStanza(r)
		case k < 9:
			out[i] = presenceStanza(r)
		case i%20 == 9:
			out[i] = rosterStanza(r)
		default:
			out[i] = discoStanza(r)
		}
	}
	return out
}

// oddStanzas hold what ordinary traffic does not.
var oddStanzas = []string{
	`<message/>`,
	`<message></message>`,
	`<a:b xmlns:a='urn:a' a:c='1' c='2'><a:d/><d/></a:b>`,
	`<message><body>5 &lt; 6 &amp;&amp; 7 &gt; 6 &quot;&apos;</body></message>`,
	`<message><body>&#65;&#x42;&#x1F600;&#9;&#10;&#13;&#xD7FF;&#xE000;&#xFFFD;&#x10FFFF;</body></message>`,
	`<message a='&lt;&gt;&amp;&quot;&apos;&#9;&#10;&#13;&#32;'/>`,
	"<message a='x\ty\nz\r\nw\rv  ' b=\"it's\" c='\"' d=''/>",
	"<message><body>a\r\nb\rc\r\r\nd\n\re\t</body></message>",
	`<message><body><![CDATA[<not> & a tag]]></body></message>`,
	`<message><body>a<![CDATA[b]]>c<![CDATA[]]>d<![CDATA[]]]]><![CDATA[>]]>e</body></message>`,
	"<message><body>\r<![CDATA[\n]]>&amp;<![CDATA[\r\n&amp;]]>\r\n</body></message>",
	`<message><body><![CDATA[]]></body></message>`,
	`<message><body><![CDATA[</stream:stream>]]></body></message>`,
	`<message><body>] ]] ]]&gt; >]</body></message>`,
	"<message><body>\u00e9\u0416\u660e\U0001f600\ufffd\u0085\u2028\x7f</body></message>",
	"<m\u00e9ssage \u0416='\u660e'><\u660e\u0300\u00b7 /></m\u00e9ssage>",
	`<message xml:lang='de' xml:space='preserve'><xml:x/></message>`,
	`<message xmlns:xml='http://www.w3.org/XML/1998/namespace'/>`,
	`<message xmlns=''><body xmlns='jabber:client'/><x/></message>`,
	`<message><stream:stream xmlns:stream='urn:x'/><stream:error/></message>`,
	`<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><x/></stream:features>`,
	`<stream:error><host-gone xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>`,
	`<x xmlns:a='u&amp;v' xmlns:b='u' a:k='1' b:k='2'/>`,
	`<x xmlns:a='u'><y xmlns:a='v' xmlns:b='u' a:k='1' b:k='2'/><a:z a:k='1'/></x>`,
	"<message\n\tto = 'a'\r\n from\t=\n\"b\" ></message >",
	"<iq \r\n/>",
	`<message>  <body> x </body> text <b/> tail </message>`,
	`<message a:b='1' xmlns:a='urn:a' xmlns='urn:own' stream:c='2'/>`,
}

// chunkCorpus is 200 stanzas, odd and ordinary.
func chunkCorpus() []string {
	r := rand.New(rand.NewPCG(3, 4))
	out := append([]string(nil), oddStanzas...)
	for i := 0; len(out) < 200; i++ {
		switch i % 6 {
		case 0, 1:
			out = append(out, chatStanza(r))
		case 2:
			out = append(out, presenceStanza(r))
		case 3:
			out = append(out, rosterStanza(r))
		case 4:
			out = append(out, discoStanza(r))
		default:
			odd := oddStanzas[r.IntN(len(oddStanzas))]
			out = append(out, "<iq type='set'>"+odd+"&#"+fmt.Sprint(0x100+r.IntN(0xD000))+";"+odd+"</iq>")
		}
	}
	return out
}

func newRand() *rand.Rand { return rand.New(rand.NewPCG(5, 6)) }
