package vcard_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/vcard"
	"github.com/go-xmppframework/xmpp/stanza"
)

func binval(n int) string {
	return "<BINVAL>" + base64.StdEncoding.EncodeToString(make([]byte, n)) + "</BINVAL>"
}

// TestSec_FILE08: photos are bound before they are decoded, and nothing in them is looked into; a bad one does not lose the rest.
func TestSec_FILE08(t *testing.T) {
	const max = 256 << 10
	for _, tt := range []struct {
		name  string
		photo string
		size  int
		err   error
	}{
		{"small", binval(1), 1, nil},
		{"as large as allowed", binval(max), max, nil},
		{"one more", binval(max + 1), 0, vcard.ErrTooBig},
		{"1 MiB", binval(1 << 20), 0, vcard.ErrTooBig},
		{"as large as allowed, in lines", strings.ReplaceAll(binval(max), strings.Repeat("A", 76), strings.Repeat("A", 76)+"\n"), max, nil},
		{"no base64", "<BINVAL>&lt;svg&gt;</BINVAL>", 0, vcard.ErrBadData},
		{"no padding", "<BINVAL>YQ</BINVAL>", 0, vcard.ErrBadData},
		{"something behind", "<BINVAL>YQ==YQ==</BINVAL>", 0, vcard.ErrBadData},
		{"twice", "<BINVAL>YQ==</BINVAL>" + binval(2000), 1, nil},
		{"first bad", "<BINVAL>?</BINVAL><BINVAL>YQ==</BINVAL>", 0, vcard.ErrBadData},
		{"elements inside", "<BINVAL>Y<x/>Q==</BINVAL>", 1, nil},
		{"SVG", "<TYPE>image/svg+xml</TYPE><BINVAL>" + base64.StdEncoding.EncodeToString([]byte("<svg onload='x'/>")) + "</BINVAL>", 17, nil},
		{"a huge picture", "<TYPE>image/png</TYPE><BINVAL>iVBORw0KGgoAAAANSUhEUgAAdTAAAHUw</BINVAL>", 24, nil},
	} {
		c := read(t, "<FN>before</FN><PHOTO>"+tt.photo+"</PHOTO><LOGO>"+tt.photo+"</LOGO><SOUND>"+tt.photo+"</SOUND><TITLE>behind</TITLE>")
		if c.FormattedName != "before" || c.Title != "behind" || c.Photo == nil || c.Logo == nil || c.Sound == nil {
			t.Fatalf("%s: %+v", tt.name, c)
		}
		for _, m := range []*vcard.Media{c.Photo, c.Logo, &c.Sound.Media} {
			if len(m.Data) != tt.size || !errors.Is(m.Err(), tt.err) {
				t.Errorf("%s: %d bytes, %v; want %d, %v", tt.name, len(m.Data), m.Err(), tt.size, tt.err)
			}
		}
		if tt.err != nil && strings.Contains(written(c), "BINVAL") {
			t.Errorf("%s: what is wrong is kept", tt.name)
		}
		if hash := c.PhotoHash(); (hash != "") != (tt.size > 0) {
			t.Errorf("%s: hash %q", tt.name, hash)
		}
		if tt.name == "SVG" && (c.Photo.ImageType() != "" || c.Photo.Type != "image/svg+xml") {
			t.Errorf("an SVG passes for %q", c.Photo.ImageType())
		}
	}
	// The size is looked at before the bytes are decoded.
	e := stanza.New("vCard", vcard.NS).C("PHOTO").C("BINVAL").T(strings.Repeat("AAAA", 10<<20)).Element()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c, err := vcard.Decode(e, vcard.Limits{})
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; err != nil || !errors.Is(c.Photo.Err(), vcard.ErrTooBig) || n > 1<<20 {
		t.Errorf("%d bytes were allocated for a photo that is refused: %v", n, err)
	}
	if c := read(t, "<PHOTO>"+binval(1)+"</PHOTO>", vcard.Limits{Media: -1}); !errors.Is(c.Photo.Err(), vcard.ErrTooBig) {
		t.Errorf("%+v", c.Photo)
	}
	if c := read(t, "<PHOTO>"+binval(max+1)+"</PHOTO>", vcard.Limits{Media: 1 << 20}); len(c.Photo.Data) != max+1 {
		t.Errorf("%+v", c.Photo.Err())
	}
	// Version 4.
	for n, want := range map[int]int{max: max, max + 4096: 0, 1 << 20: 0} {
		c := read4(t, "<fn><text>a</text></fn><photo><uri>data:image/png;base64,"+base64.StdEncoding.EncodeToString(make([]byte, n))+"</uri></photo><title><text>b</text></title>")
		size := 0
		if m := c.Photo(); m != nil {
			size = len(m.Data)
		}
		if c.FormattedName() != "a" || c.Text("title") != "b" || size != want || c.Truncated != (want == 0) {
			t.Errorf("%d bytes: %d are read, truncated %v", n, size, c.Truncated)
		}
	}
}

