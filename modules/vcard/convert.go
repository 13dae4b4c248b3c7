package vcard

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// VCard4 makes a vCard of version 4 of the card (XEP-0292 section 11). It is nil for nil. These are lost: Version, Mailer, Class,
// the phonetic of the sound, the type of the key, the agent but for its name and where it is, a photo, logo or sound that could not be read,
// a revision that is no time, the flag Internet of mail addresses, and all Extra. The note comes first, the description becomes a second one.
// A label becomes the label of the address with the same flags, or of one with nothing else.
// The flags that version 4 does not know are written as types of one's own: x-parcel.
func (c *Card) VCard4() *Card4 {
	if c == nil {
		return nil
	}
	d := new(Card4)
	text := func(name, typ, text string) {
		if text != "" {
			d.Add(NewProperty(name, typ, text))
		}
	}
	media := func(name string, m *Media) {
		switch {
		case m == nil:
		case len(m.Data) > 0:
			d.Add(NewProperty(name, "uri", dataURI(m)))
		case m.URI != "":
			d.Add(NewProperty(name, "uri", m.URI))
		}
	}
	text("fn", "text", c.FormattedName)
	if n := c.Name; n.Family+n.Given+n.Middle+n.Prefix+n.Suffix != "" || c.SortString != "" {
		p := Property{Name: "n", Values: []Value{{"surname", n.Family}, {"given", n.Given}, {"additional", n.Middle}, {"prefix", n.Prefix}, {"suffix", n.Suffix}}}
		if c.SortString != "" {
			p = p.With("sort-as", c.SortString)
		}
		d.Add(p)
	}
	text("nickname", "text", c.Nickname)
	media("photo", c.Photo)
	text("bday", "date", c.Birthday)
	labels := slices.Clone(c.Labels)
	for _, a := range c.Addresses {
		p := Property{Name: "adr", Values: []Value{{"pobox", a.POBox}, {"ext", a.Extended}, {"street", a.Street},
			{"locality", a.Locality}, {"region", a.Region}, {"code", a.PostalCode}, {"country", a.Country}}}
		p = p.withFlags(a.Flags)
		if i := slices.IndexFunc(labels, func(l Label) bool { return l.Flags == a.Flags }); i >= 0 {
			p = p.With("label", strings.Join(labels[i].Lines, "\n"))
			labels = slices.Delete(labels, i, i+1)
		}
		d.Add(p)
	}
	for _, l := range labels {
		p := Property{Name: "adr"}
		for _, name := range addressParts {
			p.Values = append(p.Values, Value{Type: name})
		}
		d.Add(p.withFlags(l.Flags).With("label", strings.Join(l.Lines, "\n")))
	}
	for _, t := range c.Phones {
		p := NewProperty("tel", "text", t.Number)
		if isTelURI(t.Number) {
			p = NewProperty("tel", "uri", "tel:"+t.Number)
		}
		d.Add(p.withFlags(t.Flags))
	}
	for _, m := range c.Emails {
		d.Add(NewProperty("email", "text", m.UserID).withFlags(m.Flags &^ Internet))
	}
	if c.JabberID != "" {
		text("impp", "uri", "xmpp:"+strings.TrimSpace(c.JabberID))
	}
	text("tz", "text", c.TimeZone)
	if l := c.Location; l != nil {
		text("geo", "uri", "geo:"+strconv.FormatFloat(l.Latitude, 'f', -1, 64)+","+strconv.FormatFloat(l.Longitude, 'f', -1, 64))
	}
	text("title", "text", c.Title)
	text("role", "text", c.Role)
	media("logo", c.Logo)
	if a := c.Agent; a != nil {
		if a.URI != "" {
			d.Add(NewProperty("related", "uri", a.URI).With("type", "agent"))
		} else if a.Card != nil && a.Card.FormattedName != "" {
			d.Add(NewProperty("related", "text", a.Card.FormattedName).With("type", "agent"))
		}
	}
	if o := c.Organization; o.Name != "" || len(o.Units) > 0 {
		d.Add(NewProperty("org", "text", append([]string{o.Name}, o.Units...)...))
	}
	if len(c.Categories) > 0 {
		d.Add(NewProperty("categories", "text", c.Categories...))
	}
	text("note", "text", c.Note)
	text("prodid", "text", c.ProductID)
	text("rev", "timestamp", c.revision4())
	if c.Sound != nil {
		media("sound", &c.Sound.Media)
	}
	text("uid", "uri", c.UID)
	text("url", "uri", c.URL)
	if c.Key != nil {
		text("key", "text", c.Key.Credential)
	}
	text("note", "text", c.Description)
	return d
}

// revision4 is the revision as RFC 6350 section 4.3.5 writes it.
func (c *Card) revision4() string {
	if t, err := c.RevisionTime(); err == nil {
		return t.Format("20060102T150405Z")
	}
	return ""
}

var addressParts = []string{"pobox", "ext", "street", "locality", "region", "code", "country"}

// types4 are the flags that version 4 knows (RFC 6350 sections 5.6 and 6.4.1).
var types4 = map[Flags]string{Home: "home", Work: "work", Voice: "voice", Fax: "fax", Pager: "pager", Cell: "cell", Video: "video"}

// withFlags adds the parameters for flags.
func (p Property) withFlags(f Flags) Property {
	var types []string
	for g := Flags(1); g != 0 && g <= f; g <<= 1 {
		if f&g != 0 && g != Preferred {
			types = append(types, cmp.Or(types4[g], "x-"+strings.ToLower(g.String())))
		}
	}
	if len(types) > 0 {
		p = p.With("type", types...)
	}
	if f.Has(Preferred) {
		p = p.With("pref", "1")
	}
	return p
}

