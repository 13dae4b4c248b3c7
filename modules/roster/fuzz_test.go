package roster_test

import (
	"strings"
	"testing"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/roster"
	"github.com/go-xmppframework/xmpp/stanza"
)

// FuzzRoster gives the module stanzas, one a line; a line that is a query is the whole roster. Whatever comes, everything fits together,
// and what a stranger says changes no contact.
func FuzzRoster(f *testing.F) {
	const ns = "xmlns='jabber:client' "
	q := "<query xmlns='jabber:iq:roster'>" + oneLine(montague) + "</query>"
	for _, seed := range []string{
		q,
		"<presence " + ns + "from='romeo@example.net/a'/>\n" + q + "\n<presence " + ns + "from='romeo@example.net/a' type='unavailable'><status>x</status></presence>",
		q + "\n<iq " + ns + "id='1' type='set'><query xmlns='jabber:iq:roster' ver='2'><item jid='romeo@example.net' subscription='remove'/></query></iq>\n<presence " + ns + "from='romeo@example.net' type='unavailable'/>",
		"<presence " + ns + "from='romeo@example.net/a'/>\n<iq " + ns + "id='1' type='set'><query xmlns='jabber:iq:roster'><item jid='romeo@example.net'/></query></iq>\n<presence " + ns + "from='romeo@example.net/b'/>",
		"<presence " + ns + "from='nurse@example.com' type='subscribe'/>\n" + q + "\n<presence " + ns + "from='nurse@example.com' type='unsubscribe'/>",
		q + "\n<query xmlns='jabber:iq:roster'><item jid='romeo@example.net' subscription='bogus'/><item jid='romeo@example.net'><group>A</group><group>A</group></item></query>\n" + q,
	} {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	f.Fuzz(func(t *testing.T, text string, rosterless bool) {
		s, err := xmpp.New(xmpp.Config{JID: xmpp.MustParseJID("juliet@example.test")})
		must(t, err)
		r := roster.New(roster.Config{Rosterless: rosterless, AutoAccept: roster.AcceptNobody})
		must(t, r.Activate(s))
		defer r.Deactivate()
		for line := range strings.Lines(text) {
			if el, err := stanza.ParseElement(line); err != nil {
				continue
			} else if stanza.Is(el, "query", roster.NS) {
				r.Populate(s, el)
			} else if st, err := stanza.From(el); err == nil && st.AddrErr() == nil {
				before := list(r)
				stranger := !st.From().IsZero() && st.From().Bare() != s.MyJID()
				_, known := r.Contact(st.From())
				r.Receive(t.Context(), st)
				if after := list(r); stranger && !known && !rosterless && after != before {
					t.Errorf("%s: %s, before %s", line, after, before)
				}
			}
			must(t, r.Check())
		}
	})
}