// TestSec_DAT03: what is read of a card is bound, the first parts of it are kept, and whoever asks is told that it is not whole.
func TestSec_DAT03(t *testing.T) {
	for _, tt := range []struct {
		name string
		xml  string
	}{
		{"telephones", strings.Repeat("<TEL><NUMBER>1</NUMBER></TEL>", 1000)},
		{"categories", "<CATEGORIES>" + strings.Repeat("<KEYWORD>1</KEYWORD>", 1000) + "</CATEGORIES>"},
		{"units", "<ORG>" + strings.Repeat("<ORGUNIT>1</ORGUNIT>", 1000) + "</ORG>"},
		{"lines", "<LABEL>" + strings.Repeat("<LINE>1</LINE>", 1000) + "</LABEL>"},
		{"unknown", strings.Repeat("<X/>", 1000)},
		{"unknown inside", "<ADR>" + strings.Repeat("<X/>", 1000) + "</ADR>"},
		{"unknown in a photo", "<PHOTO>" + strings.Repeat("<X/>", 1000) + "</PHOTO>"},
		{"unknown in an agent", "<AGENT>" + strings.Repeat("<X/>", 1000) + "</AGENT>"},
		{"an agent", "<AGENT><vCard>" + strings.Repeat("<TEL><NUMBER>1</NUMBER></TEL>", 1000) + "</vCard></AGENT>"},
		{"a long text", "<NOTE>" + strings.Repeat("x", 1<<20) + "</NOTE>"},
		{"long texts", strings.Repeat("<TEL><NUMBER>"+strings.Repeat("1", 1000)+"</NUMBER></TEL>", 200)},
		{"a long type", "<PHOTO><TYPE>" + strings.Repeat("x", 1<<20) + "</TYPE><BINVAL>YQ==</BINVAL></PHOTO>"},
		{"a large unknown", "<X>" + strings.Repeat("<Y z='a'/>", 10_000) + "</X>"},
		{"a long attribute", "<X y='" + strings.Repeat("x", 1<<20) + "'/>"},
	} {
		c := read(t, "<FN>first</FN><N><GIVEN>second</GIVEN></N>"+tt.xml)
		if c.FormattedName != "first" || c.Name.Given != "second" || !c.Truncated {
			t.Errorf("%s: %q, %q, truncated %v", tt.name, c.FormattedName, c.Name.Given, c.Truncated)
		}
		if n := len(written(c)); n > 128<<10 {
			t.Errorf("%s: %d bytes are kept", tt.name, n)
		}
		n := len(c.Addresses) + len(c.Phones) + len(c.Categories) + len(c.Organization.Units) + len(c.Extra)
		for _, l := range c.Labels {
			n += len(l.Lines)
		}
		if c.Agent != nil && c.Agent.Card != nil {
			n += len(c.Agent.Card.Phones)
		}
		if n > 500 {
			t.Errorf("%s: %d entries are kept", tt.name, n)
		}
	}
	// Deep nesting stays flat.
	c := read(t, strings.Repeat("<AGENT><vCard><FN>x</FN>", 100)+strings.Repeat("</vCard></AGENT>", 100))
	if c.Agent.Card.FormattedName != "x" || c.Agent.Card.Agent != nil || len(c.Agent.Card.Extra) != 1 {
		t.Errorf("%+v", c.Agent)
	}
	for _, tt := range []struct{ name, xml string }{
		{"properties", strings.Repeat("<tel><text>1</text></tel>", 1000)},
		{"values", "<categories>" + strings.Repeat("<text>1</text>", 10_000) + "</categories>"},
		{"parameters", "<tel><parameters>" + strings.Repeat("<type><text>1</text></type>", 5000) + "</parameters><text>1</text></tel>"},
		{"groups", strings.Repeat("<group name='g'><tel><text>1</text></tel></group>", 1000)},
		{"names of groups", "<group name='" + strings.Repeat("g", 1<<20) + "'><tel/></group>"},
		{"raw", strings.Repeat("<x xmlns='urn:x'>1</x>", 10_000)},
		{"long", "<note><text>" + strings.Repeat("x", 1<<20) + "</text></note>"},
		{"a long name", "<" + strings.Repeat("x", 100_000) + "/>"},
	} {
		c := read4(t, "<fn><text>first</text></fn>"+tt.xml)
		if c.FormattedName() != "first" || !c.Truncated || len(c.Properties) > 500 || len(written4(c)) > 128<<10 {
			t.Errorf("version 4, %s: %q, truncated %v, %d properties, %d bytes", tt.name, c.FormattedName(), c.Truncated, len(c.Properties), len(written4(c)))
		}
	}
	// Limits of one's own.
	if c := read(t, "<FN>12345</FN><TITLE>6</TITLE><NOTE>7</NOTE>", vcard.Limits{Text: 6}); c.FormattedName != "12345" || c.Title != "6" || c.Note != "" || !c.Truncated {
		t.Errorf("%+v", c)
	}
	if c := read(t, "<FN>1</FN><TITLE>2</TITLE><NOTE>3</NOTE>", vcard.Limits{Entries: 2}); c.Title != "2" || c.Note != "" || !c.Truncated {
		t.Errorf("%+v", c)
	}
}

