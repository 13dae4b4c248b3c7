package vcard

import (
	"encoding/base64"
	"strconv"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/stanza"
)

// Element makes the vCard element, anew each time. It is nil for nil.
func (c *Card) Element() *etree.Element {
	if c == nil {
		return nil
	}
	w := writer{stanza.New("vCard", NS)}
	w.card(c, 0)
	return w.b.Element()
}

// writer writes into the element that its builder stands on.
type writer struct{ b *stanza.Builder }

// card writes in the order of the specification's document type.
func (w writer) card(c *Card, depth int) {
	w.text("VERSION", c.Version)
	w.text("FN", c.FormattedName)
	n := &c.Name
	w.parts("N", 0, n.Extra, "FAMILY", n.Family, "GIVEN", n.Given, "MIDDLE", n.Middle, "PREFIX", n.Prefix, "SUFFIX", n.Suffix)
	w.text("NICKNAME", c.Nickname)
	w.media("PHOTO", c.Photo, "")
	w.text("BDAY", c.Birthday)
	for i := range c.Addresses {
		a := &c.Addresses[i]
		w.parts("ADR", a.Flags, a.Extra, "POBOX", a.POBox, "EXTADD", a.Extended, "STREET", a.Street, "LOCALITY", a.Locality,
			"REGION", a.Region, "PCODE", a.PostalCode, "CTRY", a.Country)
	}
	for i := range c.Labels {
		l := &c.Labels[i]
		w.parts("LABEL", l.Flags, l.Extra, pairs("LINE", l.Lines)...)
	}
	for i := range c.Phones {
		p := &c.Phones[i]
		if p.Number == "" && p.Extra == nil {
			continue
		}
		w.parts("TEL", p.Flags, p.Extra, "NUMBER", p.Number)
	}
	for i := range c.Emails {
		m := &c.Emails[i]
		w.parts("EMAIL", m.Flags, m.Extra, "USERID", m.UserID)
	}
	w.text("JABBERID", c.JabberID)
	w.text("MAILER", c.Mailer)
	w.text("TZ", c.TimeZone)
	if l := c.Location; l != nil {
		w.parts("GEO", 0, l.Extra, "LAT", strconv.FormatFloat(l.Latitude, 'f', -1, 64), "LON", strconv.FormatFloat(l.Longitude, 'f', -1, 64))
	}
	w.text("TITLE", c.Title)
	w.text("ROLE", c.Role)
	w.media("LOGO", c.Logo, "")
	if depth == 0 {
		w.agent(c.Agent)
	}
	o := &c.Organization
	w.parts("ORG", 0, o.Extra, append([]string{"ORGNAME", o.Name}, pairs("ORGUNIT", o.Units)...)...)
	w.parts("CATEGORIES", 0, nil, pairs("KEYWORD", c.Categories)...)
	w.text("NOTE", c.Note)
	w.text("PRODID", c.ProductID)
	w.text("REV", c.Revision)
	w.text("SORT-STRING", c.SortString)
	if c.Sound != nil {
		w.media("SOUND", &c.Sound.Media, c.Sound.Phonetic)
	}
	w.text("UID", c.UID)
	w.text("URL", c.URL)
	if isClass(c.Class) {
		w.b.C("CLASS").C(string(c.Class)).Up().Up()
	}
	if k := c.Key; k != nil {
		w.parts("KEY", 0, k.Extra, "TYPE", k.Type, "CRED", k.Credential)
	}
	w.text("DESC", c.Description)
	w.extra(c.Extra)
}

func (w writer) text(name, text string) {
	if text != "" {
		w.b.C(name).T(text).Up()
	}
}

func (w writer) extra(list []*etree.Element) {
	for _, e := range list {
		w.b.Add(stanza.Raw(e))
	}
}

// pairs names each of several texts.
func pairs(name string, texts []string) []string {
	out := make([]string, 0, 2*len(texts))
	for _, t := range texts {
		out = append(out, name, t)
	}
	return out
}

// parts writes an element with flags and texts, pairs of name and text; nothing if there is nothing in it.
func (w writer) parts(name string, flags Flags, extra []*etree.Element, texts ...string) {
	names := flags.names()
	empty := len(names) == 0 && len(extra) == 0
	for i := 1; i < len(texts) && empty; i += 2 {
		empty = texts[i] == ""
	}
	if empty {
		return
	}
	w.b.C(name)
	for _, n := range names {
		w.b.C(n).Up()
	}
	for i := 0; i < len(texts); i += 2 {
		w.text(texts[i], texts[i+1])
	}
	w.extra(extra)
	w.b.Up()
}

func (w writer) media(name string, m *Media, phonetic string) {
	switch {
	case m == nil:
	case len(m.Data) == 0 && m.raw != nil:
		w.b.Add(stanza.Raw(m.raw))
	case len(m.Data) > 0:
		w.parts(name, 0, m.Extra, "TYPE", m.Type, "BINVAL", base64.StdEncoding.EncodeToString(m.Data), "EXTVAL", m.URI, "PHONETIC", phonetic)
	case m.URI != "" || phonetic != "" || m.Extra != nil:
		w.parts(name, 0, m.Extra, "TYPE", m.Type, "EXTVAL", m.URI, "PHONETIC", phonetic)
	}
}

func (w writer) agent(a *Agent) {
	if a == nil || a.Card == nil && a.URI == "" && a.Extra == nil {
		return
	}
	w.b.C("AGENT")
	if a.Card != nil {
		w.b.C("vCard")
		w.card(a.Card, 1)
		w.b.Up()
	}
	w.text("EXTVAL", a.URI)
	w.extra(a.Extra)
	w.b.Up()
}
