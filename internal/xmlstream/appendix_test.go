package xmlstream

import (
	"errors"
	"io"
	"strings"
	"testing"
)

// appendixA is what encoding/xml accepts and libexpat refuses, with what each must be called here,
// and below it the other lines of the comparison. "" is accepted.
var appendixA = []struct {
	in        string
	condition string
	expat     bool // libexpat accepts it
}{
	{"<x a='1' a='2'/>", condNotWellFormed, false},
	{"<x xmlns:a='u' xmlns:b='u' a:k='1' b:k='2'/>", condNotWellFormed, false},
	{"<x xmlns:a='u' xmlns:b='&#117;' a:k='1' b:k='2'/>", condNotWellFormed, false},
	{"<a:x/>", condNotWellFormed, false},
	{"<x a:b='1'/>", condNotWellFormed, false},
	{"<:x/>", condNotWellFormed, false},
	{"<x:/>", condNotWellFormed, false},
	{"<x :a='1'/>", condNotWellFormed, false},
	{"<x a:='1'/>", condNotWellFormed, false},
	{"<stream:a:b/>", condNotWellFormed, false},
	{"<x a='1'b='2'/>", condNotWellFormed, false},
	{"<x xmlns:a=''><a:y/></x>", condNotWellFormed, false},
	{"<x xmlns:xmlns='foo'/>", condNotWellFormed, false},
	{"<x xmlns:xml='foo'/>", condNotWellFormed, false},
	{"<x xmlns:a='http://www.w3.org/XML/1998/namespace'/>", condNotWellFormed, false},
	{"<x xmlns:a='http://www.w3.org/2000/xmlns/'/>", condNotWellFormed, false},
	{"<x xmlns='http://www.w3.org/XML/1998/namespace'/>", condNotWellFormed, false},
	{"<x xmlns='http://www.w3.org/2000/xmlns/'/>", condNotWellFormed, false},
	{"<x xmlns='http://www.w3.org/2000/xmlns&#47;'/>", condNotWellFormed, false},
	{"<xmlns:x/>", condNotWellFormed, false},
	{"<x>&#xD800;</x>", condNotWellFormed, false},
	{"</stream:stream><y/>", "", false}, // nothing behind the end of the stream is looked at
	{"</stream:stream>junk", "", false},
	{"<x/>junk", condBadFormat, true},
	{"junk<x/>", condBadFormat, true},
	{"<x/>&#32;", condBadFormat, true},
	{"<x/><![CDATA[]]>", condBadFormat, true},
	{"<x><!FOO <bar> ></x>", condRestrictedXML, false},
	{"<x><!DOCTYPE x></x>", condRestrictedXML, false},
	{"<x><?xml version='1.0'?>y</x>", condRestrictedXML, false},
	{"<x a='l1\nl2'/>", "", true},
	// Refused by both.
	{"<x>\xC0\xBC</x>", condNotWellFormed, false},
	{"<x>\xED\xA0\x80</x>", condNotWellFormed, false},
	{"<x>\x00</x>", condNotWellFormed, false},
	{"<x>\x0B</x>", condNotWellFormed, false},
	{"<x>&#0;</x>", condNotWellFormed, false},
	{"<x>&#x1;</x>", condNotWellFormed, false},
	{"<x>]]></x>", condNotWellFormed, false},
	{"<x>\uFFFF</x>", condNotWellFormed, false},
	{"<x>&#xFFFE;</x>", condNotWellFormed, false},
	{"<x>&#x110000;</x>", condNotWellFormed, false},
	{"<x>&#99999999999999999999;</x>", condNotWellFormed, false},
	{"<x>&#;</x>", condNotWellFormed, false},
	{"<x>&#x;</x>", condNotWellFormed, false},
	{"<x>&#X41;</x>", condNotWellFormed, false},
	{"<x>&;</x>", condNotWellFormed, false},
	{"<x>& </x>", condNotWellFormed, false},
	{"<x>&amp</x>", condNotWellFormed, false},
	{"<x a='&'/>", condNotWellFormed, false},
	{"<x a='<'/>", condNotWellFormed, false},
	{"<x a=1/>", condNotWellFormed, false},
	{"<x a/>", condNotWellFormed, false},
	{"<x a = '1' a2='2' / >", condNotWellFormed, false},
	{"< x/>", condNotWellFormed, false},
	{"<x></ x>", condNotWellFormed, false},
	{"<x></y>", condNotWellFormed, false},
	{"<x></xy>", condNotWellFormed, false},
	{"<x></x y>", condNotWellFormed, false},
	{"<-x/>", condNotWellFormed, false},
	{"<x\U00010000/>", condNotWellFormed, false},
	{"<x><![cdata[]]></x>", condNotWellFormed, false},
	{"</x>", condNotWellFormed, false},
	// Accepted by both.
	{"<x a = '1' ></x\n>", "", true},
	{"<x a='>'>></x>", "", true},
	{"<x>\x7F\u0085</x>", "", true},
	{"<x>&#x0000000000000000041;</x>", "", true},
	{"<xml:x xml:a='1'/>", "", true},
	// Accepted by libexpat, forbidden in XMPP (RFC 6120 §11.1).
	{"<x><!-- c --></x>", condRestrictedXML, true},
	{"<x><?php p ?></x>", condRestrictedXML, true},
	{"<!-- c -->", condRestrictedXML, true},
	{"<?p?>", condRestrictedXML, true},
	// A named entity: no DTD declares it, so libexpat refuses it too.
	{"<x>&nbsp;</x>", condRestrictedXML, false},
}

