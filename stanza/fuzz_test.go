package stanza_test

import (
	"strings"
	"testing"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/stanza"
)

// FuzzStanza is the part of F-02 that needs no module: a well-formed element, made a stanza, panics nowhere,
// keeps the property of XML-05 and XML-06, and what is made of it is well-formed.
func FuzzStanza(f *testing.F) {
	for _, xml := range corpus {
		f.Add(xml)
	}
	for _, xml := range []string{
		`<message xmlns='jabber:client'> <result xmlns='urn:xmpp:mam:2' queryid='f27'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='a@b'><body>x</body></message></forwarded></result></message>`,
		`<message xmlns='jabber:client' xmlns:q='urn:q' q:from='boss@corp' from='evil@x'><q:body>0</q:body><body q:x='1'>1</body></message>`,
		`<presence xmlns='jabber:client'><priority>-129</priority><show>&#x64;nd</show></presence>`,
		`<a:iq xmlns:a='jabber:client' type='error'><a:error a:type='auth' code='99999999999999999999'/></a:iq>`,
		`<iq xmlns='jabber:client' xmlns:xmlns='urn:x'/>`,
		`<iq xmlns='jabber:client' xmlns:p=''><p:x/></iq>`,
		"<message xmlns='jabber:client'><body>\u0085\u2028 \r\n&#13;&#10;</body></message>",
	} {
		f.Add(xml)
	}
	f.Fuzz(func(t *testing.T, xml string) {
		e, err := stanza.ParseElement(xml)
		if err != nil {
			return
		}
		out := stanza.Compact(e)
		again, err := stanza.ParseElement(out)
		if err != nil || stanza.Compact(again) != out {
			t.Fatalf("%q is printed as %q, which reads as %q, %v", xml, out, stanza.Compact(again), err)
		}
		if _, err := stanza.ParseElement(stanza.Pretty(e)); err != nil {
			t.Fatalf("%q is printed as %q: %v", xml, stanza.Pretty(e), err)
		}
		for _, c := range descendants(e) {
			d := stanza.Detach(c)
			if stanza.Namespace(d) != stanza.Namespace(c) || stanza.Compact(d) != stanza.Compact(stanza.Detach(d)) {
				t.Fatalf("%q: cut out as %q", xml, stanza.Compact(d))
			}
		}
		s, err := stanza.From(e)
		if err != nil {
			return
		}
		useAll(t, s)
		// The prefix q of the property would be redefined by one that is there already.
		if len(out) > 4096 || strings.Contains(out, "q:") || strings.Contains(out, ":q=") || strings.Contains(out, evilNS) {
			return
		}
		checkProperty(t, out, func(e *etree.Element) { addForeignAttrs(e, false); addForeignChildren(e, false) }, "Payload", "Err")
		checkProperty(t, out, func(e *etree.Element) { addForeignAttrs(e, true); addForeignChildren(e, true) }, "Payload", "Err")
	})
}
