package vcard_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/vcard"
	"github.com/go-xmppframework/xmpp/modules/vcard/vcardtest"
)

func TestMemoryStorage(t *testing.T) {
	checkGoroutines(t)
	vcardtest.TestStorage(t, func(*testing.T) func() vcard.Storage {
		s := vcard.MemoryStorage()
		return func() vcard.Storage { return s }
	})
}

// TestMemoryLimits: what was not used for longest goes first, by number and by size.
func TestMemoryLimits(t *testing.T) {
	checkGoroutines(t)
	ctx, account := context.Background(), xmpp.MustParseJID("juliet@example.test")
	at := func(n int) xmpp.JID { return xmpp.MustParseJID(fmt.Sprintf("c%d@example.test", n)) }
	m := vcard.MemoryStorage()
	save := func(n, size int) {
		t.Helper()
		if err := m.Save(ctx, account, at(n), &vcard.Record{Card: &vcard.Card{Photo: vcard.NewMedia(make([]byte, size), "image/png")}}); err != nil {
			t.Fatal(err)
		}
	}
	have := func(from, to int) (n int) {
		for i := from; i < to; i++ {
			if _, ok, _ := m.PhotoHash(ctx, account, at(i)); ok { // not a use
				n++
			}
		}
		return n
	}
	for i := range 1200 {
		save(i, 1)
	}
	if a, b := have(0, 200), have(200, 1200); a != 0 || b != 1000 {
		t.Errorf("%d of the first 200 and %d of the last 1,000 are kept", a, b)
	}
	m.SetLimits(3, 0)
	if n := have(0, 1200); n != 3 {
		t.Errorf("%d are kept", n)
	}
	if r, _ := m.Load(ctx, account, at(1197)); r == nil {
		t.Fatal("the last are not kept")
	}
	save(1, 1)
	if have(1197, 1198) != 1 || have(1198, 1199) != 0 || have(1, 2) != 1 {
		t.Error("another one than that not used for longest is gone")
	}
	m.SetLimits(0, 1<<20)
	for i := range 40 {
		save(i, 100<<10)
	}
	if n := have(0, 1200); n < 9 || n > 10 || have(31, 40) != 9 {
		t.Errorf("%d times 100 KiB are kept in 1 MiB", n)
	}
	save(0, 2<<20)
	if n := have(0, 1200); n != 0 {
		t.Errorf("%d are kept beside what is too large", n)
	}
	m.SetLimits(0, 0)
	for i := range 40 {
		save(i, 100<<10)
	}
	if n := have(0, 1200); n != 40 {
		t.Errorf("%d are kept", n)
	}
}
