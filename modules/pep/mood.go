package pep

import (
	"fmt"
	"strings"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/stanza"
)

// NSMood is the namespace of XEP-0107.
const NSMood = "http://jabber.org/protocol/mood"

// Mood is what somebody feels. The zero value is nothing in particular.
type Mood struct {
	// Name is one of the moods of XEP-0107 section 3, such as "happy" or "in_love"; empty for none. One that is not among them may be sent and may come.
	Name string
	// Text says it in their own words.
	Text string
}

// Moods is the node of moods.
func Moods() Node[Mood] {
	return node("mood", NSMood, func(b *stanza.Builder, m Mood) error {
		if m.Name != "" {
			if !isName(m.Name) || m.Name == "text" {
				return fmt.Errorf("pep: %.64q is not the name of a mood", m.Name)
			}
			b.C(m.Name).Up()
		}
		text(b, "text", m.Text)
		return nil
	}, func(e *etree.Element) Mood {
		m := Mood{Text: textIn(e, "text")}
		for c := range stanza.Children(e, stanza.Any, NSMood) {
			if c.Tag != "text" && isName(c.Tag) {
				m.Name = strings.Clone(c.Tag)
				break
			}
		}
		return m
	})
}
