// Package privatexml keeps small elements of the application's own on the server: Private XML Storage, XEP-0049.
//
// What is stored belongs to the account: all its clients read and write it, and nobody else does.
// An element is found by its name and namespace, and is replaced as a whole; the last who writes wins, and nobody is told.
// ejabberd looks at the namespace only: give each element one of its own. Nothing is kept on this side.
//
//	p := privatexml.New(privatexml.Config{})
//	err := p.Activate(stream)
//	err = p.Set(ctx, stanza.New("prefs", "https://example.com/prefs").C("theme").T("dark"))
//	prefs, err := p.Get(ctx, "prefs", "https://example.com/prefs")
package privatexml

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// NS is the namespace of XEP-0049.
const NS = "jabber:iq:private"

// ErrAnswer is returned by [PrivateXML.Get] when the server has answered with something else than what was asked for:
// ejabberd does if another element of the same namespace was stored later.
var ErrAnswer = errors.New("privatexml: the answer is about something else")

// Config tunes a [PrivateXML]. There is nothing to tune yet.
type Config struct{}

// PrivateXML is the module. Make it with [New].
// It receives nothing: who else asks for, or sends, private data is answered service-unavailable by the stream.
type PrivateXML struct{ xmpp.ModuleBase }

// New makes a module that is not active yet.
func New(Config) *PrivateXML { return &PrivateXML{} }

// Name is "privatexml".
func (p *PrivateXML) Name() string { return "privatexml" }

// Activate attaches the module to a stream.
func (p *PrivateXML) Activate(s *xmpp.Stream) error { return p.Attach(s, p, nil) }

// Get reads the element of that name and namespace. It is the caller's own. An element with nothing in it, for which [IsEmpty] is true,
// is what servers return where nothing is stored.
//
// The error is that of [xmpp.Stream.SendIQ], together with [xmpp.ErrUnsupported] if the server stores nothing; [ErrAnswer];
// [xmpp.ErrInvalidParameter] for a namespace that cannot be stored: see [PrivateXML.Set].
func (p *PrivateXML) Get(ctx context.Context, name, ns string) (*etree.Element, error) {
	ask := stanza.New(name, ns)
	if err := check(ask.Element()); err != nil {
		return nil, err
	}
	answer, err := p.send(ctx, stanza.Get, ask)
	if errors.Is(err, stanza.ItemNotFound) {
		return ask.Element(), nil
	}
	if err != nil {
		return nil, err
	}
	query := answer.Child("query", NS)
	if query == nil {
		return nil, fmt.Errorf("%w: no query", ErrAnswer)
	}
	for e := range stanza.Children(query, stanza.Any, stanza.Any) {
		if !stanza.Is(e, ask.Element().Tag, ns) {
			return nil, fmt.Errorf("%w: not the element", ErrAnswer)
		}
		return stanza.Detach(e), nil
	}
	return ask.Element(), nil
}

// Set stores a copy of an element in place of the one of the same name and namespace. It must be in a namespace of its own:
// [xmpp.ErrInvalidParameter] if it is in none, in that of stanzas, or in that of XEP-0049. Some servers refuse the namespaces of XMPP itself, too,
// which begin with "jabber:" or "http://jabber.org/" (section 2.3), and Prosody keeps attributes and text only of an element that has child elements.
//
// Otherwise the error is that of [xmpp.Stream.SendIQ], together with [xmpp.ErrUnsupported] if the server stores nothing.
// If nil, the server has it.
func (p *PrivateXML) Set(ctx context.Context, element stanza.Elementer) error {
	var e *etree.Element
	if element != nil {
		e = element.Element()
	}
	if err := check(e); err != nil {
		return err
	}
	_, err := p.send(ctx, stanza.Set, element)
	return err
}

// Remove stores an element with nothing in it, which is how something is taken back. Errors are those of [PrivateXML.Set].
func (p *PrivateXML) Remove(ctx context.Context, name, ns string) error {
	return p.Set(ctx, stanza.New(name, ns))
}

// IsEmpty reports whether an element holds nothing but declarations of namespaces and white space, or is nil.
func IsEmpty(e *etree.Element) bool {
	if len(stanza.Attrs(e)) > 0 || strings.Trim(stanza.Text(e), " \t\r\n") != "" {
		return false
	}
	for range stanza.Children(e, stanza.Any, stanza.Any) {
		return false
	}
	return true
}

func (p *PrivateXML) send(ctx context.Context, typ stanza.IQType, e stanza.Elementer) (*stanza.IQ, error) {
	s, err := p.Active()
	if err != nil {
		return nil, err
	}
	answer, err := s.SendIQ(ctx, stanza.NewIQ(typ, xmpp.JID{}, stanza.New("query", NS).Add(e)))
	if errors.Is(err, stanza.ServiceUnavailable) || errors.Is(err, stanza.FeatureNotImplemented) {
		err = fmt.Errorf("privatexml: %w: %w", xmpp.ErrUnsupported, err)
	}
	return answer, err
}

// check looks whether an element has a namespace of its own, section 2.1: without one it would take the query's.
func check(e *etree.Element) error {
	switch ns := stanza.Namespace(e); {
	case e == nil:
		return fmt.Errorf("%w: privatexml: no element", xmpp.ErrInvalidParameter)
	case ns == "", ns == NS, ns == stanza.NSClient:
		return fmt.Errorf("%w: privatexml: an element must have a namespace of its own", xmpp.ErrInvalidParameter)
	}
	return nil
}
