package stanza

import (
	"iter"
	"strings"

	"github.com/beevik/etree"
)

// Body, subject and status may be repeated, each time in another language (RFC 6121 §4.7.2.2, §5.2.3, §5.2.4).
// The functions here read and write such children of the stanza e, which are all in jabber:client.

// mainText returns the child in the stanza's own language, or else the first.
func mainText(e *etree.Element, name string) *etree.Element {
	var first *etree.Element
	if e == nil {
		return nil
	}
	for _, t := range e.Child {
		c, ok := t.(*etree.Element)
		if !ok || !Is(c, name, NSClient) {
			continue
		}
		if strings.EqualFold(effectiveLang(e, c), Lang(e)) {
			return c
		}
		if first == nil {
			first = c
		}
	}
	return first
}

// langText returns the child in a language, or in a less specific form of it (RFC 4647 §3.4).
func langText(e *etree.Element, name, lang string) *etree.Element {
	for {
		for c := range Children(e, name, NSClient) {
			if strings.EqualFold(effectiveLang(e, c), lang) {
				return c
			}
		}
		i := strings.LastIndexByte(lang, '-')
		if i < 0 {
			return nil
		}
		lang = lang[:i]
	}
}

func effectiveLang(e, c *etree.Element) string {
	if l := Lang(c); l != "" {
		return l
	}
	return Lang(e)
}

func texts(e *etree.Element, name string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		seen := map[string]bool{}
		for c := range Children(e, name, NSClient) {
			lang := effectiveLang(e, c)
			if key := strings.ToLower(lang); !seen[key] {
				seen[key] = true
				if !yield(lang, Text(c)) {
					return
				}
			}
		}
	}
}

// setText sets the child in the stanza's own language.
func setText(e *etree.Element, name, text string) {
	if text == "" {
		RemoveChildren(e, name, NSClient)
		return
	}
	addText(e, name, "", text)
}

// addText sets the child in a language, and adds it if there is none. The language "" is the stanza's own.
func addText(e *etree.Element, name, lang, text string) {
	if e == nil {
		return
	}
	effective := lang
	if lang == "" {
		effective = Lang(e)
	}
	for c := range Children(e, name, NSClient) {
		if strings.EqualFold(effectiveLang(e, c), effective) {
			SetText(c, text)
			return
		}
	}
	c := addChild(nil, e, name, NSClient)
	if lang != "" {
		c.CreateAttr("xml:lang", lang)
	}
	SetText(c, text)
}
