package bookmarks_test

import (
	"slices"
	"testing"

	"github.com/go-xmppframework/xmpp/modules/bookmarks"
	"github.com/go-xmppframework/xmpp/stanza"
)

// FuzzStorage: whatever list there is, what is read of it is the same after it was written again.
func FuzzStorage(f *testing.F) {
	for _, seed := range []string{
		`<storage xmlns='storage:bookmarks'><conference jid='a@c' name='A' autojoin='1'><nick>n</nick><password>p</password></conference><url name='u' url='https://u'/></storage>`,
		`<q:storage xmlns:q='storage:bookmarks'><q:conference jid='A@c/n'><extensions xmlns='urn:xmpp:bookmarks:1'><x xmlns='urn:x'/></extensions></q:conference><q:conference jid='a@c'/></q:storage>`,
		`<storage xmlns='storage:bookmarks'><conference/><conference jid='@'/><url/><conference xmlns='urn:x' jid='a@c'/>text</storage>`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, xml string) {
		e, err := stanza.ParseElement(xml)
		if err != nil {
			return
		}
		s, ok := bookmarks.ParseStorage(e)
		if !ok {
			return
		}
		again, ok := bookmarks.ParseStorage(s.Element())
		if !ok || !slices.Equal(s.URLs, again.URLs) || !slices.EqualFunc(s.Bookmarks, again.Bookmarks, bookmarks.Bookmark.Equal) {
			t.Errorf("%s\nis read as %+v\nand again as %+v", xml, s, again)
		}
	})
}
