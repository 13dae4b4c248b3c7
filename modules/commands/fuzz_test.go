package commands

import (
	"reflect"
	"testing"

	"github.com/go-xmppframework/xmpp/stanza"
)

// FuzzReply: an answer that was read is written so that it reads the same, and it always says how to go on.
func FuzzReply(f *testing.F) {
	f.Add(`<command xmlns='http://jabber.org/protocol/commands' sessionid='s1' node='config' status='executing'><actions execute='next'><prev/><next/></actions><note type='warn'>careful</note><x xmlns='jabber:x:data' type='form'><field var='a'/></x><y xmlns='urn:y'/></command>`)
	f.Add(`<command xmlns='http://jabber.org/protocol/commands' node='n' status='completed'><note>done</note></command>`)
	f.Add(`<command xmlns='http://jabber.org/protocol/commands' node='n' sessionid='1' status='executing'><actions execute='cancel'/><x xmlns='jabber:x:data' type='bogus'/></command>`)
	f.Fuzz(func(t *testing.T, xml string) {
		e, err := stanza.ParseElement(xml)
		if err != nil {
			return
		}
		r, node, session, err := parseReply(e)
		if err != nil {
			return
		}
		if len(r.Notes) > maxNotes || len(session) > maxSession || (r.Status == Executing) != (r.Default != "") || r.Default != "" && !r.allows(r.Default) {
			t.Fatalf("%+v", r)
		}
		w := r.element(node, session)
		again, node2, session2, err := parseReply(w)
		if err != nil || node2 != node || session2 != session || again.Status != r.Status || again.Default != r.Default || len(again.Actions) != len(r.Actions) || !sameNotes(again.Notes, r.Notes) {
			t.Fatalf("%+v was written as %s, which reads as %+v, %v", r, stanza.Compact(w), again, err)
		}
	})
}

func sameNotes(a, b []Note) bool {
	for i := range b {
		if b[i].Severity == "" {
			b[i].Severity = Info
		}
	}
	return len(a) == len(b) && (len(a) == 0 || reflect.DeepEqual(a, b))
}
