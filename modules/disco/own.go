package disco

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/form"
)

// IdentityProvider is a module that makes the client something more, such as automation/rpc. No import is needed to be one.
type IdentityProvider interface {
	// DiscoIdentity is the category, the type and the name of one more identity, while the module is active. An empty category is none.
	DiscoIdentity() (category, typ, name string)
}

// FormProvider is a module that has forms to announce (XEP-0128). No import is needed to be one.
type FormProvider interface {
	// Forms are announced while the module is active. They are read-only from then on.
	Forms() []*form.Form
}

// Own is what the client says about itself at this moment: Config, what AddFeature has added, and what the active modules provide as
// [xmpp.FeatureProvider], [IdentityProvider] and [FormProvider]. Features are sorted; nothing is there twice. While the module is not active
// there are no modules.
func (d *Disco) Own() *Info {
	i := &Info{Identities: slices.Clone(d.cfg.Identities), Features: slices.Clone(d.cfg.Features), Forms: slices.Clone(d.cfg.Forms)}
	d.mu.Lock()
	i.Features = append(i.Features, d.features...)
	d.mu.Unlock()
	i.Features = append(i.Features, NSInfo, NSItems)
	if s := d.Stream(); s != nil {
		for m := range s.Modules() {
			if p, ok := m.(xmpp.FeatureProvider); ok {
				i.Features = append(i.Features, p.Features()...)
			}
			if p, ok := m.(IdentityProvider); ok {
				if category, typ, name := p.DiscoIdentity(); category != "" {
					i.Identities = append(i.Identities, Identity{Category: category, Type: typ, Name: name})
				}
			}
			if p, ok := m.(FormProvider); ok {
				i.Forms = append(i.Forms, p.Forms()...)
			}
		}
	}
	slices.Sort(i.Features)
	i.Features = slices.DeleteFunc(slices.Compact(i.Features), func(f string) bool { return f == "" })
	i.Identities = unique(i.Identities, func(id Identity) Identity { id.Name = ""; return id }) // section 3.1
	i.Forms = unique(slices.DeleteFunc(i.Forms, func(f *form.Form) bool { return f == nil }), (*form.Form).FormType)
	return i
}

// unique keeps the first of those that have the same key.
func unique[T any, K comparable](list []T, key func(T) K) []T {
	seen := make(map[K]bool, len(list))
	return slices.DeleteFunc(list, func(v T) bool {
		was := seen[key(v)]
		seen[key(v)] = true
		return was
	})
}

// AddFeature announces a feature of the application until remove is called. Features are counted: what was added twice is announced until both are removed.
func (d *Disco) AddFeature(feature string) (remove func()) {
	d.mu.Lock()
	d.features = append(d.features, feature)
	d.mu.Unlock()
	d.FeaturesDidChange()
	return sync.OnceFunc(func() {
		d.mu.Lock()
		i := slices.Index(d.features, feature)
		d.features = slices.Delete(d.features, i, i+1)
		d.mu.Unlock()
		d.FeaturesDidChange()
	})
}

// FeaturesDidChange is for modules: whoever returns other features than before calls it, so that what was announced of them is announced anew.
// Modules find it without an import, by xmpp.ModuleOf[interface{ FeaturesDidChange() }]. That modules come and go is noticed without it.
func (d *Disco) FeaturesDidChange() {
	if s := d.Stream(); s != nil {
		d.delegates.Notify(s, func(ctx context.Context, del Delegate) {
			if del.Features != nil {
				del.Features.DiscoFeaturesDidChange(ctx, d)
			}
		})
	}
}

// node is a node, or all those that begin so.
type node struct {
	name   string
	prefix bool
	handle xmpp.IQHandler
}

// AddNode makes h the one that answers questions for a node of the client, info and items: it is given the request, of which the payload
// is {[NSInfo] or [NSItems]}query, and answers as every [xmpp.IQHandler]. [Node] makes one of functions.
// It runs on the module's queue: what takes long keeps other questions waiting.
//
// Modules find it without an import, by xmpp.ModuleOf[interface{ AddNode(string, xmpp.IQHandler) (func(), error) }].
// Nodes may be added before Activate, and stay over Deactivate. The errors are [xmpp.ErrHandlerExists] and, for the empty node,
// [xmpp.ErrInvalidParameter].
func (d *Disco) AddNode(name string, h xmpp.IQHandler) (remove func(), err error) {
	return d.addNode(&node{name: name, handle: h})
}

