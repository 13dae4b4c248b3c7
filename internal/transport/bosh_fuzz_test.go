package transport

import (
	"errors"
	"io"
	"testing"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/internal/xmlstream"
)

// FuzzBOSHBody: whatever is taken is a well-formed body, and what is inside comes out as the document has it.
func FuzzBOSHBody(f *testing.F) {
	for _, s := range []string{
		emptyBody, sessionStart + "><stream:features/></body>", bodyStart + "><message><body>x</body></message> <iq xmlns='jabber:client'/></body>",
		"<?xml version='1.0'?>\n<b:body xmlns:b='http://jabber.org/protocol/httpbind' a='>'><q:x xmlns:q='urn:q'/></b:body >",
		bodyStart + "type='terminate' condition='remote-stream-error'><stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></body>",
		bodyStart + "type='terminate' condition='see-other-uri'><uri>https://a.test/</uri></body>",
		emptyBody + emptyBody, bodyStart + "></body><body></body>", bodyStart + "><a><![CDATA[</body>", bodyStart + "><!-- --></body>", "<", "",
	} {
		f.Add([]byte(s))
	}
	lim := xmlstream.Limits{StanzaBytes: 4 << 10}
	wide := xmlstream.Limits{StanzaBytes: 1 << 20, NSDecls: 64, Depth: 102}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := parseBody(b, lim)
		if err != nil {
			if bad := (*xmlstream.Error)(nil); !errors.As(err, &bad) {
				t.Fatalf("an error that is none of XML: %v", err)
			}
			return
		}
		_ = a.refusal(lim, false)
		_ = a.header()
		var got []*etree.Element
		for d, err := a.decoder(lim); d != nil || err != nil; {
			var e *etree.Element
			if err == nil {
				e, err = d.Next()
			}
			if err == io.EOF {
				break
			}
			if err != nil {
				return // it ends the session
			}
			got = append(got, e)
		}
		whole, err := xmlstream.Parse(b, wide)
		if err != nil {
			t.Fatalf("taken, but not well-formed: %v", err)
		}
		want := whole.ChildElements()
		if len(want) != len(got) {
			t.Fatalf("%d elements, want %d", len(got), len(want))
		}
		for i, e := range got {
			if e.FullTag() != want[i].FullTag() {
				t.Errorf("element %d is %s, want %s", i, e.FullTag(), want[i].FullTag())
			}
			ns := want[i].NamespaceURI()
			if ns == "" || ns == nsHTTPBind && want[i].SelectAttr("xmlns") == nil && want[i].Space == "" {
				ns = e.NamespaceURI() // jabber:client, or what it declares
			}
			if e.NamespaceURI() != ns {
				t.Errorf("element %d is in %q, want %q", i, e.NamespaceURI(), ns)
			}
		}
	})
}
