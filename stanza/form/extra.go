package form

import (
	"strconv"
	"strings"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/stanza"
)

// The namespaces of what can stand in a form besides fields.
const (
	NSLayout = "http://jabber.org/protocol/xdata-layout" // XEP-0141
	NSMedia  = "urn:xmpp:media-element"                  // XEP-0221
)

// MaxDepth is how deep sections of a layout may be inside each other.
const MaxDepth = 16

// Media is something to be shown or played beside a field (XEP-0221). Nothing of it is fetched: an address may tell who looks at it.
type Media struct {
	Width, Height int        // in pixels, 0 if nothing was said
	URIs          []MediaURI // the same thing in several forms
}

// MediaURI is one form of a [Media].
type MediaURI struct {
	Type string // the media type, such as "image/png"; it may have parameters
	URI  string // where it is: http, https, cid (XEP-0231) and others
}

// Section is a part of the layout of a form: a page, or a section of one (XEP-0141).
type Section struct {
	Label string // for people; may be empty
	Parts []Part // in order
}

// Part is what is shown in a section. One of its fields is set.
type Part struct {
	Text     string   // for people
	Field    string   // the name of a field of the form
	Reported bool     // the place of the table of results
	Section  *Section // a section inside
}

func (m *Media) write(b *stanza.Builder) {
	if m == nil {
		return
	}
	b.C("media", NSMedia)
	if m.Width > 0 {
		b.A("width", strconv.Itoa(m.Width))
	}
	if m.Height > 0 {
		b.A("height", strconv.Itoa(m.Height))
	}
	for _, u := range m.URIs {
		b.C("uri")
		set(b, "type", u.Type)
		b.T(u.URI).Up()
	}
	b.Up()
}

func (p *parser) media(e *etree.Element) *Media {
	m := &Media{Width: bound(e, "width"), Height: bound(e, "height")}
	for c := range stanza.Children(e, "uri", NSMedia) {
		m.URIs = append(m.URIs, MediaURI{Type: attr(c, "type"), URI: strings.TrimSpace(strings.Clone(stanza.Text(c)))})
		p.left--
	}
	return m
}

func (m *Media) copy() *Media {
	if m == nil {
		return nil
	}
	return &Media{m.Width, m.Height, append([]MediaURI(nil), m.URIs...)}
}

func (s *Section) write(b *stanza.Builder) {
	set(b, "label", s.Label)
	for _, p := range s.Parts {
		switch {
		case p.Section != nil:
			b.C("section")
			p.Section.write(b)
		case p.Field != "":
			b.C("fieldref").A("var", p.Field)
		case p.Reported:
			b.C("reportedref")
		default:
			b.C("text").T(p.Text)
		}
		b.Up()
	}
}

func (p *parser) section(e *etree.Element, depth int) (s Section, err error) {
	if depth > MaxDepth {
		return s, ErrTooBig
	}
	s.Label = attr(e, "label")
	for c := range stanza.Children(e, stanza.Any, NSLayout) {
		if p.left--; p.left < 0 {
			return s, ErrTooBig
		}
		switch c.Tag {
		case "text":
			s.Parts = append(s.Parts, Part{Text: strings.Clone(stanza.Text(c))})
		case "fieldref":
			if name := attr(c, "var"); name != "" {
				s.Parts = append(s.Parts, Part{Field: name})
			}
		case "reportedref":
			s.Parts = append(s.Parts, Part{Reported: true})
		case "section":
			inner, err := p.section(c, depth+1)
			if err != nil {
				return s, err
			}
			s.Parts = append(s.Parts, Part{Section: &inner})
		}
	}
	return s, nil
}

func (s *Section) copy() Section {
	out := Section{Label: s.Label}
	for _, p := range s.Parts {
		if p.Section != nil {
			inner := p.Section.copy()
			p.Section = &inner
		}
		out.Parts = append(out.Parts, p)
	}
	return out
}

// extra keeps an element that this package does not know.
func (p *parser) extra(list []*etree.Element, e *etree.Element) ([]*etree.Element, error) {
	if p.left--; p.left < 0 {
		return nil, ErrTooBig
	}
	return append(list, stanza.Detach(e)), nil
}

func writeExtra(b *stanza.Builder, list []*etree.Element) {
	for _, e := range list {
		b.Add(stanza.Raw(e))
	}
}

func copyExtra(list []*etree.Element) []*etree.Element {
	var out []*etree.Element
	for _, e := range list {
		out = append(out, stanza.Detach(e))
	}
	return out
}

// Clark is the name of a field that does not belong to the specification of the form's FORM_TYPE (XEP-0068 section 3.4):
// {ns}name, so that it cannot be mistaken for one that does.
func Clark(ns, name string) string { return "{" + ns + "}" + name }

// SplitClark takes the name of a field apart. ok tells that it was made by [Clark]; otherwise the name is all of it.
func SplitClark(field string) (ns, name string, ok bool) {
	rest, ok := strings.CutPrefix(field, "{")
	ns, name, found := strings.Cut(rest, "}")
	if !ok || !found || ns == "" || name == "" {
		return "", field, false
	}
	return ns, name, true
}
