package bookmarks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/privatexml"
	"github.com/go-xmppframework/xmpp/modules/pubsub"
	"github.com/go-xmppframework/xmpp/stanza"
)

// Method is the form in which a list is kept.
type Method int

// The forms.
const (
	// MethodAuto is the best that the server announces: MethodNative where the server makes the older forms of it (XEP-0402 section 5), so that
	// clients of any age see the same list; else MethodPEP where it makes private storage of that (XEP-0411); else MethodBoth where accounts
	// have nodes of which it honours the options; else MethodPrivate.
	MethodAuto Method = iota
	// MethodNative is an item for each room (XEP-0402). Prosody and ejabberd 26 make it of what older clients write, who drop the extensions of what they change,
	// and have no place for web pages then.
	MethodNative
	// MethodPEP is one item with the whole list (XEP-0048, XEP-0223).
	MethodPEP
	// MethodPrivate is one element in private storage (XEP-0048, XEP-0049). Servers tell nobody of changes.
	MethodPrivate
	// MethodBoth is MethodNative and MethodPrivate side by side, where the server does not make one of the other: both are read, of the same room the native one
	// counts, and both are written. What another client removes from one of them alone stays on the list.
	MethodBoth
)

// String is auto, native, pep, private or both.
func (m Method) String() string {
	if names := [...]string{"auto", "native", "pep", "private", "both"}; m >= 0 && int(m) < len(names) {
		return names[m]
	}
	return "unknown"
}

func (m Method) native() bool { return m == MethodNative || m == MethodBoth }

var (
	// ErrNoURLs is returned by SetURL and RemoveURL where the list has the form of XEP-0402, which knows rooms only.
	ErrNoURLs = errors.New("bookmarks: no place for web pages in this form of the list")
	// ErrFull is returned when the server keeps no more bookmarks: those that did not fit are not there, and those that were there before still are.
	ErrFull = errors.New("bookmarks: the server keeps no more of them")
	// ErrAnswer is returned when what the server has stored is no list. It is not written over.
	ErrAnswer = errors.New("bookmarks: what is stored is no list of bookmarks")

	errNotAsked = fmt.Errorf("%w: bookmarks: the list was not asked for", xmpp.ErrInvalidState)
	errOver     = fmt.Errorf("%w: bookmarks: the session is over, or the module was deactivated", xmpp.ErrInvalidState)
)

