package pep

import (
	"fmt"
	"strings"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/stanza"
)

// NSActivity is the namespace of XEP-0108.
const NSActivity = "http://jabber.org/protocol/activity"

// Activity is what somebody does. The zero value is nothing in particular.
type Activity struct {
	// General is one of the activities of XEP-0108 section 3, such as "relaxing"; empty for none.
	General string
	// Specific says more, such as "partying"; empty for nothing more. It is refused without General.
	Specific string
	// Text says it in their own words.
	Text string
}

// Activities is the node of activities.
func Activities() Node[Activity] {
	return node("activity", NSActivity, func(b *stanza.Builder, a Activity) error {
		if a.General != "" {
			if !isName(a.General) || a.General == "text" || a.Specific != "" && !isName(a.Specific) {
				return fmt.Errorf("pep: %.64q is not the name of an activity", a.General+" "+a.Specific)
			}
			b.C(a.General)
			if a.Specific != "" {
				b.C(a.Specific).Up()
			}
			b.Up()
		} else if a.Specific != "" {
			return fmt.Errorf("pep: the activity %.64q without a general one", a.Specific)
		}
		text(b, "text", a.Text)
		return nil
	}, func(e *etree.Element) Activity {
		a := Activity{Text: textIn(e, "text")}
		for c := range stanza.Children(e, stanza.Any, NSActivity) {
			if c.Tag == "text" || !isName(c.Tag) {
				continue
			}
			a.General = strings.Clone(c.Tag)
			for s := range stanza.Children(c, stanza.Any, NSActivity) {
				if isName(s.Tag) {
					a.Specific = strings.Clone(s.Tag)
					break
				}
			}
			break
		}
		return a
	})
}
