package muclight

import (
	"context"
	"errors"
	"fmt"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/disco"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/rsm"
)

// maxServices is how many items of the own server are asked what they are.
const maxServices = 20

// Item is a room as its service names it.
type Item struct {
	JID     xmpp.JID
	Name    string // for people; may be empty
	Version string // may be empty
}

// Services asks the own server for its services, and those what they are; it returns the addresses of those that have rooms of this kind (sections 3.1, 3.2),
// which are known from then on. At most 20 are asked. The error is that of the first question, or of [xmpp.Stream.SendIQ] if it is the stream's.
func (m *MUCLight) Services(ctx context.Context) ([]xmpp.JID, error) {
	s, err := m.Active()
	if err != nil {
		return nil, err
	}
	iq, err := s.SendIQ(ctx, stanza.NewIQ(stanza.Get, s.MyJID().DomainJID(), stanza.New("query", disco.NSItems)))
	if err != nil {
		return nil, err
	}
	items, err := disco.ParseItems(iq.Payload())
	if err != nil {
		return nil, err
	}
	var out []xmpp.JID
	for _, it := range items[:min(len(items), maxServices)] {
		if it.Node != "" || !it.JID.IsServer() || !it.JID.IsBare() {
			continue
		}
		iq, err := s.SendIQ(ctx, stanza.NewIQ(stanza.Get, it.JID, stanza.New("query", disco.NSInfo)))
		if se := (*stanza.Error)(nil); errors.As(err, &se) {
			continue
		} else if err != nil {
			return out, err
		}
		if info, err := disco.ParseInfo(iq.Payload()); err == nil && info.Has(NS) {
			m.know(it.JID)
			out = append(out, it.JID)
		}
	}
	return out, nil
}

func (m *MUCLight) know(service xmpp.JID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.serviceLocked(service)
}

// DiscoverRooms asks a service, which must be one of this kind, for the rooms that one is in (section 3.3), page by page if there are many. They, and the service, are known from then on;
// of a room that was known before and is not among them, one is told to be in it no more.
// The error is that of [xmpp.Stream.SendIQ], a [*stanza.Error] if the service says no; [disco.ErrMalformed] or [disco.ErrTooBig]; or that of [rsm.Pages].
func (m *MUCLight) DiscoverRooms(ctx context.Context, service xmpp.JID) ([]Item, error) {
	s, err := m.Active()
	if err != nil {
		return nil, err
	}
	service = service.DomainJID()
	before := map[*Room]int{}
	for _, r := range m.all() {
		if r.Service() == service {
			r.mu.Lock()
			before[r] = r.told
			r.mu.Unlock()
		}
	}
	var out []Item
	for page, err := range rsm.Pages(ctx, rsm.Request{}, rsm.Limits{Items: disco.MaxItems}, func(ctx context.Context, r rsm.Request) (rsm.Page[Item], error) {
		return itemsOf(ctx, s, service, r)
	}) {
		if err != nil {
			return nil, err
		}
		out = append(out, page.Items...)
	}
	m.discovered(s, service, out, before)
	return out, nil
}

// itemsOf fetches one page. The first is asked for without a word of pages: a service that needs them makes them.
func itemsOf(ctx context.Context, s *xmpp.Stream, service xmpp.JID, r rsm.Request) (p rsm.Page[Item], err error) {
	q := stanza.New("query", disco.NSItems)
	if r != (rsm.Request{}) {
		q.Add(r)
	}
	iq, err := s.SendIQ(ctx, stanza.NewIQ(stanza.Get, service, q))
	if err != nil {
		return p, err
	}
	e := iq.Payload()
	if !stanza.Is(e, "query", disco.NSItems) {
		return p, fmt.Errorf("%w: %v", disco.ErrMalformed, service)
	}
	if p.Answer, err = rsm.AnswerOf(e); err != nil {
		return p, err
	}
	p.Items = parseItems(e, service)
	if a := p.Answer; a != nil && a.Count >= 0 && a.Index >= 0 && a.Index+len(p.Items) >= a.Count {
		p.Complete = true
	}
	return p, nil
}

// parseItems reads the rooms of a service: only those that are there.
func parseItems(e *etree.Element, service xmpp.JID) (list []Item) {
	for c := range stanza.Children(e, "item", disco.NSItems) {
		jid, err := xmpp.ParseJID(stanza.AttrOr(c, "jid", ""))
		if err != nil || !jid.IsBareWithUser() || jid.DomainJID() != service {
			continue
		}
		it := Item{JID: jid.Clone(), Name: clip(stanza.AttrOr(c, "name", ""), maxValue)}
		if v := stanza.AttrOr(c, "version", ""); len(v) <= maxName {
			it.Version = clip(v, maxName)
		}
		list = append(list, it)
	}
	return list
}

