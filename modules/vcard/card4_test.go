package vcard_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/go-xmppframework/xmpp/modules/vcard"
	"github.com/go-xmppframework/xmpp/modules/vcard/vcardtest"
	"github.com/go-xmppframework/xmpp/stanza"
)

// read4 decodes a vCard of version 4 given by what is in it.
func read4(t testing.TB, content string, limits ...vcard.Limits) *vcard.Card4 {
	t.Helper()
	e, err := stanza.ParseElement("<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'>" + content + "</vcard>")
	if err != nil {
		t.Fatal(err)
	}
	c, err := vcard.Decode4(e, append(limits, vcard.Limits{})[0])
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func written4(c *vcard.Card4) string {
	s := strings.Replace(stanza.Compact(c.Element()), `<vcard xmlns="urn:ietf:params:xml:ns:vcard-4.0"/>`, "", 1)
	s = strings.TrimSuffix(strings.TrimPrefix(s, `<vcard xmlns="urn:ietf:params:xml:ns:vcard-4.0">`), "</vcard>")
	return strings.ReplaceAll(s, ` xmlns="urn:ietf:params:xml:ns:vcard-4.0"`, "")
}

// TestRoundTrip4 reads and writes what RFC 6351 has, and what it has not.
func TestRoundTrip4(t *testing.T) {
	rawIn := map[string]int{
		`<x xmlns="urn:x" y="z"><w>1</w>2</x>`: 1,
		`<fn lang="de"><text>Raw</text></fn><note><text>a<b/></text></note><deep><text><deeper><deepest/></deeper></text></deep>`: 3,
		`<group name="a"><x xmlns="urn:x"/></group><group><fn><text>no name</text></fn></group>`:                                  2,
		`<fn><text>a</text><parameters><pref><integer>1</integer></pref></parameters></fn>`:                                       1,
	}
	for _, xml := range []string{
		``,
		`<fn><text>Simon Perreault</text></fn>`,
		`<n><surname>Perreault</surname><given>Simon</given><additional/><prefix/><suffix>ing. jr</suffix><suffix>M.Sc.</suffix></n>`,
		`<bday><date>--0203</date></bday><anniversary><date-time>20090808T1430-0500</date-time></anniversary><gender><sex>M</sex></gender>`,
		`<lang><parameters><pref><integer>1</integer></pref></parameters><language-tag>fr</language-tag></lang>` +
			`<lang><parameters><pref><integer>2</integer></pref></parameters><language-tag>en</language-tag></lang>`,
		`<org><parameters><type><text>work</text></type></parameters><text>Viagenie</text><text>Research</text></org>`,
		`<adr><parameters><type><text>work</text></type><label><text>Simon Perreault` + "\n" + `2875 boul. Laurier</text></label></parameters><pobox/><ext/>` +
			`<street>2875 boul. Laurier</street><locality>Quebec</locality><region>QC</region><code>G1V 2M2</code><country>Canada</country></adr>`,
		`<tel><parameters><type><text>work</text><text>voice</text></type></parameters><uri>tel:+1-418-656-9254;ext=102</uri></tel>`,
		`<group name="contact"><fn><text>a</text></fn><email><text>a@b</text></email></group><note><text>b</text></note><group name="media"><photo><uri>u</uri></photo></group>`,
		`<group name="a"><fn><text>a</text></fn></group><group name="b"><fn><text>a</text></fn></group>`,
		`<x-pet><text>cat</text><integer>9</integer></x-pet>`,
		`<gender><sex/></gender><clientpidmap><sourceid>1</sourceid><uri>urn:uuid:1</uri></clientpidmap>`,
		`<x xmlns="urn:x" y="z"><w>1</w>2</x>`,
		`<fn lang="de"><text>Raw</text></fn><note><text>a<b/></text></note><deep><text><deeper><deepest/></deeper></text></deep>`,
		`<group name="a"><x xmlns="urn:x"/></group><group><fn><text>no name</text></fn></group>`,
		`<fn><text>a</text><parameters><pref><integer>1</integer></pref></parameters></fn>`,
		`<note/><rev><timestamp>20080424T195243Z</timestamp></rev>`,
	} {
		c := read4(t, xml)
		if got := written4(c); got != xml {
			t.Errorf("written\n%s\nwant\n%s", got, xml)
		}
		raw := 0
		for _, p := range c.Properties {
			if p.Raw != nil {
				raw++
			}
		}
		if want := rawIn[xml]; raw != want {
			t.Errorf("%s: %d raw properties, want %d", xml, raw, want)
		}
		if c.IsEmpty() != (xml == "") || !reflect.DeepEqual(c.Copy(), c) && xml != "" {
			t.Errorf("%s: %+v", xml, c)
		}
		text, err := c.MarshalText()
		var again vcard.Card4
		if err != nil || again.UnmarshalText(text) != nil || written4(&again) != xml {
			t.Errorf("%s: as text %s, %v", xml, text, err)
		}
	}
	e, err := stanza.ParseElement(`<vcards xmlns='urn:ietf:params:xml:ns:vcard-4.0'><vcard><fn><text>x</text></fn></vcard></vcards>`)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := vcard.Decode4(e, vcard.Limits{}); err != nil || c.FormattedName() != "x" {
		t.Errorf("%+v, %v", c, err)
	}
	for _, xml := range []string{`<vcards xmlns='urn:ietf:params:xml:ns:vcard-4.0'/>`, `<vCard xmlns='urn:ietf:params:xml:ns:vcard-4.0'/>`, `<vcard xmlns='vcard-temp'/>`} {
		e, err := stanza.ParseElement(xml)
		if err != nil {
			t.Fatal(err)
		}
		if c, err := vcard.Decode4(e, vcard.Limits{}); err == nil || c != nil {
			t.Errorf("%s: %v, %v", xml, c, err)
		}
		if (new(vcard.Card4)).UnmarshalText([]byte(xml)) == nil {
			t.Errorf("%s is a card", xml)
		}
	}
	var none *vcard.Card4
	if none.Copy() != nil || none.Element() != nil || !none.IsEmpty() || none.Card() != nil {
		t.Error("nil is something")
	}
}

func TestProperties(t *testing.T) {
	c := read4(t, `<n><surname>a</surname><surname>b</surname><given>c</given></n><tel><parameters><type><text>Home</text><text>voice</text></type><pref><integer>50</integer></pref></parameters><text>1</text></tel>`+
		`<fn><text>x</text></fn><tel><parameters><pref><integer>1</integer></pref></parameters><uri>tel:2</uri></tel><tel><text>3</text></tel>`)
	n := c.Get("n")
	if got := n.Component("surname"); !slices.Equal(got, []string{"a", "b"}) || len(n.Component("suffix")) != 0 || len(n.Component("")) != 3 {
		t.Error(got)
	}
	tel := slices.Collect(c.All("tel"))
	if len(tel) != 3 || !tel[0].HasType("home") || tel[0].HasType("work") || tel[0].Pref() != 50 || tel[2].Pref() != 101 || c.Text("tel") != "tel:2" || c.FormattedName() != "x" {
		t.Errorf("%+v", tel)
	}
	if p := c.Get("nothing"); p != nil || p.Text() != "" || p.Pref() != 101 || p.Component("x") != nil || p.Parameter("x") != nil || p.HasType("x") || p.Media(0) != nil || c.Text("nothing") != "" {
		t.Error("what is not there is something")
	}
	copied := c.Copy()
	c.Get("fn").Values[0].Text = "changed"
	tel[0].Parameters[0].Values[0].Text = "changed"
	if copied.FormattedName() != "x" || !copied.Get("tel").HasType("") && copied.Properties[1].Parameters[0].Values[0].Text != "Home" {
		t.Error("the copy shares something")
	}
	c.Set(vcard.NewProperty("tel", "text", "4").With("type", "work", "cell").With("pref", "1").With("language", "de").With("geo", "geo:1,2"))
	c.Set(vcard.NewProperty("note", "text", "n"))
	c.Add(vcard.NewProperty("url", "uri", "u"))
	if c.Remove("n") != 1 || c.Remove("n") != 0 {
		t.Error("Remove")
	}
	want := `<tel><parameters><type><text>work</text><text>cell</text></type><pref><integer>1</integer></pref><language><language-tag>de</language-tag></language>` +
		`<geo><uri>geo:1,2</uri></geo></parameters><text>4</text></tel><fn><text>changed</text></fn><note><text>n</text></note><url><uri>u</uri></url>`
	if got := written4(c); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	base := vcard.NewProperty("tel", "text", "1").With("type", "home")
	one, two := base.With("pref", "1"), base.With("pref", "2")
	if one.Pref() != 1 || two.Pref() != 2 || base.Pref() != 101 {
		t.Error("With shares something")
	}
	if d, err := read4(t, `<bday><date>19660806</date></bday>`).Get("bday").Date(); err != nil || d.String() != "1966-08-06" {
		t.Error(d, err)
	}
	for uri, want := range map[string]vcard.Media{
		"data:image/png;base64,YWJj":     {Type: "image/png", Data: []byte("abc")},
		"DATA:image/png;BASE64,YWJjZA==": {Type: "image/png", Data: []byte("abcd")},
		"data:;base64,YWJjZA%3D%3D":      {Data: []byte("abcd")},
		"https://example.test/a,b":       {URI: "https://example.test/a,b"},
	} {
		p := vcard.NewProperty("photo", "uri", uri)
		if m := p.Media(0); !reflect.DeepEqual(m, &want) {
			t.Errorf("%s: %+v", uri, m)
		}
	}
	p := vcard.NewProperty("photo", "uri", "https://example.test/a").With("mediatype", "image/gif")
	if m := p.Media(0); m.Type != "image/gif" {
		t.Errorf("%+v", m)
	}
	for _, uri := range []string{"data:image/png,abc", "data:image/png;base64,?", "data:image/png;base64,YWJjZA=="} {
		p := vcard.NewProperty("photo", "uri", uri)
		if m := p.Media(3); m.Data != nil || m.Err() == nil {
			t.Errorf("%s: %+v", uri, m)
		}
	}
}

// TestConvert goes there and back (XEP-0292 section 11).
func TestConvert(t *testing.T) {
	tests := [][3]string{ // of XEP-0054, of version 4, and back if that is another
		{`<FN>a</FN>`, `<fn><text>a</text></fn>`},
		{`<N><FAMILY>a</FAMILY><GIVEN>b</GIVEN><MIDDLE>c</MIDDLE><PREFIX>d</PREFIX><SUFFIX>e</SUFFIX></N><SORT-STRING>s</SORT-STRING>`,
			`<n><parameters><sort-as><text>s</text></sort-as></parameters><surname>a</surname><given>b</given><additional>c</additional><prefix>d</prefix><suffix>e</suffix></n>`},
		{`<NICKNAME>a</NICKNAME><BDAY>1966-08-06</BDAY>`, `<nickname><text>a</text></nickname><bday><date>1966-08-06</date></bday>`},
		{`<PHOTO><TYPE>image/jpeg</TYPE><BINVAL>YWJj</BINVAL></PHOTO><LOGO><EXTVAL>https://example.test/</EXTVAL></LOGO>`,
			`<photo><uri>data:image/jpeg;base64,YWJj</uri></photo><logo><uri>https://example.test/</uri></logo>`},
		{`<ADR><WORK/><PREF/><EXTADD>Suite 600</EXTADD><STREET>1899</STREET><LOCALITY>Denver</LOCALITY><REGION>CO</REGION><PCODE>80202</PCODE><CTRY>USA</CTRY></ADR>` +
			`<LABEL><WORK/><PREF/><LINE>1899</LINE><LINE>Denver</LINE></LABEL>`,
			`<adr><parameters><type><text>work</text></type><pref><integer>1</integer></pref><label><text>1899` + "\n" + `Denver</text></label></parameters><pobox/><ext>Suite 600</ext>` +
				`<street>1899</street><locality>Denver</locality><region>CO</region><code>80202</code><country>USA</country></adr>`},
		{`<LABEL><HOME/><LINE>a</LINE></LABEL>`, `<adr><parameters><type><text>home</text></type><label><text>a</text></label></parameters>` +
			`<pobox/><ext/><street/><locality/><region/><code/><country/></adr>`},
		{`<TEL><WORK/><VOICE/><NUMBER>+1-303-308-3282</NUMBER></TEL><TEL><PREF/><CELL/><PCS/><NUMBER>303 308</NUMBER></TEL>`,
			`<tel><parameters><type><text>work</text><text>voice</text></type></parameters><uri>tel:+1-303-308-3282</uri></tel>` +
				`<tel><parameters><type><text>cell</text><text>x-pcs</text></type><pref><integer>1</integer></pref></parameters><text>303 308</text></tel>`},
		{`<EMAIL><INTERNET/><USERID>a@b</USERID></EMAIL><EMAIL><HOME/><X400/><USERID>c</USERID></EMAIL>`,
			`<email><text>a@b</text></email><email><parameters><type><text>home</text><text>x-x400</text></type></parameters><text>c</text></email>`},
		{`<JABBERID>a@b</JABBERID><TZ>-07:00</TZ><GEO><LAT>39.5</LAT><LON>-105.05</LON></GEO>`,
			`<impp><uri>xmpp:a@b</uri></impp><tz><text>-07:00</text></tz><geo><uri>geo:39.5,-105.05</uri></geo>`},
		{`<TITLE>a</TITLE><ROLE>b</ROLE><ORG><ORGNAME>c</ORGNAME><ORGUNIT>d</ORGUNIT><ORGUNIT>e</ORGUNIT></ORG>`,
			`<title><text>a</text></title><role><text>b</text></role><org><text>c</text><text>d</text><text>e</text></org>`},
		{`<AGENT><EXTVAL>u</EXTVAL></AGENT>`, `<related><parameters><type><text>agent</text></type></parameters><uri>u</uri></related>`},
		{`<AGENT><vCard><FN>a</FN></vCard></AGENT>`, `<related><parameters><type><text>agent</text></type></parameters><text>a</text></related>`},
		{`<CATEGORIES><KEYWORD>a</KEYWORD><KEYWORD>b</KEYWORD></CATEGORIES><NOTE>n</NOTE><PRODID>p</PRODID><UID>u</UID><URL>v</URL><KEY><CRED>k</CRED></KEY><DESC>d</DESC>`,
			`<categories><text>a</text><text>b</text></categories><note><text>n</text></note><prodid><text>p</text></prodid><uid><uri>u</uri></uid><url><uri>v</uri></url>` +
				`<key><text>k</text></key><note><text>d</text></note>`},
		{`<REV>2003-11-07T22:02:01.000Z</REV>`, `<rev><timestamp>20031107T220201Z</timestamp></rev>`},
		{`<SOUND><TYPE>audio/ogg</TYPE><BINVAL>YQ==</BINVAL></SOUND>`, `<sound><uri>data:audio/ogg;base64,YQ==</uri></sound>`},
		// what is lost
		{`<VERSION>3.0</VERSION><MAILER>m</MAILER><CLASS><PUBLIC/></CLASS><GENDER>x</GENDER><SOUND><PHONETIC>p</PHONETIC></SOUND><REV>never</REV>`, ``, ``},
		{`<DESC>d</DESC>`, `<note><text>d</text></note>`, `<NOTE>d</NOTE>`},
		{`<KEY><TYPE>PGP</TYPE><CRED>k</CRED></KEY>`, `<key><text>k</text></key>`, `<KEY><CRED>k</CRED></KEY>`},
		{`<AGENT><vCard><FN>a</FN><TITLE>t</TITLE></vCard></AGENT>`, `<related><parameters><type><text>agent</text></type></parameters><text>a</text></related>`, `<AGENT><vCard><FN>a</FN></vCard></AGENT>`},
	}
	for _, tt := range tests {
		four := read(t, tt[0]).VCard4()
		if got := written4(four); got != tt[1] {
			t.Errorf("%s\nbecomes\n%s\nwant\n%s", tt[0], got, tt[1])
			continue
		}
		back := tt[2]
		if back == "" && tt[1] != "" {
			back = tt[0]
		}
		if got := written(read4(t, tt[1]).Card()); got != back {
			t.Errorf("%s\nbecomes\n%s\nwant\n%s", tt[1], got, back)
		}
	}
	// From version 4 only.
	for _, tt := range [][2]string{
		{`<kind><text>individual</text></kind><gender><sex>F</sex></gender><anniversary><date>20000101</date></anniversary><x xmlns="urn:x"/>`, ``},
		{`<group name="g"><fn><text>a</text></fn></group>`, `<FN>a</FN>`},
		{`<nickname><parameters><pref><integer>2</integer></pref></parameters><text>a</text></nickname><nickname><parameters><pref><integer>1</integer></pref></parameters><text>b</text></nickname>`, `<NICKNAME>b</NICKNAME>`},
		{`<n><surname>a</surname><given>b</given><given>c</given><suffix/></n>`, `<N><FAMILY>a</FAMILY><GIVEN>b,c</GIVEN></N>`},
		{`<impp><uri>sip:x</uri></impp><impp><uri>XMPP:a@b?message</uri></impp>`, `<JABBERID>a@b</JABBERID>`},
		{`<tel><parameters><type><text>HOME</text><text>textphone</text></type></parameters><uri>TEL:1</uri></tel>`, `<TEL><HOME/><NUMBER>1</NUMBER></TEL>`},
		{`<geo><uri>geo:91,0</uri></geo>`, ``}, {`<geo><uri>geo:1</uri></geo>`, ``}, {`<geo><uri>1,2</uri></geo>`, ``},
		{`<geo><uri>geo:1,2,3;u=4</uri></geo>`, `<GEO><LAT>1</LAT><LON>2</LON></GEO>`},
		{`<related><uri>u</uri></related><note><text>1</text></note><note><text>2</text></note><note><text>3</text></note>`, `<NOTE>1</NOTE><DESC>2</DESC>`},
		{`<categories><text>a</text></categories><categories><text>b</text></categories>`, `<CATEGORIES><KEYWORD>a</KEYWORD><KEYWORD>b</KEYWORD></CATEGORIES>`},
		{`<tel/><email/><adr/><org/><n/><photo/><related><parameters><type><text>agent</text></type></parameters></related>`, ``},
	} {
		if got := written(read4(t, tt[0]).Card()); got != tt[1] {
			t.Errorf("%s\nbecomes\n%s\nwant\n%s", tt[0], got, tt[1])
		}
	}
	// All that can be there and back is.
	c := vcardtest.Sample()
	c.Version, c.Mailer, c.Class, c.Key.Type, c.Sound.Phonetic = "", "", "", "", ""
	c.Labels[0].Flags = c.Addresses[0].Flags
	if got := c.VCard4().Card(); written(got) != written(c) {
		t.Errorf("got\n%s\nwant\n%s", written(got), written(c))
	}
}
