// Package disco asks entities what they are, what they can do and what belongs to them, and answers such questions:
// Service Discovery, XEP-0030, with the forms of XEP-0128.
//
// An active [Disco] answers for the client: with the features of all active modules, as they are at that moment. At the beginning of a session
// it asks the own server and the own account, and keeps the answers. [Disco.Find] looks for services of the server: rooms, uploads, proxies.
//
//	d := disco.New(disco.Config{Name: "Balcony"})
//	err := d.Activate(stream)
//	server, err := d.ServerInfo(ctx)
//	rooms, err := d.Find(ctx, disco.Rooms)
package disco

import (
	"context"
	"fmt"
	"sync"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/form"
)

// The namespaces of XEP-0030.
const (
	NSInfo  = "http://jabber.org/protocol/disco#info"
	NSItems = "http://jabber.org/protocol/disco#items"
)

// Config tunes a [Disco]. The zero value answers as client/pc without a name.
type Config struct {
	// Name of the program, for people, in the identity that stands for an empty Identities. If zero, it has no name.
	Name string
	// Identities say what the client is. If zero, one of category client and type pc, with Name.
	Identities []Identity
	// Features are announced besides those of the modules. If zero, none.
	Features []string
	// Forms say more about the client, such as urn:xmpp:dataforms:softwareinfo (XEP-0232). Each has a FORM_TYPE of its own. If zero, there are none.
	Forms []*form.Form
	// Allow tells whether questions of an entity are answered; others are told service-unavailable, as if nobody were there. It is called on the
	// module's queue. If zero, everybody is answered.
	Allow func(from xmpp.JID) bool
	// NoAutoFetch leaves it to ServerInfo and AccountInfo to ask when they are called. If zero, the server and the account are asked at the beginning of a session.
	NoAutoFetch bool
	// FindLimit is the number of items of the server that Find asks; XEP-0030 section 6 wants it to be small. If zero, 20.
	FindLimit int
}

// Disco is the module. Make it with [New].
type Disco struct {
	xmpp.ModuleBase
	delegates xmpp.Delegates[Delegate]
	cfg       Config

	mu       sync.Mutex
	features []string // by AddFeature
	nodes    []*node
	session  *session // nil while the module is not active
}

// New makes a module that is not active yet.
func New(cfg Config) *Disco {
	if len(cfg.Identities) == 0 {
		cfg.Identities = []Identity{{Category: "client", Type: "pc", Name: cfg.Name}}
	}
	if cfg.FindLimit <= 0 {
		cfg.FindLimit = 20
	}
	return &Disco{cfg: cfg}
}

// Name is "disco".
func (d *Disco) Name() string { return "disco" }

// Features are the two namespaces of XEP-0030.
func (d *Disco) Features() []string { return []string{NSInfo, NSItems} }

// Activate attaches the module to a stream.
func (d *Disco) Activate(s *xmpp.Stream) error {
	err := d.Attach(s, d, func() error {
		queue := xmpp.NewQueue()
		for _, ns := range []string{NSInfo, NSItems} {
			remove, err := s.HandleIQ(stanza.Get, ns, "query", queue, d.answer)
			if err != nil {
				return err
			}
			d.OnDeactivate(func() { _ = remove(xmpp.NoWait) })
		}
		d.begin()
		d.OnDeactivate(d.end)
		return nil
	})
	if err == nil && s.IsAuthenticated() {
		d.fetch(s)
	}
	return err
}

// ReceiveSession forgets, with a new session, what the server of the last one has said, and asks anew.
func (d *Disco) ReceiveSession(_ context.Context, kind xmpp.SessionKind) {
	if s := d.Stream(); s != nil && kind == xmpp.SessionNew {
		d.begin()
		d.fetch(s)
	}
}

// Info asks an entity what it is and can do, or what one of its nodes is. The zero JID stands for the own account, an empty node for none.
// Another client is asked by its full address only; with modules/caps there is mostly no need to.
//
// Every call asks; see [Disco.ServerInfo] for what is kept. The error is that of [xmpp.Stream.SendIQ], of which a [*stanza.Error] is the entity's own;
// or [ErrMalformed] or [ErrTooBig].
func (d *Disco) Info(ctx context.Context, of xmpp.JID, node string) (*Info, error) {
	q, err := d.query(ctx, NSInfo, of, node)
	if err != nil {
		return nil, err
	}
	info, err := ParseInfo(q.Payload())
	if err != nil {
		return nil, fmt.Errorf("%w: %v", err, of)
	}
	return info, nil
}

// Items asks an entity, or one of its nodes, what belongs to it. See [Disco.Info] for the rest.
func (d *Disco) Items(ctx context.Context, of xmpp.JID, node string) ([]Item, error) {
	q, err := d.query(ctx, NSItems, of, node)
	if err != nil {
		return nil, err
	}
	items, err := ParseItems(q.Payload())
	if err != nil {
		return nil, fmt.Errorf("%w: %v", err, of)
	}
	return items, nil
}

// query returns the answer. The node in it must not be another one (XEP-0030 section 3.2); some entities leave it out.
func (d *Disco) query(ctx context.Context, ns string, of xmpp.JID, node string) (*stanza.IQ, error) {
	s, err := d.Active()
	if err != nil {
		return nil, err
	}
	q := stanza.New("query", ns)
	if node != "" {
		q.A("node", node)
	}
	iq, err := s.SendIQ(ctx, stanza.NewIQ(stanza.Get, of, q))
	if err != nil {
		return nil, err
	}
	if got, ok := stanza.Attr(iq.Payload(), "node"); ok && got != node {
		return nil, fmt.Errorf("%w: %v answers for another node", ErrMalformed, of)
	}
	return iq, nil
}
