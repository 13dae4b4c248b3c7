package disco

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/form"
)

// What is taken of one answer at most. It is one stanza, so it is bounded in bytes as well.
const (
	MaxIdentities = 200
	MaxFeatures   = 2000
	MaxForms      = 50
	MaxItems      = 50_000
)

// Errors are matched with [errors.Is].
var (
	// ErrMalformed is returned for an answer that is none: another element, or one about another node.
	ErrMalformed = errors.New("disco: not an answer to the question")
	// ErrTooBig is returned for an answer beyond [MaxIdentities], [MaxFeatures], [MaxForms] or [MaxItems], or with a form that is too big.
	ErrTooBig = errors.New("disco: the answer is too big")
)

// Identity says what an entity is: a category and a type of the registry, as "client" and "phone".
type Identity struct {
	Category, Type string
	Name           string // for people; may be empty
	Lang           string // of the name, if it says so itself
}

// Info is what an entity says about itself. It is a snapshot: nobody changes it, so it must not be changed.
type Info struct {
	Identities []Identity
	Features   []string     // as they came: see Has
	Forms      []*form.Form // more, in forms (XEP-0128); those that are no proper forms are left out
	Lang       string       // xml:lang around the identities: of those that have none of their own
	Foreign    bool         // there were other elements, which are left out
}

// Has reports whether the entity has a feature. Everybody who answers has [NSInfo]. It is false for nil.
func (i *Info) Has(feature string) bool {
	return i != nil && (feature == NSInfo || slices.Contains(i.Features, feature))
}

// Identity is the first identity of a category and a type; the empty one stands for every category or type. ok tells that there is one.
func (i *Info) Identity(category, typ string) (id Identity, ok bool) {
	if i == nil {
		return id, false
	}
	for _, id := range i.Identities {
		if (category == "" || category == id.Category) && (typ == "" || typ == id.Type) {
			return id, true
		}
	}
	return Identity{}, false
}

// Form is the form of that FORM_TYPE, nil if there is none.
func (i *Info) Form(formType string) *form.Form {
	if i == nil {
		return nil
	}
	for _, f := range i.Forms {
		if f.FormType() == formType {
			return f
		}
	}
	return nil
}

// Element makes the element {…disco#info}query, without a node, anew each time; nil for nil.
func (i *Info) Element() *etree.Element {
	if i == nil {
		return nil
	}
	q := stanza.New("query", NSInfo)
	if i.Lang != "" {
		q.A("xml:lang", i.Lang)
	}
	for _, id := range i.Identities {
		q.C("identity").A("category", id.Category).A("type", id.Type)
		if id.Name != "" {
			q.A("name", id.Name)
		}
		if id.Lang != "" {
			q.A("xml:lang", id.Lang)
		}
		q.Up()
	}
	for _, f := range i.Features {
		q.C("feature").A("var", f).Up()
	}
	for _, f := range i.Forms {
		q.Add(f)
	}
	return q.Element()
}

// ParseInfo reads the element {…disco#info}query, whatever its node. Nothing of the result belongs to e.
// The errors are [ErrMalformed] and [ErrTooBig]. Whether something is there twice is not looked at.
func ParseInfo(e *etree.Element) (*Info, error) {
	if !stanza.Is(e, "query", NSInfo) {
		return nil, ErrMalformed
	}
	i := &Info{Lang: inheritedLang(e)}
	for c := range stanza.Children(e, stanza.Any, stanza.Any) {
		switch {
		case stanza.Is(c, "identity", NSInfo):
			i.Identities = append(i.Identities, Identity{Category: attr(c, "category"), Type: attr(c, "type"), Name: attr(c, "name"), Lang: strings.Clone(stanza.Lang(c))})
		case stanza.Is(c, "feature", NSInfo):
			i.Features = append(i.Features, attr(c, "var"))
		case stanza.Is(c, "x", form.NS):
			f, err := form.Parse(c)
			switch {
			case errors.Is(err, form.ErrTooBig):
				return nil, fmt.Errorf("%w: %w", ErrTooBig, err)
			case err != nil:
				i.Foreign = true
			default:
				i.Forms = append(i.Forms, f)
			}
		default:
			i.Foreign = true
		}
		if len(i.Identities) > MaxIdentities || len(i.Features) > MaxFeatures || len(i.Forms) > MaxForms {
			return nil, ErrTooBig
		}
	}
	return i, nil
}

func inheritedLang(e *etree.Element) string {
	for ; e != nil; e = e.Parent() {
		if l := stanza.Lang(e); l != "" {
			return strings.Clone(l)
		}
	}
	return ""
}

func attr(e *etree.Element, name string) string { return strings.Clone(stanza.AttrOr(e, name, "")) }

// Item is something that belongs to an entity: a service of a server, a room of a service, a node.
type Item struct {
	JID  xmpp.JID
	Node string // may be empty
	Name string // for people; may be empty
}

// ParseItems reads the element {…disco#items}query, whatever its node. Nothing of the result belongs to e.
// An item without a valid address is left out. The errors are [ErrMalformed] and [ErrTooBig].
func ParseItems(e *etree.Element) ([]Item, error) {
	if !stanza.Is(e, "query", NSItems) {
		return nil, ErrMalformed
	}
	var out []Item
	for c := range stanza.Children(e, "item", NSItems) {
		j, err := xmpp.ParseJID(stanza.AttrOr(c, "jid", ""))
		if err != nil {
			continue
		}
		if len(out) == MaxItems {
			return nil, ErrTooBig
		}
		out = append(out, Item{JID: j.Clone(), Node: attr(c, "node"), Name: attr(c, "name")})
	}
	return out, nil
}

// itemsElement makes the answer to a question for items.
func itemsElement(list []Item) *etree.Element {
	q := stanza.New("query", NSItems)
	for _, it := range list {
		q.C("item").A("jid", it.JID.String())
		if it.Node != "" {
			q.A("node", it.Node)
		}
		if it.Name != "" {
			q.A("name", it.Name)
		}
		q.Up()
	}
	return q.Element()
}