// discovered makes the rooms known, and finds those that one is in no more: that were there before, and of which the room has said nothing since.
func (m *MUCLight) discovered(s *xmpp.Stream, service xmpp.JID, list []Item, before map[*Room]int) {
	for _, it := range list {
		m.mu.Lock()
		m.serviceLocked(service)
		r := m.discoveredLocked(s, it.JID)
		m.mu.Unlock()
		if r == nil {
			continue
		}
		r.mu.Lock()
		r.discoveredLocked(it)
		if told, ok := before[r]; ok && told == r.told && r.own == muc.AffiliationNone {
			r.own = muc.AffiliationUnknown // one is in it again
		}
		r.mu.Unlock()
		delete(before, r)
	}
	for r, told := range before {
		r.mu.Lock()
		if told == r.told && r.own != muc.AffiliationNone && r.asked == 0 {
			r.lostLocked()
		}
		r.mu.Unlock()
	}
}

// discoverAll asks the services of Config for rooms, one after the other.
func (m *MUCLight) discoverAll(s *xmpp.Stream) {
	m.stop()
	if m.cfg.NoAutoDiscover || len(m.cfg.Services) == 0 {
		return
	}
	ctx, cancel := context.WithCancel(xmpp.ByModule(context.Background()))
	m.mu.Lock()
	m.end = cancel
	m.mu.Unlock()
	go func() {
		defer cancel()
		for _, service := range m.cfg.Services {
			rooms, err := m.DiscoverRooms(ctx, service)
			switch {
			case ctx.Err() != nil:
				return
			case err != nil:
				m.delegates.discovery.Notify(s, func(ctx context.Context, d DiscoveryDelegate) { d.MUCLightDidNotDiscoverRooms(ctx, m, service, err) })
			default:
				m.delegates.discovery.Notify(s, func(ctx context.Context, d DiscoveryDelegate) { d.MUCLightDidDiscoverRooms(ctx, m, service, rooms) })
			}
		}
	}()
}

// stop ends what goes on by itself.
func (m *MUCLight) stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.end != nil {
		m.end()
		m.end = nil
	}
}

// BlockItem is a room, or a user, whose attempts to add us are ignored by a service.
type BlockItem struct {
	JID   xmpp.JID // bare
	Room  bool     // it is a room; otherwise a user
	Allow bool     // the block is to end; never set in a list that was fetched
}

// BlockingList asks a service what is blocked there (section 4.5.1). The error is that of [xmpp.Stream.SendIQ], a [*stanza.Error] if the service blocks nothing;
// or ErrMalformed.
func (m *MUCLight) BlockingList(ctx context.Context, service xmpp.JID) ([]BlockItem, error) {
	s, err := m.Active()
	if err != nil {
		return nil, err
	}
	iq, err := s.SendIQ(ctx, stanza.NewIQ(stanza.Get, service.DomainJID(), stanza.New("query", NSBlocking)))
	if err != nil {
		return nil, err
	}
	e := iq.Payload()
	if !stanza.Is(e, "query", NSBlocking) {
		return nil, fmt.Errorf("%w: %v", ErrMalformed, service)
	}
	var out []BlockItem
	for c := range stanza.Children(e, "", NSBlocking) {
		jid, err := xmpp.ParseJID(stanza.Text(c))
		if err != nil || c.Tag != "room" && c.Tag != "user" || stanza.AttrOr(c, "action", "") != "deny" {
			continue
		}
		out = append(out, BlockItem{JID: jid.Bare().Clone(), Room: c.Tag == "room"})
	}
	return out, nil
}

// SetBlocking blocks and unblocks rooms and users at a service, all in one request (sections 4.5.2 to 4.5.4): from then on they cannot add us.
// One stays in a room that is blocked. To end a block that there is not, is no error. The error is that of [xmpp.Stream.SendIQ]; or ErrInvalidParameter.
func (m *MUCLight) SetBlocking(ctx context.Context, service xmpp.JID, items ...BlockItem) error {
	s, err := m.Active()
	if err != nil || len(items) == 0 {
		return err
	}
	q := stanza.New("query", NSBlocking)
	for _, it := range items {
		if it.JID.IsZero() {
			return fmt.Errorf("muclight: %w: no address", xmpp.ErrInvalidParameter)
		}
		name, action := "user", "deny"
		if it.Room {
			name = "room"
		}
		if it.Allow {
			action = "allow"
		}
		q.C(name).A("action", action).T(it.JID.Bare().String()).Up()
	}
	_, err = s.SendIQ(ctx, stanza.NewIQ(stanza.Set, service.DomainJID(), q))
	return err
}
