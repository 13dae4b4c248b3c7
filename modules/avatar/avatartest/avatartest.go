// Package avatartest tests implementations of [avatar.Storage].
package avatartest

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/avatar"
)

// TestStorage tests an implementation, in subtests. place makes an empty place to store in, whose resources end with the test,
// and returns what opens it: each call stands for a process of its own, which comes after the one before.
// With -short the large cases are smaller.
func TestStorage(t *testing.T, place func(t *testing.T) (open func() avatar.Storage)) {
	for _, tt := range []struct {
		name string
		f    func(*testing.T, func() avatar.Storage)
	}{
		{"nothing", nothing}, {"save", save}, {"images", images}, {"characters", characters}, {"accounts", accounts},
		{"owners", owners}, {"many", many}, {"at once", atOnce}, {"whole", whole}, {"random", random},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.f(t, place(t)) })
	}
}

var (
	juliet = xmpp.MustParseJID("juliet@example.test")
	romeo  = xmpp.MustParseJID("romeo@example.test")
	nurse  = xmpp.MustParseJID("nurse@example.test")
	ctx    = context.Background()
)

// size is how much of something there is: less with -short.
func size(n int) int {
	if testing.Short() {
		return n / 8
	}
	return n
}

func when(n int) time.Time {
	return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(time.Duration(n) * time.Millisecond)
}

// image is the n-th image, whose bytes are any.
func image(n int) *avatar.Image {
	data := append([]byte("\x89PNG\r\n\x1a\n\x00\xff'\"\\%"), fmt.Sprint(n)...)
	return &avatar.Image{Data: data, Type: "image/png", Hash: avatar.Hash(data)}
}

// record is that of somebody who has the n-th image.
func record(of xmpp.JID, n int) avatar.Record {
	return avatar.Record{Of: of, Hash: image(n).Hash, Source: avatar.SourcePEP, Bytes: len(image(n).Data), Fetched: true, Updated: when(n)}
}

