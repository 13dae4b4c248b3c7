package muc

import (
	"context"
	"iter"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/disco"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/rsm"
)

// What EachRoom asks for at most.
const (
	roomsPage = 100
	maxRooms  = 1_000_000
)

// EachRoom goes through the public rooms of a service (section 6.3), page by page where the service knows pages (XEP-0059); pageSize is how many are asked for at a time,
// 100 if it is zero. The next page is asked for when the loop comes to it, so leaving the loop ends the asking.
//
// An error is the last that comes, with an empty item: that of [MUC.RoomInfo], or one of package rsm for a service whose pages do not end.
func (m *MUC) EachRoom(ctx context.Context, service xmpp.JID, pageSize int) iter.Seq2[disco.Item, error] {
	if pageSize <= 0 {
		pageSize = roomsPage
	}
	fetch := func(ctx context.Context, r rsm.Request) (p rsm.Page[disco.Item], err error) {
		s, err := m.Active()
		if err != nil {
			return p, err
		}
		iq, err := s.SendIQ(ctx, stanza.NewIQ(stanza.Get, service, stanza.New("query", disco.NSItems).Add(r)))
		if err != nil {
			return p, err
		}
		if p.Items, err = disco.ParseItems(iq.Payload()); err != nil {
			return p, err
		}
		p.Answer, err = rsm.AnswerOf(iq.Payload())
		return p, err
	}
	return rsm.Items(ctx, rsm.Request{Max: pageSize}, rsm.Limits{Items: maxRooms}, fetch)
}
