package caps

import (
	"slices"
	"strings"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/stanza"
)

const (
	nsHashes = "urn:xmpp:hashes:2" // XEP-0300
	// nodePrefix begins the nodes of XEP-0390 section 4.3.
	nodePrefix = NS2 + "#"

	maxText   = 1024 // bytes of a node, a ver or an ext; longer ones are ignored
	maxHashes = 10   // of XEP-0390 in one announcement; others are ignored
)

// Announcement is what an entity says about its capabilities in its presence, or a server in its stream features.
type Announcement struct {
	// Hashes are those that can be verified, those of XEP-0390 first, the strongest first. The entity is known by the first.
	Hashes []Hash
	// Node, Ver and Algo are the attributes node, ver and hash of XEP-0115, empty if there are none. Without Algo it is the form
	// from before there were hashes, with Ext: names of more nodes, with white space between.
	Node, Ver, Algo, Ext string
	// Unknown tells that there are hashes and none can be verified, because the hash function is not known.
	Unknown bool
}

func (a *Announcement) equal(b *Announcement) bool {
	return a.Node == b.Node && a.Ver == b.Ver && a.Algo == b.Algo && a.Ext == b.Ext && a.Unknown == b.Unknown && slices.Equal(a.Hashes, b.Hashes)
}

// parse reads what a presence, or stream features, announce. It returns nil if that is nothing.
func parse(el *etree.Element) *Announcement {
	c, c2 := stanza.Child(el, "c", NS), stanza.Child(el, "c", NS2)
	if c == nil && c2 == nil {
		return nil
	}
	a := new(Announcement)
	n := 0
	for h := range stanza.Children(c2, "hash", nsHashes) {
		if n++; n > maxHashes {
			break
		}
		a.Unknown = true
		if hash, ok := canonical(NS2, stanza.AttrOr(h, "algo", ""), stanza.Text(h)); ok && !slices.Contains(a.Hashes, hash) {
			a.Hashes = append(a.Hashes, hash)
		}
	}
	slices.SortStableFunc(a.Hashes, func(x, y Hash) int { return strength(NS2, x.Algo) - strength(NS2, y.Algo) })
	a.Node, a.Ver, a.Algo, a.Ext = text(c, "node"), text(c, "ver"), text(c, "hash"), text(c, "ext")
	if a.Node == "" || a.Ver == "" { // both are required (XEP-0115 section 4)
		a.Node, a.Ver, a.Algo, a.Ext = "", "", "", ""
	}
	if a.Algo != "" {
		a.Unknown, a.Ext = true, ""
		if h, ok := canonical(NS, a.Algo, a.Ver); ok {
			a.Hashes = append(a.Hashes, h)
		}
	}
	a.Unknown = a.Unknown && len(a.Hashes) == 0
	if len(a.Hashes) == 0 && !a.Unknown && a.Node == "" {
		return nil
	}
	return a
}

func text(e *etree.Element, name string) string {
	v := stanza.AttrOr(e, name, "")
	if len(v) > maxText {
		return ""
	}
	return strings.Clone(v)
}

// legacy reports whether it is of the form without a hash.
func (a *Announcement) legacy() bool { return len(a.Hashes) == 0 && !a.Unknown }

// nodes are the nodes to ask at, one after another until one is known there; "" is the entity itself.
func (a *Announcement) nodes() []string {
	var out []string
	if len(a.Hashes) > 0 && a.Hashes[0].NS == NS2 {
		out = append(out, nodePrefix+a.Hashes[0].Algo+"."+a.Hashes[0].Value)
	}
	if a.Algo != "" {
		out = append(out, a.Node+"#"+a.Ver)
	}
	if len(out) == 0 {
		return []string{""}
	}
	return out
}

// write puts the announcement into a presence, in place of what is there.
func (a *Announcement) write(p *stanza.Presence) {
	p.Remove("c", NS)
	p.Remove("c", NS2)
	if a.Algo != "" {
		p.C("c", NS).A("hash", a.Algo).A("node", a.Node).A("ver", a.Ver)
	}
	var c *stanza.Builder
	for _, h := range a.Hashes {
		if h.NS != NS2 {
			continue
		}
		if c == nil {
			c = p.C("c", NS2)
		}
		c.C("hash", nsHashes).A("algo", h.Algo).T(h.Value).Up()
	}
}
