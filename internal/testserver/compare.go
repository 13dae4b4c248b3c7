package testserver

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/internal/xmlstream"
)

// streamTag opens a stream for XML that a test has written, so that the usual prefixes are bound in it.
const streamTag = "<stream:stream xmlns='" + nsClient + "' xmlns:stream='" + nsStreams + "' version='1.0'>"

// testLimits bound XML from tests: they are generous.
var testLimits = xmlstream.Limits{StanzaBytes: 64 << 20, Depth: 100, Attrs: 128, NSDecls: 32}

// parseFragment reads one element; its default namespace is jabber:client, and stream is the prefix of streams.
func parseFragment(xml string) (*etree.Element, error) {
	d := xmlstream.NewDecoder(strings.NewReader(streamTag+xml+xmlstream.Footer), testLimits)
	if _, err := d.Header(); err != nil {
		return nil, fmt.Errorf("testserver: %w in %s", err, clip(xml))
	}
	e, err := d.Next()
	if err == io.EOF {
		return nil, fmt.Errorf("testserver: there is no element in %s", clip(xml))
	} else if err != nil {
		return nil, fmt.Errorf("testserver: %w in %s", err, clip(xml))
	}
	if _, err := d.Next(); err != io.EOF {
		return nil, fmt.Errorf("testserver: more than one element in %s", clip(xml))
	}
	return e, nil
}

func clip(s string) string {
	if len(s) > 1000 {
		return s[:1000] + "…"
	}
	return s
}

// vars are the variables of a script: what {name} stands for.
type vars map[string]string

var varPattern = regexp.MustCompile(`\{[A-Za-z]\w*\}`)

// fill puts the values of variables into XML text. Unknown ones stay; missing names the first of them.
func (v vars) fill(xml string) (filled, missing string) {
	filled = varPattern.ReplaceAllStringFunc(xml, func(name string) string {
		if value, ok := v[name[1:len(name)-1]]; ok {
			return escape(value)
		}
		if missing == "" {
			missing = name
		}
		return name
	})
	return filled, missing
}

// matches compares a value with a pattern: "*" is anything, and {name} alone takes the value.
func (v vars) matches(pattern, value string) bool {
	if pattern == "*" || pattern == value {
		return true
	}
	if loc := varPattern.FindString(pattern); loc != "" && loc == pattern {
		name := pattern[1 : len(pattern)-1]
		if old, ok := v[name]; ok {
			return old == value
		}
		v[name] = value
		return true
	}
	return false
}

// compare returns nil when got is what want describes: the same tree of names, attributes and text.
// Prefixes, the order of attributes, and white space between elements do not matter; the order of elements does.
func (v vars) compare(want, got *etree.Element) error {
	if err := v.compareAt("", want, got); err != nil {
		return fmt.Errorf("%w\nwant:\n%s\ngot:\n%s", err, pretty(want), pretty(got))
	}
	return nil
}

func (v vars) compareAt(path string, want, got *etree.Element) error {
	if want.Tag != got.Tag || want.NamespaceURI() != got.NamespaceURI() {
		return fmt.Errorf("at %s/: want %s, got %s", path, qname(want), qname(got))
	}
	path += "/" + want.Tag
	if err := v.compareAttrs(path, want, got, false); err != nil {
		return err
	}
	w, g := content(want), content(got)
	if len(w) == 1 && w[0].el == nil && strings.TrimSpace(w[0].text) == "*" {
		return nil
	}
	for i := range max(len(w), len(g)) {
		switch {
		case i >= len(w):
			return fmt.Errorf("at %s: unexpected %s", path, g[i])
		case i >= len(g):
			return fmt.Errorf("at %s: missing %s", path, w[i])
		case w[i].el == nil && g[i].el == nil:
			if !v.matches(w[i].text, g[i].text) {
				return fmt.Errorf("at %s: want %s, got %s", path, w[i], g[i])
			}
		case w[i].el == nil || g[i].el == nil:
			return fmt.Errorf("at %s: want %s, got %s", path, w[i], g[i])
		default:
			if err := v.compareAt(path, w[i].el, g[i].el); err != nil {
				return err
			}
		}
	}
	return nil
}

// compareAttrs compares the attributes that are not declarations. With some set, got may have others too.
func (v vars) compareAttrs(path string, want, got *etree.Element, some bool) error {
	w, g := attrs(want), attrs(got)
	for _, name := range sortedKeys(w) {
		value, ok := g[name]
		if !ok {
			return fmt.Errorf("at %s/@%s: want %q, it is missing", path, name, w[name])
		}
		if !v.matches(w[name], value) {
			return fmt.Errorf("at %s/@%s: want %q, got %q", path, name, w[name], value)
		}
	}
	for _, name := range sortedKeys(g) {
		if _, ok := w[name]; !ok && !some {
			return fmt.Errorf("at %s/@%s: unexpected, with value %q", path, name, g[name])
		}
	}
	return nil
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// attrs maps names, {namespace}local where there is a namespace, to values.
func attrs(e *etree.Element) map[string]string {
	m := map[string]string{}
	for i := range e.Attr {
		a := &e.Attr[i]
		switch {
		case a.Space == "xmlns" || a.Space == "" && a.Key == "xmlns":
		case a.Space == "":
			m[a.Key] = a.Value
		case a.Space == "xml":
			m["xml:"+a.Key] = a.Value
		default:
			m["{"+a.NamespaceURI()+"}"+a.Key] = a.Value
		}
	}
	return m
}

// node is a child element or a run of text.
type node struct {
	el   *etree.Element
	text string
}

func (n node) String() string {
	if n.el != nil {
		return qname(n.el)
	}
	return fmt.Sprintf("the text %q", clip(n.text))
}

// content lists elements and text; white space between elements is left out.
func content(e *etree.Element) []node {
	var out []node
	elements := false
	for _, t := range e.Child {
		switch t := t.(type) {
		case *etree.Element:
			elements = true
			out = append(out, node{el: t})
		case *etree.CharData:
			if n := len(out); n > 0 && out[n-1].el == nil {
				out[n-1].text += t.Data
			} else if t.Data != "" {
				out = append(out, node{text: t.Data})
			}
		}
	}
	if elements {
		out = slices.DeleteFunc(out, func(n node) bool { return n.el == nil && strings.TrimSpace(n.text) == "" })
	}
	return out
}

func qname(e *etree.Element) string {
	return fmt.Sprintf("<%s xmlns='%s'>", e.Tag, e.NamespaceURI())
}

// pretty is for messages to people.
func pretty(e *etree.Element) string {
	doc := etree.NewDocument()
	doc.SetRoot(e.Copy())
	doc.Indent(2)
	s, err := doc.WriteToString()
	if err != nil {
		return err.Error()
	}
	return "  " + strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n  ")
}

// describe says in a message what came instead of an element.
func describe(err error) string {
	switch {
	case err == nil:
		return "nothing"
	case err == io.EOF:
		return "the end of the stream"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "the end of the connection"
	}
	return err.Error()
}