// condition returns the condition of an error, "" for the end of the stream.
func condition(err error) string {
	var e *Error
	switch {
	case err == io.EOF:
		return ""
	case errors.As(err, &e):
		return e.Condition
	}
	return err.Error()
}

func TestSec_XML04(t *testing.T) {
	for _, c := range appendixA {
		in := testHeader + c.in + testFooter
		s := watch(strings.NewReader(in), Limits{})
		if got := condition(s.err); got != c.condition {
			t.Errorf("%q: got %v, want %q", c.in, s.err, c.condition)
		}
		if o := expat(t); o != nil {
			if _, ok := o.parse(t, []byte(in), true); ok != c.expat {
				t.Errorf("%q: expat accepts it: %v, want %v", c.in, ok, c.expat)
			}
		}
		if diff, s := differ(t, []byte(in), Limits{}); diff != "" {
			t.Errorf("%q: %s\n%v", c.in, diff, s)
		}
	}

	t.Run("attribute white space", func(t *testing.T) {
		d := NewDecoder(strings.NewReader(testHeader+"<x a='1\t2\n3\r\n4\r5&#9;&#10;&#13;6'>1\t2\n3\r\n4\r5&#13;6</x>"), Limits{})
		if _, err := d.Header(); err != nil {
			t.Fatal(err)
		}
		e, err := d.Next()
		if err != nil {
			t.Fatal(err)
		}
		if got, want := e.SelectAttrValue("a", ""), "1 2 3 4 5\t\n\r6"; got != want {
			t.Errorf("attribute: got %q, want %q", got, want)
		}
		if got, want := e.Text(), "1\t2\n3\n4\n5\r6"; got != want {
			t.Errorf("text: got %q, want %q", got, want)
		}
	})
}