func must(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// check compares all records of an account with those that should be there. Times count by the millisecond.
func check(t *testing.T, s avatar.Storage, account xmpp.JID, want ...avatar.Record) {
	t.Helper()
	list, err := s.Load(ctx, account)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	got, should := byAddress(list), byAddress(want)
	if len(list) != len(want) || !reflect.DeepEqual(got, should) {
		t.Fatalf("Load: %+v, want %+v", got, should)
	}
}

func byAddress(list []avatar.Record) map[xmpp.JID]avatar.Record {
	m := make(map[xmpp.JID]avatar.Record)
	for _, r := range list {
		r.Updated = r.Updated.UTC().Truncate(time.Millisecond)
		m[r.Of] = r
	}
	return m
}

// there checks that an image is stored, or is not.
func there(t *testing.T, s avatar.Storage, account xmpp.JID, want *avatar.Image, is bool) {
	t.Helper()
	got, err := s.Image(ctx, account, want.Hash)
	switch {
	case err != nil:
		t.Fatalf("Image: %v", err)
	case !is && got != nil:
		t.Fatalf("the image %.10s is there", want.Hash)
	case is && (got == nil || got.Hash != want.Hash || got.Type != want.Type || !bytes.Equal(got.Data, want.Data)):
		t.Fatalf("Image: %+v, want %+v", got, want)
	}
}

func nothing(t *testing.T, open func() avatar.Storage) {
	s := open()
	check(t, s, juliet)
	there(t, s, juliet, image(1), false)
	must(t, "Remove", s.Remove(ctx, juliet, romeo))
	must(t, "Clear", s.Clear(ctx, juliet))
	check(t, open(), juliet)
}

func save(t *testing.T, open func() avatar.Storage) {
	s := open()
	must(t, "Save", s.Save(ctx, juliet, record(romeo, 1), image(1)))
	check(t, s, juliet, record(romeo, 1))
	check(t, open(), juliet, record(romeo, 1))
	there(t, open(), juliet, image(1), true)
	r := avatar.Record{Of: romeo, Hash: image(2).Hash, Source: avatar.SourceVCard, URL: "https://example.test/x?y=z", Bytes: 7, Updated: when(2)}
	must(t, "Save", open().Save(ctx, juliet, r, nil))
	check(t, open(), juliet, r)
	r = avatar.Record{Of: romeo, Source: avatar.SourcePEP, Updated: when(3)} // none any more
	must(t, "Save", s.Save(ctx, juliet, r, nil))
	must(t, "Save", s.Save(ctx, juliet, record(nurse, 4), image(4)))
	check(t, open(), juliet, r, record(nurse, 4))
	must(t, "Remove", s.Remove(ctx, juliet, nurse))
	check(t, open(), juliet, r)
	must(t, "Clear", open().Clear(ctx, juliet))
	check(t, open(), juliet)
}

// images are there as long as somebody has them.
func images(t *testing.T, open func() avatar.Storage) {
	s := open()
	must(t, "Save", s.Save(ctx, juliet, record(romeo, 1), image(1)))
	must(t, "Save", s.Save(ctx, juliet, record(nurse, 1), image(1)))
	must(t, "Save", s.Save(ctx, juliet, record(romeo, 1), nil))
	there(t, s, juliet, image(1), true)
	must(t, "Save", s.Save(ctx, juliet, record(romeo, 2), image(2)))
	there(t, s, juliet, image(1), true)
	must(t, "Save", s.Save(ctx, juliet, record(nurse, 3), nil))
	there(t, s, juliet, image(1), false)
	there(t, s, juliet, image(2), true)
	there(t, s, juliet, image(3), false)
	must(t, "Save", open().Save(ctx, juliet, record(nurse, 3), image(3)))
	there(t, s, juliet, image(3), true)
	must(t, "Remove", s.Remove(ctx, juliet, nurse))
	there(t, open(), juliet, image(3), false)
	must(t, "Clear", s.Clear(ctx, juliet))
	there(t, open(), juliet, image(2), false)
	// An image that belongs to nobody else goes with a record that says: none.
	must(t, "Save", s.Save(ctx, juliet, record(romeo, 2), image(2)))
	must(t, "Save", s.Save(ctx, juliet, avatar.Record{Of: romeo, Updated: when(3)}, nil))
	there(t, open(), juliet, image(2), false)
}

func characters(t *testing.T, open func() avatar.Storage) {
	of := xmpp.MustParseJID("\u00fc%_\\$x@example.test")
	data := []byte("\x89PNG\r\n\x1a\n")
	for n := range 256 {
		data = append(data, byte(n))
	}
	data = append(data, bytes.Repeat([]byte{0, 0xff}, 150_000)...)
	img := &avatar.Image{Data: data, Type: "image/png", Hash: avatar.Hash(data)}
	r := avatar.Record{Of: of, Hash: img.Hash, Source: avatar.SourcePEP, URL: "https://example.test/\u00e4'\"\\;--%\U0001F600" + strings.Repeat("x", 4000), Bytes: 1 << 30, Fetched: true, Updated: when(1)}
	must(t, "Save", open().Save(ctx, juliet, r, img))
	check(t, open(), juliet, r)
	there(t, open(), juliet, img, true)
}

func accounts(t *testing.T, open func() avatar.Storage) {
	s := open()
	all := []xmpp.JID{juliet, romeo, xmpp.MustParseJID("juliet@example.net"), xmpp.MustParseJID("\u00fc%_\\$x@example.test"), xmpp.MustParseJID("juli%65t@example.test")}
	for i, j := range all {
		must(t, "Save", s.Save(ctx, j, record(nurse, 0), image(0)))
		must(t, "Save", s.Save(ctx, j, record(j, i+1), image(i+1)))
	}
	must(t, "Clear", s.Clear(ctx, all[1]))
	must(t, "Remove", s.Remove(ctx, all[2], nurse))
	s = open()
	for i, j := range all {
		switch i {
		case 1:
			check(t, s, j)
		case 2:
			check(t, s, j, record(j, i+1))
		default:
			check(t, s, j, record(nurse, 0), record(j, i+1))
		}
		there(t, s, j, image(0), i != 1 && i != 2)
		there(t, s, j, image(i+1), i != 1)
		there(t, s, j, image(i+2), false)
	}
}

// owners looks at who owns the memory.
func owners(t *testing.T, open func() avatar.Storage) {
	s, img := open(), image(1)
	must(t, "Save", s.Save(ctx, juliet, record(romeo, 1), img))
	img.Data[9] = 'x'
	there(t, s, juliet, image(1), true)
	got, err := s.Image(ctx, juliet, image(1).Hash)
	must(t, "Image", err)
	got.Data[9] = 'y'
	there(t, s, juliet, image(1), true)
}

// many are as many contacts as some accounts have.
func many(t *testing.T, open func() avatar.Storage) {
	s := open()
	var want []avatar.Record
	for n := range max(size(500), 50) {
		r := record(xmpp.MustParseJID(fmt.Sprintf("contact%d@example.test", n)), n%50)
		must(t, "Save", s.Save(ctx, juliet, r, image(n%50)))
		want = append(want, r)
	}
	check(t, open(), juliet, want...)
	for n := range 50 {
		there(t, s, juliet, image(n), true)
	}
}

func atOnce(t *testing.T, open func() avatar.Storage) {
	s := open()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			j, err := xmpp.NewJID(fmt.Sprint("account", i), "example.test", "")
			if err != nil {
				t.Error(err)
				return
			}
			for n := range 20 {
				if err := s.Save(ctx, j, record(romeo, n), image(n)); err != nil {
					t.Error(err)
				}
				if _, err := s.Load(ctx, j); err != nil {
					t.Error(err)
				}
				if img, err := s.Image(ctx, j, image(n).Hash); err != nil || img == nil {
					t.Errorf("%v, %v", img, err)
				}
			}
		})
	}
	wg.Wait()
	for i := range 8 {
		j, _ := xmpp.NewJID(fmt.Sprint("account", i), "example.test", "")
		check(t, s, j, record(romeo, 19))
	}
}