// AddNodePrefix is [Disco.AddNode] for all nodes that begin with prefix. A node that was added itself goes before; of several prefixes the longest counts.
func (d *Disco) AddNodePrefix(prefix string, h xmpp.IQHandler) (remove func(), err error) {
	return d.addNode(&node{name: prefix, prefix: true, handle: h})
}

func (d *Disco) addNode(n *node) (remove func(), err error) {
	if n.name == "" || n.handle == nil {
		return nil, fmt.Errorf("%w: a node needs a name and a handler", xmpp.ErrInvalidParameter)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if slices.ContainsFunc(d.nodes, func(o *node) bool { return o.name == n.name && o.prefix == n.prefix }) {
		return nil, fmt.Errorf("%w: the node %.200q", xmpp.ErrHandlerExists, n.name)
	}
	d.nodes = append(d.nodes, n)
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.nodes = slices.DeleteFunc(d.nodes, func(o *node) bool { return o == n })
	}, nil
}

// find returns who answers for a node, nil if nobody does.
func (d *Disco) find(name string) *node {
	d.mu.Lock()
	defer d.mu.Unlock()
	var best *node
	for _, n := range d.nodes {
		switch {
		case !n.prefix && n.name == name:
			return n
		case n.prefix && strings.HasPrefix(name, n.name) && (best == nil || len(n.name) > len(best.name)):
			best = n
		}
	}
	return best
}

// answer answers a question for info or items.
func (d *Disco) answer(ctx context.Context, s *xmpp.Stream, iq *stanza.IQ) {
	name := stanza.AttrOr(iq.Payload(), "node", "")
	switch n := d.find(name); {
	case d.cfg.Allow != nil && !d.cfg.Allow(iq.From()):
		_ = s.Send(ctx, iq.Error(stanza.ServiceUnavailable))
	case name == "":
		Node{Info: func(context.Context, xmpp.JID, string) (*Info, error) { return d.Own(), nil }}.Handle(ctx, s, iq)
	case n == nil:
		_ = s.Send(ctx, iq.Error(stanza.ItemNotFound)) // section 3.2
	default:
		n.handle(ctx, s, iq)
	}
}

// Node answers questions for a node. Its method Handle is what [Disco.AddNode] wants.
//
// An error of a function is the answer: a [stanza.Condition] or a [*stanza.Error] as it is, another one as internal-server-error.
type Node struct {
	// Info is what the node is. from is who asks. If nil, the answer is item-not-found.
	Info func(ctx context.Context, from xmpp.JID, node string) (*Info, error)
	// Items are what belongs to it. If nil, nothing does.
	Items func(ctx context.Context, from xmpp.JID, node string) ([]Item, error)
}

// Handle is an [xmpp.IQHandler].
func (n Node) Handle(ctx context.Context, s *xmpp.Stream, iq *stanza.IQ) {
	name := stanza.AttrOr(iq.Payload(), "node", "")
	var q *etree.Element
	var err error
	switch {
	case stanza.Is(iq.Payload(), "query", NSItems):
		var items []Item
		if n.Items != nil {
			items, err = n.Items(ctx, iq.From(), name)
		}
		q = itemsElement(items)
	case n.Info == nil:
		err = stanza.ItemNotFound
	default:
		var info *Info
		if info, err = n.Info(ctx, iq.From(), name); info == nil {
			err = cmp.Or(err, error(stanza.ItemNotFound))
		}
		q = info.Element()
	}
	if err != nil {
		_ = s.Send(ctx, errorAnswer(iq, err))
		return
	}
	if name != "" {
		stanza.SetAttr(q, "node", name)
	}
	_ = s.Send(ctx, iq.Result(stanza.Raw(q)))
}

func errorAnswer(iq *stanza.IQ, err error) *stanza.IQ {
	var se *stanza.Error
	var cond stanza.Condition
	switch {
	case errors.As(err, &se):
		return iq.ErrorReply(se)
	case errors.As(err, &cond):
		return iq.Error(cond)
	}
	return iq.Error(stanza.InternalServerError)
}
