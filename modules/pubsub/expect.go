package pubsub

import (
	"slices"
	"strings"

	"github.com/go-xmppframework/xmpp"
)

// MaxSources is how many services are remembered as asked for, see [PubSub.Expected]; more than that are forgotten, the oldest first.
const MaxSources = 1000

// noteSource remembers a service that the application deals with.
func (p *PubSub) noteSource(service xmpp.JID) {
	if service.IsZero() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if slices.Contains(p.sources, service) {
		return
	}
	if len(p.sources) >= MaxSources {
		p.sources = slices.Delete(p.sources, 0, len(p.sources)-MaxSources+1)
	}
	p.sources = append(p.sources, service.Clone())
}

// Expected reports whether events of a service are no surprise (XEP-0163 section 4.3.1, XEP-0060 section 7.1.2). Those are
//
//   - the own account, its server, and services at names below that of the server;
//   - contacts: accounts in the roster with a subscription in either direction. As long as modules/roster is not active or has no roster, every account;
//   - services and accounts to which [PubSub.Subscribe], [PubSub.Subscriptions], [PubSub.NodeSubscriptions], [PubSub.CreateNode] or [PubSub.AskPending] was sent
//     by this PubSub, in an earlier session too.
//
// Anybody's server can send events that nobody has asked for; they say nothing false about others, since an event is about its sender's nodes, but they may be a nuisance.
// An application that starts with old subscriptions at a foreign service asks for [PubSub.Subscriptions], or has a [Config.Accept] of its own.
func (p *PubSub) Expected(service xmpp.JID) bool {
	s := p.Stream()
	if s == nil {
		return false
	}
	own := s.MyJID()
	if service.Local() == "" {
		if service.Domain() == own.Domain() || strings.HasSuffix(service.Domain(), "."+own.Domain()) {
			return true
		}
	} else if f, ok := xmpp.ModuleOf[xmpp.ContactFinder](s); !ok {
		return true
	} else if yes, known := f.IsContact(service); yes || !known || service.Bare() == own.Bare() {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Contains(p.sources, service)
}

// Only makes a [Config.Accept] that takes the events of those publishers about those nodes. No publishers means all of [PubSub.Expected], no nodes all nodes:
//
//	pubsub.Config{Accept: pubsub.Only([]xmpp.JID{news}, nil)}
func Only(publishers []xmpp.JID, nodes []string) func(p *PubSub, service xmpp.JID, node string) bool {
	publishers, nodes = slices.Clone(publishers), slices.Clone(nodes)
	return func(p *PubSub, service xmpp.JID, node string) bool {
		if len(nodes) > 0 && !slices.Contains(nodes, node) {
			return false
		}
		if len(publishers) == 0 {
			return p.Expected(service)
		}
		return slices.Contains(publishers, service)
	}
}