// flags are those that the parameters stand for.
func (p *Property) flags() Flags {
	var f Flags
	for _, t := range p.Parameter("type") {
		name := strings.ToUpper(strings.TrimSpace(t))
		f |= flagNamed(strings.TrimPrefix(name, "X-"))
		if name == "PREF" {
			f |= Preferred
		}
	}
	if p.Pref() == 1 {
		f |= Preferred
	}
	return f
}

// isTelURI reports whether a number can follow tel: as it is (RFC 3966).
func isTelURI(number string) bool {
	return strings.ContainsAny(number, "0123456789") && strings.Trim(number, "+0123456789-.()*#") == ""
}

// Card makes a card of XEP-0054 of it. It is nil for nil. These are lost: groups, parameters but type, pref, label and sort-as, properties that
// XEP-0054 does not have (kind, gender, anniversary, lang, related but for an agent, member, fburl, caluri …), Raw ones, and the second and later
// of those that have one place; the more preferred comes first. A second note becomes the description. Components with several
// values are joined by commas. A data: URI is read if it has at most 256 KiB of base64.
func (c *Card4) Card() *Card {
	if c == nil {
		return nil
	}
	d := new(Card)
	for name, p := range map[string]*string{
		"fn": &d.FormattedName, "nickname": &d.Nickname, "bday": &d.Birthday, "tz": &d.TimeZone, "title": &d.Title, "role": &d.Role,
		"prodid": &d.ProductID, "uid": &d.UID, "url": &d.URL,
	} {
		*p = c.Text(name)
	}
	if t, err := parseStamp(c.Text("rev")); err == nil {
		d.SetRevision(t)
	}
	if n := c.Get("n"); n != nil {
		d.Name = Name{Family: n.joined("surname"), Given: n.joined("given"), Middle: n.joined("additional"), Prefix: n.joined("prefix"), Suffix: n.joined("suffix")}
		d.SortString = strings.Join(n.Parameter("sort-as"), ",")
	}
	d.Photo, d.Logo = c.Photo(), c.Get("logo").Media(0)
	if m := c.Get("sound").Media(0); m != nil {
		d.Sound = &Sound{Media: *m}
	}
	for p := range c.All("adr") {
		a := Address{Flags: p.flags(), POBox: p.joined("pobox"), Extended: p.joined("ext"), Street: p.joined("street"), Locality: p.joined("locality"),
			Region: p.joined("region"), PostalCode: p.joined("code"), Country: p.joined("country")}
		label := p.Parameter("label")
		if label == nil || a.POBox+a.Extended+a.Street+a.Locality+a.Region+a.PostalCode+a.Country != "" {
			d.Addresses = append(d.Addresses, a)
		}
		if label != nil {
			d.Labels = append(d.Labels, Label{Flags: a.Flags, Lines: strings.Split(label[0], "\n")})
		}
	}
	for p := range c.All("tel") {
		if len(p.Values) == 0 {
			continue
		}
		number := p.Text()
		if p.Values[0].Type == "uri" && len(number) > 4 && strings.EqualFold(number[:4], "tel:") {
			number = number[4:]
		}
		d.Phones = append(d.Phones, Phone{Flags: p.flags(), Number: number})
	}
	for p := range c.All("email") {
		if len(p.Values) == 0 {
			continue
		}
		m := Email{Flags: p.flags(), UserID: p.Text()}
		if !m.Flags.Has(X400) {
			m.Flags |= Internet
		}
		d.Emails = append(d.Emails, m)
	}
	for p := range c.All("impp") {
		if uri := p.Text(); d.JabberID == "" && len(uri) > 5 && strings.EqualFold(uri[:5], "xmpp:") {
			d.JabberID, _, _ = strings.Cut(uri[5:], "?")
		}
	}
	d.Location = locationOf(c.Text("geo"))
	for p := range c.All("related") {
		switch {
		case !p.HasType("agent") || d.Agent != nil || len(p.Values) == 0:
		case p.Values[0].Type == "text":
			d.Agent = &Agent{Card: &Card{FormattedName: p.Text()}}
		default:
			d.Agent = &Agent{URI: p.Text()}
		}
	}
	if o := c.Get("org").Component(""); len(o) > 0 {
		d.Organization = Organization{Name: o[0], Units: o[1:]}
	}
	for p := range c.All("categories") {
		d.Categories = append(d.Categories, p.Component("")...)
	}
	for p := range c.All("note") {
		switch {
		case d.Note == "":
			d.Note = p.Text()
		case d.Description == "":
			d.Description = p.Text()
		}
	}
	if k := c.Text("key"); k != "" {
		d.Key = &Key{Credential: k}
	}
	return d
}

// joined are the values of one type as one text.
func (p *Property) joined(typ string) string {
	return strings.Join(slices.DeleteFunc(p.Component(typ), func(s string) bool { return s == "" }), ",")
}

// locationOf reads a geo: URI (RFC 5870), nil if it is none.
func locationOf(uri string) *Location {
	if len(uri) < 4 || !strings.EqualFold(uri[:4], "geo:") {
		return nil
	}
	place, _, _ := strings.Cut(uri[4:], ";")
	parts := strings.Split(place, ",")
	if len(parts) < 2 {
		return nil
	}
	lat, ok1 := degrees(parts[0], 90)
	lon, ok2 := degrees(parts[1], 180)
	if !ok1 || !ok2 {
		return nil
	}
	return &Location{Latitude: lat, Longitude: lon}
}