// prologCases are whole streams.
var prologCases = []struct {
	in        string
	condition string
}{
	{"<stream:stream xmlns:stream='" + nsStreams + "'/>", ""},
	{"\xEF\xBB\xBF" + testHeader + testFooter, ""},
	{"\n <stream xmlns='" + nsStreams + "'></stream>", ""},
	{"<?xml version=\"1.0\" encoding='UTF-8' standalone='no' ?>\r\n" + testHeader[21:] + testFooter, ""},
	{"<?xml version='1.0' encoding=\"utf-8\"?>" + testHeader[21:] + testFooter, ""},
	{"<?xml\tversion = '1.0'?>" + testHeader[21:] + testFooter, ""},
	{"<?xml version='1.0' encoding='iso-8859-1'?>" + testHeader[21:] + testFooter, condUnsupportedEncoding},
	{"<?xml version='1.0' encoding='UTF-16'?>" + testHeader[21:] + testFooter, condUnsupportedEncoding},
	{"<?xml version='1.0' encoding='utf8'?>" + testHeader[21:] + testFooter, condUnsupportedEncoding},
	{"<?xml version='1.0' encoding=''?>" + testHeader[21:] + testFooter, condUnsupportedEncoding},
	{"<?xml version='1.1'?>" + testHeader[21:] + testFooter, condNotWellFormed},
	{"<?xml version=''?>" + testHeader[21:] + testFooter, condNotWellFormed},
	{"<?xml?>" + testHeader[21:] + testFooter, condRestrictedXML},
	{"<?xml ?>" + testHeader[21:] + testFooter, condNotWellFormed},
	{"<?xml encoding='UTF-8'?>" + testHeader[21:] + testFooter, condNotWellFormed},
	{"<?xml version='1.0'encoding='UTF-8'?>" + testHeader[21:] + testFooter, condNotWellFormed},
	{"<?xml standalone='yes' version='1.0'?>" + testHeader[21:] + testFooter, condNotWellFormed},
	{"<?xml version='1.0' standalone='maybe'?>" + testHeader[21:] + testFooter, condNotWellFormed},
	{"<?xml version='1.0' version='1.0'?>" + testHeader[21:] + testFooter, condNotWellFormed},
	{"<?xml version='1.0' x='1'?>" + testHeader[21:] + testFooter, condNotWellFormed},
	{" " + testHeader + testFooter, condRestrictedXML},
	{testHeader[:21] + testHeader + testFooter, condRestrictedXML},
	{"\xEF\xBB\xBF\xEF\xBB\xBF" + testHeader + testFooter, condNotWellFormed},
	{"\xFF\xFE<\x00s\x00", condUnsupportedEncoding},
	{"\xFE\xFF\x00<\x00s", condUnsupportedEncoding},
	{"<\x00s\x00", condUnsupportedEncoding},
	{"\x00<\x00s", condUnsupportedEncoding},
	{"junk" + testHeader + testFooter, condNotWellFormed},
	{"&#32;" + testHeader, condNotWellFormed},
	{"</stream:stream>", condNotWellFormed},
	{"<!DOCTYPE stream:stream><stream:stream/>", condRestrictedXML},
	{"<!-- --><stream:stream/>", condRestrictedXML},
	{"<?php ?><stream:stream/>", condRestrictedXML},
	{"<stream:stream/>", condNotWellFormed},
	{"<stream/>", condInvalidNamespace},
	{"<stream xmlns='jabber:client'/>", condInvalidNamespace},
	{"<s:stream xmlns:s='http://etherx.jabber.org/streams/'/>", condInvalidNamespace},
	{"<s:features xmlns:s='" + nsStreams + "'/>", condBadFormat},
	{testHeader, io.ErrUnexpectedEOF.Error()},
	{testHeader[:100], io.ErrUnexpectedEOF.Error()},
	{"", io.ErrUnexpectedEOF.Error()},
}

func TestSec_XML13(t *testing.T) {
	for _, c := range prologCases {
		s := watch(strings.NewReader(c.in), Limits{})
		if got := condition(s.err); got != c.condition {
			t.Errorf("%q: got %v, want %q", c.in, s.err, c.condition)
		}
		if diff, s := differ(t, []byte(c.in), Limits{}); diff != "" {
			t.Errorf("%q: %s\n%v", c.in, diff, s)
		}
	}

	// A byte order mark anywhere else is text.
	s := watch(strings.NewReader(testHeader+"\xEF\xBB\xBF<x/>"), Limits{})
	if condition(s.err) != condBadFormat {
		t.Errorf("between stanzas: got %v", s.err)
	}
}
