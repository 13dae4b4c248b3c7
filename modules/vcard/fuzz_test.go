package vcard_test

import (
	"strings"
	"testing"

	"github.com/go-xmppframework/xmpp/modules/vcard"
	"github.com/go-xmppframework/xmpp/modules/vcard/vcardtest"
	"github.com/go-xmppframework/xmpp/stanza"
)

// FuzzVCard reads cards of both versions, within limits. What is written of one is read as the same;
// what is converted there and back stays what it is.
func FuzzVCard(f *testing.F) {
	for _, seed := range []string{
		`<FN/><FN>a</FN><N><GIVEN>b</GIVEN></N><PHOTO><TYPE>image/png</TYPE><BINVAL>YQ==</BINVAL></PHOTO><GEO><LAT>1</LAT><LON>x</LON></GEO><CLASS><PUBLIC/></CLASS>`,
		`<LABEL> l </LABEL><CATEGORIES> c <x/></CATEGORIES><AGENT><vCard><AGENT/></vCard></AGENT><SOUND><BINVAL>?</BINVAL></SOUND><BDAY>--0229</BDAY><REV>20031107T220201Z</REV>`,
		`<group name="g"><fn><text>a</text></fn></group><x xmlns="urn:x" y="z"/><tel><parameters><type><text>home</text></type><pref><integer>1</integer></pref></parameters><uri>tel:1</uri></tel>`,
		`<photo><uri>data:image/png;base64,YQ==</uri></photo><geo><uri>geo:1,2</uri></geo><note><text>a</text></note><note><text>b</text></note><n><surname/></n><impp><uri>xmpp:a@b</uri></impp>`,
	} {
		f.Add(seed)
	}
	sample := vcardtest.Sample()
	f.Add(written(sample))
	f.Add(written4(sample.VCard4()))
	f.Fuzz(func(t *testing.T, content string) {
		checkCards(t, content)
		checkCards(t, made(content))
	})
}

// words are what made makes cards of: names of elements, and texts.
var words = strings.Fields(`FN N GIVEN NICKNAME PHOTO TYPE BINVAL EXTVAL ADR HOME STREET LABEL LINE TEL CELL NUMBER EMAIL USERID X400 JABBERID GEO LAT LON AGENT vCard
	ORG ORGNAME ORGUNIT CATEGORIES KEYWORD SOUND PHONETIC CLASS PUBLIC KEY CRED NOTE DESC SORT-STRING REV BDAY VERSION X
	fn n surname given additional adr pobox street parameters type pref label sort-as tel email impp geo related photo org categories note key text uri integer group rev bday x`)

var contents = []string{"a", " ", "YQ==", "?", "1", "home", "agent", "data:image/png;base64,YQ==", "data:,", "tel:1", "xmpp:a@b", "xmpp:a?b", "geo:1,2", "x-pcs", "a\nb", "20031107T220201Z", "tel:tel:1", "pref", ","}

// made turns bytes into elements and texts that cards have.
func made(program string) string {
	b := stanza.New("x")
	for i, p := range []byte(program) {
		switch n := int(p); {
		case i > 300:
		case n < 64:
			b.C(words[n%len(words)])
		case n < 128:
			b.C(words[(n-20)%len(words)])
		case n < 190:
			b.Up()
		case n < 230:
			b.T(contents[n%len(contents)])
		case n < 240:
			b.A("name", contents[n%len(contents)])
		default:
			b.C(words[n%len(words)], "urn:x")
		}
	}
	s := stanza.Compact(b.Element())
	return strings.TrimSuffix(strings.TrimPrefix(s, "<x>"), "</x>")
}

func checkCards(t *testing.T, content string) {
	limits := vcard.Limits{Media: 100, Text: 4000, Entries: 20}
	if e, err := stanza.ParseElement("<vCard xmlns='vcard-temp'>" + content + "</vCard>"); err == nil {
		c, err := vcard.Decode(e, limits)
		if err != nil {
			t.Fatal(err)
		}
		if c.Photo != nil && len(c.Photo.Data) > 100 || len(c.Phones)+len(c.Emails)+len(c.Addresses)+len(c.Extra)+len(c.Categories) > 20 {
			t.Fatalf("over the limits: %s", written(c))
		}
		_, _ = c.BirthdayDate()
		_, _ = c.RevisionTime()
		_, _ = c.JID()
		var whole, again, copied vcard.Card
		text := stanza.Compact(e)
		if err := whole.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		text, copied = written(&whole), *whole.Copy()
		if whole.IsEmpty() != (text == "") && whole.Version == "" {
			t.Fatalf("IsEmpty is %v: %s", whole.IsEmpty(), text)
		}
		b, err := whole.MarshalText()
		if err != nil || again.UnmarshalText(b) != nil || written(&again) != text || written(&copied) != text {
			t.Fatalf("written\n%s\nread and written again\n%s\ncopied\n%s", text, written(&again), written(&copied))
		}
		four := whole.VCard4()
		back := four.Card()
		if once, twice := written(back), written(back.VCard4().Card()); once != twice {
			t.Fatalf("there and back\n%s\ntwice\n%s", once, twice)
		}
	}
	if e, err := stanza.ParseElement("<vcard xmlns='" + vcard.NS4 + "'>" + content + "</vcard>"); err == nil {
		c, err := vcard.Decode4(e, limits)
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Properties) > 20 {
			t.Fatalf("over the limits: %s", written4(c))
		}
		var whole, again vcard.Card4
		if err := whole.UnmarshalText([]byte(stanza.Compact(e))); err != nil {
			t.Fatal(err)
		}
		text := written4(&whole)
		b, err := whole.MarshalText()
		if err != nil || again.UnmarshalText(b) != nil || written4(&again) != text || written4(whole.Copy()) != text {
			t.Fatalf("written\n%s\nread and written again\n%s", text, written4(&again))
		}
		back := whole.Card()
		_ = whole.Photo()
		if once, twice := written(back), written(back.VCard4().Card()); once != twice {
			t.Fatalf("converted\n%s\nthere and back\n%s", once, twice)
		}
	}
}
