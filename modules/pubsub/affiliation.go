package pubsub

import (
	"context"
	"strings"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// Affiliation is what somebody may do at a node (XEP-0060 section 4.1).
type Affiliation string

// The affiliations.
const (
	Owner         Affiliation = "owner"        // everything
	Publisher     Affiliation = "publisher"    // publish and read
	PublishOnly   Affiliation = "publish-only" // publish and not read
	Member        Affiliation = "member"       // read, where the access model is a whitelist
	NoAffiliation Affiliation = "none"         // what the node lets everybody do
	Outcast       Affiliation = "outcast"      // nothing
)

// Affiliate is somebody with an affiliation at a node.
type Affiliate struct {
	// Node is where.
	Node string
	// JID is who, a bare address. If zero, as in some answers about oneself, the own account.
	JID xmpp.JID
	// Affiliation is what they may do.
	Affiliation Affiliation
}

// Affiliations returns what the own account may do at the nodes of a service (XEP-0060 section 5.7): at one, or with the empty name at all of them.
func (p *PubSub) Affiliations(ctx context.Context, service xmpp.JID, node string) ([]Affiliate, error) {
	return p.affiliations(ctx, service, NS, node)
}

// NodeAffiliations returns who has an affiliation with a node (XEP-0060 section 8.9.1). It is for its owners.
func (p *PubSub) NodeAffiliations(ctx context.Context, service xmpp.JID, node string) ([]Affiliate, error) {
	return p.affiliations(ctx, service, NSOwner, node)
}

func (p *PubSub) affiliations(ctx context.Context, service xmpp.JID, ns, node string) ([]Affiliate, error) {
	b := stanza.New("pubsub", ns).C("affiliations")
	if node != "" {
		b.A("node", node)
	}
	iq, err := p.request(ctx, stanza.Get, service, b)
	if err != nil {
		return nil, err
	}
	list := stanza.Child(iq.Child("pubsub", ns), "affiliations", ns)
	if list == nil || stanza.AttrOr(list, "node", node) != node {
		return nil, ErrAnswer
	}
	var out []Affiliate
	for e := range stanza.Children(list, "affiliation", ns) {
		a := Affiliate{
			Node:        strings.Clone(stanza.AttrOr(e, "node", node)),
			Affiliation: Affiliation(strings.Clone(stanza.AttrOr(e, "affiliation", ""))),
		}
		if v, ok := stanza.Attr(e, "jid"); ok || ns == NSOwner {
			j, err := xmpp.ParseJID(v)
			if err != nil {
				continue
			}
			a.JID = j.Clone()
		}
		if node == "" || a.Node == node {
			out = append(out, a)
		}
	}
	return out, nil
}

// SetNodeAffiliations changes who may do what at a node (XEP-0060 section 8.9.2): those named get their Affiliation, the others keep theirs.
// [NoAffiliation] takes one away. It is for owners of the node.
func (p *PubSub) SetNodeAffiliations(ctx context.Context, service xmpp.JID, node string, list ...Affiliate) error {
	b := stanza.New("pubsub", NSOwner).C("affiliations").A("node", node)
	for _, a := range list {
		b.C("affiliation").A("jid", a.JID.String()).A("affiliation", string(a.Affiliation)).Up()
	}
	_, err := p.request(ctx, stanza.Set, service, b)
	return err
}
