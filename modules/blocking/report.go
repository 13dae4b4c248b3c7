package blocking

import (
	"context"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/sid"
)

// Reason is why somebody is reported: a URI of the registry of XEP-0377.
type Reason string

// The reasons that XEP-0377 defines.
const (
	ReasonSpam  Reason = "urn:xmpp:reporting:spam"  // unwanted messages
	ReasonAbuse Reason = "urn:xmpp:reporting:abuse" // any other abuse
)

// Report says to the operator of the own server why somebody is blocked, XEP-0377.
type Report struct {
	// JID is who is blocked and reported.
	JID xmpp.JID
	// Reason is why. If zero, ReasonAbuse.
	Reason Reason
	// Text is for people to read. If zero, there is none.
	Text string
	// Lang is the language of the text, such as "en". If zero, it is not said.
	Lang string
	// Stanzas are the messages that are reported, by the ids that an archive has given them. If zero, none.
	Stanzas []StanzaID
	// ToOrigin allows the server to pass the report on to the server that the messages came from. If zero, it must not.
	ToOrigin bool
	// ToThirdParties allows the server to pass the report on to others, such as services that collect block lists. If zero, it must not.
	ToThirdParties bool
}

// StanzaID is a stable id of a stanza, XEP-0359: see [sid.StanzaID].
type StanzaID struct {
	By xmpp.JID // who has given it: the own account, or a room
	ID string
}

// BlockAndReport is [Blocking.Block] with a report about each of those who are blocked.
// A server that does not know reports, which it tells by the feature [NSReporting] in service discovery, blocks all the same.
// Nobody is told whether anybody reads them.
func (b *Blocking) BlockAndReport(ctx context.Context, reports ...Report) error {
	el, jids := stanza.New("block", NS), make([]xmpp.JID, 0, len(reports))
	for _, r := range reports {
		el.C("item").A("jid", r.JID.String()).Add(r.element()).Up()
		jids = append(jids, r.JID)
	}
	return b.block(ctx, el, jids)
}

func (r Report) element() *stanza.Builder {
	if r.Reason == "" {
		r.Reason = ReasonAbuse
	}
	el := stanza.New("report", NSReporting).A("reason", string(r.Reason))
	for _, s := range r.Stanzas {
		el.C("stanza-id", sid.NS).A("by", s.By.String()).A("id", s.ID).Up()
	}
	if r.Text != "" {
		el.C("text").T(r.Text)
		if r.Lang != "" {
			el.A("xml:lang", r.Lang)
		}
		el.Up()
	}
	if r.ToOrigin {
		el.C("report-origin").Up()
	}
	if r.ToThirdParties {
		el.C("third-party").Up()
	}
	return el
}
