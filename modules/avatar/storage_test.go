package avatar_test

import (
	"fmt"
	"testing"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/avatar"
	"github.com/go-xmppframework/xmpp/modules/avatar/avatartest"
)

func TestStorage(t *testing.T) {
	avatartest.TestStorage(t, func(*testing.T) func() avatar.Storage {
		s := avatar.MemoryStorage()
		return func() avatar.Storage { return s }
	})
}

// TestMemoryLimit: images that were not used for longest go first; records stay.
func TestMemoryLimit(t *testing.T) {
	m, account := avatar.MemoryStorage(), xmpp.MustParseJID("juliet@example.test")
	m.SetLimit(3000)
	image := func(n int) *avatar.Image {
		data := append([]byte("\x89PNG\r\n\x1a\n"), make([]byte, 992)...)
		data[999] = byte(n)
		return &avatar.Image{Data: data, Type: "image/png", Hash: avatar.Hash(data)}
	}
	have := func(n int) bool {
		img, err := m.Image(t.Context(), account, image(n).Hash)
		if err != nil {
			t.Error(err)
		}
		return img != nil
	}
	for n := range 5 {
		if n == 4 && !have(1) {
			t.Error("the second is gone")
		}
		of := xmpp.MustParseJID(fmt.Sprintf("contact%d@example.test", n))
		if err := m.Save(t.Context(), account, avatar.Record{Of: of, Hash: image(n).Hash}, image(n)); err != nil {
			t.Fatal(err)
		}
	}
	for n, want := range []bool{false, true, false, true, true} {
		if got := have(n); got != want {
			t.Errorf("image %d: %v, want %v", n, got, want)
		}
	}
	if list, err := m.Load(t.Context(), account); err != nil || len(list) != 5 {
		t.Error(list, err)
	}
	m.SetLimit(0)
	for n := range 5 {
		of := xmpp.MustParseJID(fmt.Sprintf("contact%d@example.test", n))
		if err := m.Save(t.Context(), account, avatar.Record{Of: of, Hash: image(n).Hash}, image(n)); err != nil || !have(n) {
			t.Error(n, err)
		}
	}
}
