package vcard_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/vcard"
)

// TestAges are those of the configuration.
func TestAges(t *testing.T) {
	checkGoroutines(t)
	for _, tt := range []struct {
		cfg  vcard.Config
		age  time.Duration
		card *vcard.Card
		asks bool
	}{
		{vcard.Config{}, 25 * time.Hour, &vcard.Card{Title: "x"}, true},
		{vcard.Config{}, -time.Hour, &vcard.Card{Title: "x"}, true}, // from the future
		{vcard.Config{MaxAge: time.Hour}, 2 * time.Hour, &vcard.Card{Title: "x"}, true},
		{vcard.Config{MaxAge: 3 * time.Hour}, 2 * time.Hour, &vcard.Card{Title: "x"}, false},
		{vcard.Config{MaxAge: -1}, 2000 * time.Hour, &vcard.Card{Title: "x"}, false},
		{vcard.Config{MaxAge: -1}, 2000 * time.Hour, nil, true},
		{vcard.Config{MissingAge: -1}, 2000 * time.Hour, nil, false},
		{vcard.Config{MissingAge: time.Hour}, 30 * time.Minute, nil, false},
		{vcard.Config{Storage: decider{vcard.MemoryStorage(), true}}, 0, &vcard.Card{Title: "x"}, true},
		{vcard.Config{Storage: decider{vcard.MemoryStorage(), false}}, 2000 * time.Hour, &vcard.Card{Title: "x"}, false},
	} {
		if tt.cfg.Storage == nil {
			tt.cfg.Storage = vcard.MemoryStorage()
		}
		v, s, peer, _ := pair(t, tt.cfg)
		r := &vcard.Record{Card: tt.card, Fetched: time.Now().Add(-tt.age)}
		if err := tt.cfg.Storage.Save(t.Context(), s.MyJID().Bare(), romeo, r); err != nil {
			t.Fatal(err)
		}
		if !tt.asks {
			if c, err := v.Fetch(t.Context(), romeo); tt.card == nil && !errors.Is(err, vcard.ErrNoVCard) || tt.card != nil && (err != nil || c.Title != "x") {
				t.Errorf("%+v: %v, %v", tt, c, err)
			}
			continue
		}
		peer.While(func() {
			if c, err := v.Fetch(t.Context(), romeo); err != nil || c.Title != "new" {
				t.Errorf("%+v: %v, %v", tt, c, err)
			}
		}, `
			C: <iq type='get' id='{id}' to='romeo@example.test'><vCard xmlns='vcard-temp'/></iq>
			S: <iq type='result' from='romeo@example.test' id='{id}'><vCard xmlns='vcard-temp'><TITLE>new</TITLE></vCard></iq>`)
	}
}

// decider is a storage that decides what is old.
type decider struct {
	vcard.Storage
	fetch bool
}

func (d decider) ShouldFetch(_ context.Context, account, of xmpp.JID, r *vcard.Record) bool {
	return d.fetch && account.Local() == "juliet" && of == romeo && r != nil
}
