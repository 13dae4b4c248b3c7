package bookmarks_test

import (
	"testing"

	"github.com/go-xmppframework/xmpp/modules/bookmarks"
	"github.com/go-xmppframework/xmpp/stanza"
)

// TestParseStorage reads what clients have written in the course of time.
func TestParseStorage(t *testing.T) {
	e := element(t, `<storage xmlns='storage:bookmarks'><conference jid='a@c' name='A' autojoin='1'><nick>n</nick><password>p</password><x xmlns='urn:x'/></conference>
		<conference jid='a@c' name='again'/><conference jid='@'/><conference/><conference jid='B@c/Me' autojoin='yes'/><url name='u' url='https://u'/><url url='https://u'/><url name='none'/>
		<conference xmlns='urn:xmpp:bookmarks:1' jid='f@c'/><q:conference xmlns:q='urn:q' jid='q@c'/>text<note jid='z@z'/></storage>`)
	s, ok := bookmarks.ParseStorage(e)
	got := ""
	for _, b := range s.Bookmarks {
		got += show(b) + "; "
	}
	if !ok || got != "a name=A nick=n password=p auto; b nick=Me; " || len(s.URLs) != 1 || s.URLs[0] != (bookmarks.URL{Name: "u", URL: "https://u"}) {
		t.Errorf("%v %q %v", ok, got, s.URLs)
	}
	want := `<storage xmlns="storage:bookmarks"><conference jid="a@c" name="A" autojoin="true"><nick>n</nick><password>p</password></conference><conference jid="b@c"><nick>Me</nick></conference><url name="u" url="https://u"/></storage>`
	if got := stanza.Compact(s.Element()); got != want {
		t.Errorf("built %s, want %s", got, want)
	}
	for _, xml := range []string{"<storage/>", "<storage xmlns='urn:x'/>", "<conference xmlns='storage:bookmarks'/>"} {
		if _, ok := bookmarks.ParseStorage(element(t, xml)); ok {
			t.Errorf("%s is a list", xml)
		}
	}
	if _, ok := bookmarks.ParseStorage(nil); ok {
		t.Error("nil is a list")
	}
	b := s.Bookmarks[0]
	b.SetExtension(stanza.New("x", "urn:x"))
	if s.Bookmarks[0].Extension("x", "urn:x") != nil || b.Extension("x", "urn:x") == nil || b.Equal(s.Bookmarks[0]) || !b.Equal(b) {
		t.Error("a change of one is a change of the other")
	}
}