// Method is the form of the list in this session: that of Config, or the one that the server can do best, for which it is asked once a session.
// The error is that of [xmpp.Stream.SendIQ]; a refusal is none: it means that nothing better is known than MethodPrivate.
func (b *Bookmarks) Method(ctx context.Context) (Method, error) {
	s, err := b.Active()
	if err != nil {
		return MethodAuto, err
	}
	b.mu.Lock()
	method, session := b.method, b.ctx
	b.mu.Unlock()
	if method != MethodAuto {
		return method, nil
	}
	p, err := pubsub.Of(s)
	if err != nil {
		return MethodAuto, err
	}
	features, err := p.ServiceFeatures(ctx, xmpp.JID{})
	if refusal := (*stanza.Error)(nil); err != nil && !errors.As(err, &refusal) {
		return MethodAuto, err
	}
	has := func(f string) bool { return slices.Contains(features, f) }
	switch pep := has(pubsub.NS+"#publish") && has(pubsub.NS+"#publish-options"); {
	case pep && (has(FeatureCompat) || has(FeatureCompatPEP)):
		method = MethodNative
	case pep && has(FeatureConversion):
		method = MethodPEP
	case pep:
		method = MethodBoth
	default:
		method = MethodPrivate
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ctx == session && session != nil {
		b.method = method
	}
	return method, nil
}

// making keeps two calls from making two modules.
var making sync.Mutex

// private returns the module for private storage.
func private(s *xmpp.Stream) (*privatexml.PrivateXML, error) {
	making.Lock()
	defer making.Unlock()
	if p, ok := xmpp.ModuleOf[*privatexml.PrivateXML](s); ok {
		return p, nil
	}
	p := privatexml.New(privatexml.Config{})
	return p, p.Activate(s)
}

// guard looks, once a session, whether others may publish at the node, which a client may have allowed: their word is no bookmark. They may not any more then.
func (b *Bookmarks) guard(ctx context.Context, s *xmpp.Stream, method Method) error {
	b.mu.Lock()
	session, guarded := b.ctx, b.guarded
	b.mu.Unlock()
	node := NS
	switch {
	case guarded, method == MethodPrivate:
		return nil
	case method == MethodPEP:
		node = NSOld
	}
	p, err := pubsub.Of(s)
	if err != nil {
		return err
	}
	o, err := p.Configuration(ctx, xmpp.JID{}, node)
	if model := o.Get(pubsub.PublishModel); err == nil && model != "" && model != "publishers" {
		s.Logger().Warn("bookmarks: others could write to the list; what they have written is not known", "node", node, "publish_model", model)
		if err := p.Configure(ctx, xmpp.JID{}, node, pubsub.NewOptions(pubsub.PublishModel, "publishers")); err != nil {
			return err
		}
	}
	if refusal := (*stanza.Error)(nil); err != nil && !errors.As(err, &refusal) && !errors.Is(err, pubsub.ErrAnswer) {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.guarded = b.guarded || b.ctx == session && session != nil
	return nil
}

// item is one of XEP-0402 as it is stored.
type item struct {
	id string
	el *etree.Element
}

// readItems reads the items of XEP-0402, all of them or those with an id. What is none is left out.
func readItems(ctx context.Context, s *xmpp.Stream, ids ...string) (map[xmpp.JID]item, error) {
	p, err := pubsub.Of(s)
	if err != nil {
		return nil, err
	}
	list, err := p.Items(ctx, xmpp.JID{}, NS, &pubsub.ItemsOptions{IDs: ids})
	if errors.Is(err, stanza.ItemNotFound) {
		list, err = nil, nil
	}
	out := make(map[xmpp.JID]item, len(list))
	for _, i := range list {
		if bookmark, ok := parseNative(i.ID, i.Payload); ok && len(out) < maxBookmarks {
			out[bookmark.JID] = item{i.ID, i.Payload}
		}
	}
	return out, err
}

// readStorage reads the list of XEP-0048, nil if there is none.
func readStorage(ctx context.Context, s *xmpp.Stream, method Method) (*etree.Element, error) {
	if method != MethodPEP {
		p, err := private(s)
		if err != nil {
			return nil, err
		}
		return p.Get(ctx, "storage", NSOld)
	}
	p, err := pubsub.Of(s)
	if err != nil {
		return nil, err
	}
	list, err := p.Items(ctx, xmpp.JID{}, NSOld, nil)
	switch {
	case errors.Is(err, stanza.ItemNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return storageIn(list)
}

// storageIn is the list in items of a node, of which there should be one; nil if there is none. Where there are more, that of the usual id counts, else the last.
func storageIn(list []pubsub.Item) (e *etree.Element, err error) {
	for _, i := range list {
		if i.Payload == nil {
			continue
		}
		e = i.Payload
		if i.ID == currentID {
			break
		}
	}
	if e != nil && !stanza.Is(e, "storage", NSOld) {
		return nil, ErrAnswer
	}
	return e, nil
}

// currentID is the id of the one item (XEP-0048 section 4, XEP-0060 section 12.21).
const currentID = "current"

// writeStorage writes the list of XEP-0048.
func writeStorage(ctx context.Context, s *xmpp.Stream, method Method, e *etree.Element) error {
	if method != MethodPEP {
		p, err := private(s)
		if err != nil {
			return err
		}
		return p.Set(ctx, stanza.Raw(e))
	}
	p, err := pubsub.Of(s)
	if err != nil {
		return err
	}
	_, err = p.Publish(ctx, xmpp.JID{}, NSOld, pubsub.Item{ID: currentID, Payload: e}, pubsub.PrivateOptions())
	return err
}
