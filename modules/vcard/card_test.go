package vcard_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp/modules/vcard"
	"github.com/go-xmppframework/xmpp/modules/vcard/vcardtest"
	"github.com/go-xmppframework/xmpp/stanza"
)

// read decodes a vCard of XEP-0054 given by what is in it.
func read(t testing.TB, content string, limits ...vcard.Limits) *vcard.Card {
	t.Helper()
	e, err := stanza.ParseElement("<vCard xmlns='vcard-temp'>" + content + "</vCard>")
	if err != nil {
		t.Fatal(err)
	}
	c, err := vcard.Decode(e, append(limits, vcard.Limits{})[0])
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func written(c *vcard.Card) string {
	s := strings.Replace(stanza.Compact(c.Element()), `<vCard xmlns="vcard-temp"/>`, "", 1)
	return strings.TrimSuffix(strings.TrimPrefix(s, `<vCard xmlns="vcard-temp">`), "</vCard>")
}

// TestFields is every field of the model: what is written, and that it is read again.
func TestFields(t *testing.T) {
	tests := []struct {
		name string
		card vcard.Card
		xml  string
	}{
		{"version", vcard.Card{Version: "3.0"}, `<VERSION>3.0</VERSION>`},
		{"formatted name", vcard.Card{FormattedName: "Peter Saint-Andre"}, `<FN>Peter Saint-Andre</FN>`},
		{"name", vcard.Card{Name: vcard.Name{Family: "a", Given: "b", Middle: "c", Prefix: "d", Suffix: "e"}},
			`<N><FAMILY>a</FAMILY><GIVEN>b</GIVEN><MIDDLE>c</MIDDLE><PREFIX>d</PREFIX><SUFFIX>e</SUFFIX></N>`},
		{"nickname", vcard.Card{Nickname: "stpeter"}, `<NICKNAME>stpeter</NICKNAME>`},
		{"photo", vcard.Card{Photo: &vcard.Media{Type: "image/png", Data: []byte("abcd")}}, `<PHOTO><TYPE>image/png</TYPE><BINVAL>YWJjZA==</BINVAL></PHOTO>`},
		{"photo elsewhere", vcard.Card{Photo: &vcard.Media{URI: "https://example.test/a"}}, `<PHOTO><EXTVAL>https://example.test/a</EXTVAL></PHOTO>`},
		{"birthday", vcard.Card{Birthday: "1966-08-06"}, `<BDAY>1966-08-06</BDAY>`},
		{"address", vcard.Card{Addresses: []vcard.Address{{Flags: vcard.Home | vcard.Work | vcard.Postal | vcard.Parcel | vcard.Domestic | vcard.International | vcard.Preferred,
			POBox: "1", Extended: "2", Street: "3", Locality: "4", Region: "5", PostalCode: "6", Country: "7"}}},
			`<ADR><HOME/><WORK/><POSTAL/><PARCEL/><DOM/><INTL/><PREF/><POBOX>1</POBOX><EXTADD>2</EXTADD><STREET>3</STREET><LOCALITY>4</LOCALITY>` +
				`<REGION>5</REGION><PCODE>6</PCODE><CTRY>7</CTRY></ADR>`},
		{"label", vcard.Card{Labels: []vcard.Label{{Flags: vcard.Work | vcard.Preferred, Lines: []string{"a", "b"}}}}, `<LABEL><WORK/><PREF/><LINE>a</LINE><LINE>b</LINE></LABEL>`},
		{"phones", vcard.Card{Phones: []vcard.Phone{
			{Flags: vcard.Home | vcard.Work | vcard.Voice | vcard.Fax | vcard.Pager | vcard.Messages | vcard.Cell, Number: "1"},
			{Flags: vcard.Video | vcard.BBS | vcard.Modem | vcard.ISDN | vcard.PCS | vcard.Preferred, Number: "2"}}},
			`<TEL><HOME/><WORK/><VOICE/><FAX/><PAGER/><MSG/><CELL/><NUMBER>1</NUMBER></TEL><TEL><PREF/><VIDEO/><BBS/><MODEM/><ISDN/><PCS/><NUMBER>2</NUMBER></TEL>`},
		{"email", vcard.Card{Emails: []vcard.Email{{Flags: vcard.Home | vcard.Work | vcard.Internet | vcard.Preferred | vcard.X400, UserID: "a@b"}}},
			`<EMAIL><HOME/><WORK/><PREF/><INTERNET/><X400/><USERID>a@b</USERID></EMAIL>`},
		{"address of XMPP", vcard.Card{JabberID: "a@b"}, `<JABBERID>a@b</JABBERID>`},
		{"mailer", vcard.Card{Mailer: "m"}, `<MAILER>m</MAILER>`},
		{"time zone", vcard.Card{TimeZone: "-07:00"}, `<TZ>-07:00</TZ>`},
		{"location", vcard.Card{Location: &vcard.Location{Latitude: 39.5, Longitude: -105.05}}, `<GEO><LAT>39.5</LAT><LON>-105.05</LON></GEO>`},
		{"location 0", vcard.Card{Location: &vcard.Location{}}, `<GEO><LAT>0</LAT><LON>0</LON></GEO>`},
		{"title", vcard.Card{Title: "t"}, `<TITLE>t</TITLE>`},
		{"role", vcard.Card{Role: "r"}, `<ROLE>r</ROLE>`},
		{"logo", vcard.Card{Logo: &vcard.Media{Type: "image/gif", Data: []byte("a")}}, `<LOGO><TYPE>image/gif</TYPE><BINVAL>YQ==</BINVAL></LOGO>`},
		{"agent", vcard.Card{Agent: &vcard.Agent{Card: &vcard.Card{FormattedName: "a", Phones: []vcard.Phone{{Number: "1"}}}}},
			`<AGENT><vCard><FN>a</FN><TEL><NUMBER>1</NUMBER></TEL></vCard></AGENT>`},
		{"agent elsewhere", vcard.Card{Agent: &vcard.Agent{URI: "u"}}, `<AGENT><EXTVAL>u</EXTVAL></AGENT>`},
		{"organization", vcard.Card{Organization: vcard.Organization{Name: "XSF", Units: []string{"a", "b"}}},
			`<ORG><ORGNAME>XSF</ORGNAME><ORGUNIT>a</ORGUNIT><ORGUNIT>b</ORGUNIT></ORG>`},
		{"categories", vcard.Card{Categories: []string{"a", "b"}}, `<CATEGORIES><KEYWORD>a</KEYWORD><KEYWORD>b</KEYWORD></CATEGORIES>`},
		{"note", vcard.Card{Note: " a\n b "}, "<NOTE> a\n b </NOTE>"},
		{"program", vcard.Card{ProductID: "p"}, `<PRODID>p</PRODID>`},
		{"revision", vcard.Card{Revision: "20031107T220201Z"}, `<REV>20031107T220201Z</REV>`},
		{"sort", vcard.Card{SortString: "s"}, `<SORT-STRING>s</SORT-STRING>`},
		{"phonetic", vcard.Card{Sound: &vcard.Sound{Phonetic: "p"}}, `<SOUND><PHONETIC>p</PHONETIC></SOUND>`},
		{"sound", vcard.Card{Sound: &vcard.Sound{Media: vcard.Media{Data: []byte("a")}}}, `<SOUND><BINVAL>YQ==</BINVAL></SOUND>`},
		{"sound elsewhere", vcard.Card{Sound: &vcard.Sound{Media: vcard.Media{URI: "u"}}}, `<SOUND><EXTVAL>u</EXTVAL></SOUND>`},
		{"UID", vcard.Card{UID: "u"}, `<UID>u</UID>`},
		{"URL", vcard.Card{URL: "u"}, `<URL>u</URL>`},
		{"public", vcard.Card{Class: vcard.Public}, `<CLASS><PUBLIC/></CLASS>`},
		{"private", vcard.Card{Class: vcard.Private}, `<CLASS><PRIVATE/></CLASS>`},
		{"confidential", vcard.Card{Class: vcard.Confidential}, `<CLASS><CONFIDENTIAL/></CLASS>`},
		{"key", vcard.Card{Key: &vcard.Key{Type: "PGP", Credential: "k"}}, `<KEY><TYPE>PGP</TYPE><CRED>k</CRED></KEY>`},
		{"description", vcard.Card{Description: "d"}, `<DESC>d</DESC>`},
	}
	fields := map[string]bool{"Extra": true, "Truncated": true}
	for _, tt := range tests {
		if got := written(&tt.card); got != tt.xml {
			t.Errorf("%s: written\n%s\nwant\n%s", tt.name, got, tt.xml)
		}
		if got := read(t, tt.xml); !reflect.DeepEqual(got, &tt.card) {
			t.Errorf("%s: read %+v\nwant %+v", tt.name, got, &tt.card)
		}
		if tt.card.Version == "" && tt.card.IsEmpty() {
			t.Errorf("%s: empty", tt.name)
		}
		if c := tt.card.Copy(); !reflect.DeepEqual(c, &tt.card) {
			t.Errorf("%s: the copy is %+v", tt.name, c)
		}
		for i, v := 0, reflect.ValueOf(tt.card); i < v.NumField(); i++ {
			if !v.Field(i).IsZero() {
				fields[v.Type().Field(i).Name] = true
			}
		}
	}
	for f := range reflect.TypeFor[vcard.Card]().Fields() {
		if !fields[f.Name] {
			t.Errorf("the field %s is not tested", f.Name)
		}
	}
	whole := vcardtest.Sample()
	if got := read(t, written(whole)); !reflect.DeepEqual(got, whole) || !reflect.DeepEqual(whole.Copy(), whole) {
		t.Errorf("the whole card is read as\n%+v\nwant\n%+v", got, whole)
	}
}

// TestLists adds, removes and clears.
func TestLists(t *testing.T) {
	c := read(t, `<TEL><HOME/><NUMBER>1</NUMBER></TEL><FN>x</FN><TEL><NUMBER>2</NUMBER></TEL><EMAIL><USERID>a@b</USERID></EMAIL>`)
	c.Phones = append(c.Phones, vcard.Phone{Flags: vcard.Cell, Number: "3"})
	c.Phones = slices.Delete(c.Phones, 0, 1)
	c.Emails = nil
	c.Categories = append(c.Categories, "k")
	want := `<FN>x</FN><TEL><NUMBER>2</NUMBER></TEL><TEL><CELL/><NUMBER>3</NUMBER></TEL><CATEGORIES><KEYWORD>k</KEYWORD></CATEGORIES>`
	if got := written(c); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestUnknown: what has no place is kept, and stays through any change.
func TestUnknown(t *testing.T) {
	const unknown = `<GENDER>F</GENDER><NICKNAME>second</NICKNAME><x xmlns="urn:x"><y a="'">&lt;</y></x><FN xmlns="urn:x">foreign</FN>` +
		`<GEO><LAT>north</LAT><LON>1</LON></GEO><CLASS><SECRET/></CLASS>`
	tests := [][2]string{
		{`<NICKNAME>first</NICKNAME>` + unknown, `<NICKNAME>first</NICKNAME>` + unknown},
		{`<ADR><HOME/><STREET>s</STREET><OFFICE/><z xmlns="urn:z"/></ADR>`, ``},
		{`<TEL><CELL/><NUMBER>1</NUMBER><NUMBER>2</NUMBER></TEL>`, ``},
		{`<N><GIVEN>a</GIVEN><NOBLE>von</NOBLE></N>`, ``},
		{`<LABEL><LINE>1</LINE><COLOUR>red</COLOUR></LABEL>`, ``},
		{`<EMAIL><USERID>a@b</USERID><OTHER/></EMAIL>`, ``},
		{`<ORG><ORGNAME>a</ORGNAME><PLACE>b</PLACE></ORG>`, ``},
		{`<KEY><CRED>a</CRED><BINVAL>YQ==</BINVAL></KEY>`, ``},
		{`<GEO><LAT>1</LAT><LON>2</LON><ALT>3</ALT></GEO>`, ``},
		{`<PHOTO><TYPE>image/png</TYPE><BINVAL>YQ==</BINVAL><WIDTH>1</WIDTH></PHOTO>`, ``},
		{`<SOUND><PHONETIC>p</PHONETIC><LENGTH>1</LENGTH></SOUND>`, ``},
		{`<AGENT><EXTVAL>u</EXTVAL><SINCE>1</SINCE></AGENT>`, ``},
		{`<AGENT><vCard><FN>a</FN><AGENT><EXTVAL>deeper</EXTVAL></AGENT></vCard></AGENT>`, ``},
		{`<CATEGORIES><KEYWORD>a</KEYWORD><WORD>b</WORD></CATEGORIES>`, `<CATEGORIES><KEYWORD>a</KEYWORD></CATEGORIES><CATEGORIES><WORD>b</WORD></CATEGORIES>`},
	}
	clean := strings.NewReplacer(` xmlns="vcard-temp"`, "")
	for _, tt := range tests {
		in, want := tt[0], tt[1]
		if want == "" {
			want = in
		}
		c := read(t, in)
		if got := clean.Replace(written(c)); got != want {
			t.Errorf("written\n%s\nwant\n%s", got, want)
		}
		if got := clean.Replace(written(c.Copy())); got != want {
			t.Errorf("copied\n%s\nwant\n%s", got, want)
		}
		again := read(t, written(c))
		again.Title = "changed"
		if got := clean.Replace(written(again)); strings.Replace(got, "<TITLE>changed</TITLE>", "", 1) != want || got == want {
			t.Errorf("read, changed and written again\n%s\nwant\n%s", got, want)
		}
	}
}

// TestLenient is what is read although it is not as the specification has it.
func TestLenient(t *testing.T) {
	tests := [][2]string{
		{`<EMAIL>a@b</EMAIL><TEL> 1 </TEL><ORG>x</ORG><LABEL>l</LABEL><KEY>k</KEY><CATEGORIES>c</CATEGORIES>`,
			`<LABEL><LINE>l</LINE></LABEL><TEL><NUMBER>1</NUMBER></TEL><EMAIL><USERID>a@b</USERID></EMAIL><ORG><ORGNAME>x</ORGNAME></ORG>` +
				`<CATEGORIES><KEYWORD>c</KEYWORD></CATEGORIES><KEY><CRED>k</CRED></KEY>`},
		{`<ADR><COUNTRY>c</COUNTRY></ADR>`, `<ADR><CTRY>c</CTRY></ADR>`},
		{`<FN/><N><FAMILY/><GIVEN/></N><TEL><NUMBER/></TEL><ADR/><PHOTO/><SOUND/><KEY/><GEO/><AGENT/><CLASS/><EMAIL/><LABEL/><PHOTO><TYPE>image/png</TYPE><BINVAL/></PHOTO>`, ``},
		{`<FN/><FN>second</FN><N/><N><GIVEN>x</GIVEN></N>`, `<FN>second</FN><N><GIVEN>x</GIVEN></N>`},
		{"<PHOTO><BINVAL>\n  YWJj\r\n\tZA= =\n</BINVAL></PHOTO>", `<PHOTO><BINVAL>YWJjZA==</BINVAL></PHOTO>`},
		{`<v:FN xmlns:v='vcard-temp'>x</v:FN>`, `<FN>x</FN>`},
	}
	for _, tt := range tests {
		c := read(t, tt[0])
		if got := written(c); got != tt[1] {
			t.Errorf("%s\nis\n%s\nwant\n%s", tt[0], got, tt[1])
		}
		if c.IsEmpty() != (tt[1] == "") {
			t.Errorf("%s: IsEmpty is %v", tt[0], c.IsEmpty())
		}
	}
	e, err := stanza.ParseElement(`<vCard xmlns='vcard-temp' version='3.0'/>`)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := vcard.Decode(e, vcard.Limits{}); err != nil || c.Version != "3.0" || !c.IsEmpty() {
		t.Errorf("%+v, %v", c, err)
	}
	for _, xml := range []string{`<vCard xmlns='other'/>`, `<vcard xmlns='vcard-temp'/>`} {
		e, err := stanza.ParseElement(xml)
		if err != nil {
			t.Fatal(err)
		}
		if c, err := vcard.Decode(e, vcard.Limits{}); err == nil || c != nil {
			t.Errorf("%s: %v, %v", xml, c, err)
		}
	}
	if c, err := vcard.Decode(nil, vcard.Limits{}); err == nil || c != nil {
		t.Errorf("nil: %v, %v", c, err)
	}
	var none *vcard.Card
	if none.Copy() != nil || none.Element() != nil || !none.IsEmpty() || none.PhotoHash() != "" || none.VCard4() != nil {
		t.Error("nil is something")
	}
}

func TestText(t *testing.T) {
	text, err := vcardtest.Sample().MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	var c vcard.Card
	if err := c.UnmarshalText(text); err != nil || !reflect.DeepEqual(&c, vcardtest.Sample()) {
		t.Errorf("%v, %+v", err, c)
	}
	for _, s := range []string{"", "<vCard/>", "<vCard xmlns='vcard-temp'>", "<x xmlns='vcard-temp'/>"} {
		if c.UnmarshalText([]byte(s)) == nil || c.FormattedName == "" {
			t.Errorf("%q is a card, or spoils one", s)
		}
	}
}

func TestFlags(t *testing.T) {
	if s := (vcard.Home | vcard.Cell | vcard.X400 | 1<<30).String(); s != "HOME CELL X400" {
		t.Error(s)
	}
	if f := vcard.Home | vcard.Cell; !f.Has(vcard.Home) || !f.Has(vcard.Home|vcard.Cell) || f.Has(vcard.Home|vcard.Work) || !f.Has(0) {
		t.Error("Has")
	}
}

func TestMedia(t *testing.T) {
	png := []byte("\x89PNG\r\n\x1a\n")
	m := vcard.NewMedia(png, "")
	if m.Type != "image/png" || m.ImageType() != "image/png" || m.Err() != nil {
		t.Errorf("%+v", m)
	}
	if h := vcard.NewMedia([]byte("abc"), "x").Hash(); h != "a9993e364706816aba3e25717850c26c9cd0d89d" { // FIPS 180-1 appendix A
		t.Error(h)
	}
	var none *vcard.Media
	if none.Hash() != "" || none.ImageType() != "" || none.Err() != nil || none.Copy() != nil || (&vcard.Media{URI: "u"}).Hash() != "" {
		t.Error("nil is something")
	}
	c := m.Copy()
	if c.Data[0] = 0; m.Data[0] == 0 {
		t.Error("the copy shares the bytes")
	}
}

func TestDates(t *testing.T) {
	good := map[string]vcard.Date{
		"1996-04-15": {1996, 4, 15}, "19960415": {1996, 4, 15}, " 1953-10-15T23:10:00Z ": {1953, 10, 15}, "19531015T231000Z": {1953, 10, 15},
		"1996-04": {1996, 4, 0}, "1996": {1996, 0, 0}, "--04-15": {0, 4, 15}, "--0415": {0, 4, 15}, "--04": {0, 4, 0}, "---15": {0, 0, 15},
		"2000-02-29": {2000, 2, 29}, "--0229": {0, 2, 29}, "9999-12-31": {9999, 12, 31}, "0001-01-01": {1, 1, 1},
	}
	for s, want := range good {
		d, err := vcard.ParseDate(s)
		if d != want || err != nil {
			t.Errorf("%q: %v, %v; want %v", s, d, err, want)
		}
		if again, err := vcard.ParseDate(d.String()); again != d || err != nil {
			t.Errorf("%q: written as %q, read as %v, %v", s, d, again, err)
		}
	}
	for _, s := range []string{"", "T", "x", "1999-02-29", "1996-13-01", "1996-00-01", "0000-01-01", "1996-04-00", "1996-4-15", "96-04-15", "10000-01-01",
		"-1996-04-15", "--02-30", "--00", "---00", "---32", "--13-01", "0000", "0000-04", "00000415", "+1996-04-15", "1996-04-31", "१९९६"} {
		if d, err := vcard.ParseDate(s); !errors.Is(err, vcard.ErrDate) || d != (vcard.Date{}) {
			t.Errorf("%q: %v, %v", s, d, err)
		}
	}
	for _, d := range []vcard.Date{{}, {Year: 10000}, {Year: -1}, {Month: 13}, {Year: 1999, Month: 2, Day: 29}, {Year: 1999, Day: 3}, {Day: 32}, {Month: 2, Day: 30}, {Month: -1}, {Day: -1}} {
		if s := d.String(); s != "" {
			t.Errorf("%+v is written as %q", d, s)
		}
	}
	c := vcard.Card{Birthday: "--07-31"}
	if d, err := c.BirthdayDate(); err != nil || d != (vcard.Date{Month: 7, Day: 31}) {
		t.Error(d, err)
	}
	want := time.Date(2003, 11, 7, 22, 2, 1, 0, time.UTC)
	for _, s := range []string{"2003-11-07T22:02:01Z", "20031107T220201Z", "2003-11-07T23:02:01+01:00", "20031107T230201+0100", "20031107T230201+01", "20031107T220201", " 2003-11-07T22:02:01.000Z "} {
		c.Revision = s
		if got, err := c.RevisionTime(); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	c.SetRevision(want)
	if got, err := c.RevisionTime(); err != nil || !got.Equal(want) {
		t.Errorf("%q: %v, %v", c.Revision, got, err)
	}
	for _, s := range []string{"", "yesterday", "2003-13-07", "20031107T990000Z", "0000-01-01"} {
		c.Revision = s
		if got, err := c.RevisionTime(); !errors.Is(err, vcard.ErrDate) {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
}

func TestJID(t *testing.T) {
	c := vcard.Card{JabberID: " Juliet@example.test\n"}
	if j, err := c.JID(); err != nil || j.String() != "juliet@example.test" {
		t.Error(j, err)
	}
	for _, s := range []string{"", "@@", "a@"} {
		c.JabberID = s
		if j, err := c.JID(); err == nil || !j.IsZero() {
			t.Errorf("%q: %v", s, j)
		}
	}
}