// TestSec_DAT03Memory: a card that is kept does not keep the stanza alive that it came in.
func TestSec_DAT03Memory(t *testing.T) {
	const n = 64
	cards, cards4 := make([]*vcard.Card, n), make([]*vcard.Card4, n)
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for i := range n {
		// The decoder of a stream cuts all names and texts from one string.
		whole := strings.Repeat(fmt.Sprint(i%10), 1<<20)
		b := stanza.New("vCard", vcard.NS).C("FN").T(whole[:5]).Up().C("TEL").C("NUMBER").T(whole[:5]).Up().C("HOME").Up().C(whole[:5]).A(whole[:3], whole[:5]).T(whole[:5]).Up().Up().
			C("X", whole[:9]).T(whole[:5]).Up().C("PHOTO").C("TYPE").T(whole[:5]).Up().C("EXTVAL").T(whole[:5]).Up().Up().C("CATEGORIES").C("KEYWORD").T(whole[:5])
		b4 := stanza.New("vcard", vcard.NS4).C("group").A("name", whole[:4]).C(whole[:4]).C("parameters").C(whole[:4]).C(whole[:4]).T(whole[:4]).Up().Up().Up().C(whole[:4]).T(whole[:4]).Up().Up().
			C("x", whole[:9]).A(whole[:4], whole[:4]).T(whole[:5])
		var err1, err2 error
		cards[i], err1 = vcard.Decode(b.Element(), vcard.Limits{})
		cards4[i], err2 = vcard.Decode4(b4.Element(), vcard.Limits{})
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
	}
	if kept := int64(heap()) - int64(before); kept > n<<20/4 {
		t.Errorf("%d cards keep %d KiB", n, kept>>10)
	}
	runtime.KeepAlive(cards)
	runtime.KeepAlive(cards4)
}

// TestSec_ORG01: an answer from somebody else is none, and what nobody has asked for changes nothing.
func TestSec_ORG01(t *testing.T) {
	checkGoroutines(t)
	v, _, peer, e := pair(t, vcard.Config{})
	forged := func(from, id string) string {
		if from != "" {
			from = " from='" + from + "'"
		}
		return `S: <iq type='result'` + from + ` id='` + id + `'><vCard xmlns='vcard-temp'><FN>forged</FN></vCard></iq>` + "\n"
	}
	peer.While(func() {
		if c, err := v.Fetch(t.Context(), romeo); err != nil || c.FormattedName != "true" {
			t.Error(c, err)
		}
	}, `
		C: <iq type='get' id='{a}' to='romeo@example.test'><vCard xmlns='vcard-temp'/></iq>
		`+forged("mallory@example.test/x", "{a}")+forged("romeo@example.test/x", "{a}")+forged("example.test", "{a}")+forged("juliet@example.test", "{a}")+forged("", "{a}")+`
		S: <iq type='result' from='romeo@example.test' id='{a}'><vCard xmlns='vcard-temp'><FN>true</FN></vCard></iq>`)
	e.want(t, "received romeo@example.test true")
	peer.While(func() {
		if c, err := v.MyVCard(t.Context()); err != nil || c.FormattedName != "true" {
			t.Error(c, err)
		}
	}, `
		C: <iq type='get' id='{b}'><vCard xmlns='vcard-temp'/></iq>
		`+forged("mallory@example.test", "{b}")+forged("romeo@example.test", "{b}")+`
		S: <iq type='result' from='juliet@example.test' id='{b}'><vCard xmlns='vcard-temp'><FN>true</FN></vCard></iq>`)
	e.want(t, "received juliet@example.test true")
	peer.Play(forged("romeo@example.test", "x") + forged("juliet@example.test", "y") + `
		S: <iq type='set' from='romeo@example.test/x' id='push'><vCard xmlns='vcard-temp'><FN>forged</FN></vCard></iq>
		C: <iq type='error' to='romeo@example.test/x' id='push'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>`)
	for _, of := range []xmpp.JID{me, romeo} {
		if r, err := v.Stored(t.Context(), of); err != nil || r.Card.FormattedName != "true" {
			t.Errorf("%v: %+v, %v", of, r, err)
		}
	}
	e.want(t)
}
