package stanza_test

import (
	"strings"
	"testing"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/jid"
	"github.com/go-xmppframework/xmpp/stanza"
)

var (
	romeo  = jid.MustParse("romeo@example.net/orchard")
	juliet = jid.MustParse("juliet@example.com/balcony")
)

// element reads XML that a test has written with single quotes.
func element(t testing.TB, xml string) *etree.Element {
	t.Helper()
	e, err := stanza.ParseElement(xml)
	if err != nil {
		t.Fatalf("ParseElement(%s): %v", xml, err)
	}
	return e
}

func iqOf(t testing.TB, xml string) *stanza.IQ {
	t.Helper()
	s, err := stanza.IQFrom(element(t, xml))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func messageOf(t testing.TB, xml string) *stanza.Message {
	t.Helper()
	s, err := stanza.MessageFrom(element(t, xml))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func presenceOf(t testing.TB, xml string) *stanza.Presence {
	t.Helper()
	s, err := stanza.PresenceFrom(element(t, xml))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// equal compares a result with what is wanted.
func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}

// prints compares an element with XML written with single quotes.
func prints(t testing.TB, what string, e *etree.Element, want string) {
	t.Helper()
	if got := stanza.Compact(e); got != strings.ReplaceAll(want, "'", `"`) {
		t.Errorf("%s =\n\t%s, want\n\t%s", what, got, strings.ReplaceAll(want, "'", `"`))
	}
}