// whole: whoever reads sees a record and its image together, or the one before.
func whole(t *testing.T, open func() avatar.Storage) {
	s, reader := open(), open()
	must(t, "Save", s.Save(ctx, juliet, record(romeo, 0), image(0)))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := range 100 {
			if err := s.Save(ctx, juliet, record(romeo, n+1), image(n+1)); err != nil {
				t.Error(err)
			}
		}
	}()
	for end := false; !end; {
		select {
		case <-done:
			end = true
		default:
		}
		list, err := reader.Load(ctx, juliet)
		if err != nil || len(list) != 1 {
			t.Fatalf("%v, %v", list, err)
		}
	}
	there(t, reader, juliet, image(100), true)
	there(t, reader, juliet, image(99), false)
}

// random mixes everything, and compares with a model.
func random(t *testing.T, open func() avatar.Storage) {
	seed := uint32(1)
	next := func(n int) int {
		seed = seed*1664525 + 1013904223
		return int(seed>>16) % n
	}
	s := open()
	records, stored := map[xmpp.JID]avatar.Record{}, map[string]bool{}
	for n := range 400 {
		of := xmpp.MustParseJID(fmt.Sprintf("contact%d@example.test", next(5)))
		img := image(next(6))
		switch k := next(20); {
		case k == 0:
			must(t, "Clear", s.Clear(ctx, juliet))
			clear(records)
		case k == 1:
			s = open()
		case k < 5:
			must(t, "Remove", s.Remove(ctx, juliet, of))
			delete(records, of)
		default:
			r := avatar.Record{Of: of, Hash: img.Hash, Source: avatar.SourceVCard, Fetched: k%2 == 0, Updated: when(n)}
			if k%2 == 1 {
				must(t, "Save", s.Save(ctx, juliet, r, nil))
			} else {
				must(t, "Save", s.Save(ctx, juliet, r, img))
				stored[img.Hash] = true
			}
			records[of] = r
		}
		used := map[string]bool{}
		for r := range maps.Values(records) {
			used[r.Hash] = true
		}
		maps.DeleteFunc(stored, func(hash string, _ bool) bool { return !used[hash] })
		if next(4) == 0 {
			var want []avatar.Record
			for r := range maps.Values(records) {
				want = append(want, r)
			}
			check(t, s, juliet, want...)
			for i := range 6 {
				there(t, s, juliet, image(i), stored[image(i).Hash])
			}
		}
	}
}
