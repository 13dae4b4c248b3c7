// Package vcardtest tests implementations of [vcard.Storage].
package vcardtest

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/vcard"
	"github.com/go-xmppframework/xmpp/stanza"
)

// TestStorage tests an implementation, in subtests. place makes an empty place to store in, whose resources end with the test,
// and returns what opens it: each call stands for a process of its own, which comes after the one before.
// The storage must have room for 300 vCards and 4 MiB.
// With -short the large cases are smaller.
func TestStorage(t *testing.T, place func(t *testing.T) (open func() vcard.Storage)) {
	for _, tt := range []struct {
		name string
		f    func(*testing.T, func() vcard.Storage)
	}{
		{"nothing", nothing}, {"save", save}, {"missing", missing}, {"whole card", wholeCard}, {"photo", photo}, {"characters", characters},
		{"addresses", addresses}, {"accounts", accounts}, {"owners", owners}, {"many", many}, {"at once", atOnce}, {"whole", whole}, {"random", random},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.f(t, place(t)) })
	}
}

var (
	juliet = xmpp.MustParseJID("juliet@example.test")
	romeo  = xmpp.MustParseJID("romeo@example.test")
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

func record(n int, name string) *vcard.Record {
	return &vcard.Record{Card: &vcard.Card{FormattedName: name}, Fetched: when(n)}
}

func must(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// check compares what is stored with what should be; nil stands for nothing. Times count by the millisecond.
func check(t *testing.T, s vcard.Storage, account, of xmpp.JID, want *vcard.Record) {
	t.Helper()
	got, err := s.Load(ctx, account, of)
	must(t, "Load", err)
	hash, ok, err := s.PhotoHash(ctx, account, of)
	must(t, "PhotoHash", err)
	switch {
	case got == nil && want == nil && !ok && hash == "":
		return
	case got == nil || want == nil || !ok:
		t.Fatalf("%s: %v (with a hash: %v), want %v", of, text(got), ok, text(want))
	}
	if text(got) != text(want) {
		t.Fatalf("%s: Load:\n%s\nwant:\n%s", of, clip(text(got)), clip(text(want)))
	}
	if hash != want.PhotoHash {
		t.Fatalf("%s: PhotoHash %q, want %q", of, hash, want.PhotoHash)
	}
	if want.Card != nil && want.Card.Photo != nil && (got.Card.Photo == nil || !bytes.Equal(got.Card.Photo.Data, want.Card.Photo.Data)) {
		t.Fatalf("%s: another photo", of)
	}
}

// text is all there is in a record.
func text(r *vcard.Record) string {
	if r == nil {
		return "nothing"
	}
	card := "no card"
	if r.Card != nil {
		card = stanza.Compact(r.Card.Element())
	}
	return fmt.Sprint(r.Fetched.UTC().Truncate(time.Millisecond).Format(time.RFC3339Nano), " ", r.PhotoHash, " ", card)
}

func clip(s string) string { return s[:min(len(s), 2000)] }

func nothing(t *testing.T, open func() vcard.Storage) {
	s := open()
	check(t, s, juliet, romeo, nil)
	must(t, "Remove", s.Remove(ctx, juliet, romeo))
	must(t, "Clear", s.Clear(ctx, juliet))
	check(t, open(), juliet, romeo, nil)
}

func save(t *testing.T, open func() vcard.Storage) {
	s := open()
	must(t, "Save", s.Save(ctx, juliet, romeo, record(1, "Romeo")))
	check(t, s, juliet, romeo, record(1, "Romeo"))
	check(t, open(), juliet, romeo, record(1, "Romeo"))
	s = open()
	must(t, "Save", s.Save(ctx, juliet, romeo, record(2, "Montague")))
	check(t, s, juliet, romeo, record(2, "Montague"))
	check(t, open(), juliet, romeo, record(2, "Montague"))
	must(t, "Remove", s.Remove(ctx, juliet, romeo))
	check(t, s, juliet, romeo, nil)
	check(t, open(), juliet, romeo, nil)
}

// missing is the knowledge that there is no card.
func missing(t *testing.T, open func() vcard.Storage) {
	s := open()
	must(t, "Save", s.Save(ctx, juliet, romeo, record(1, "Romeo")))
	must(t, "Save", s.Save(ctx, juliet, romeo, &vcard.Record{Fetched: when(2)}))
	check(t, s, juliet, romeo, &vcard.Record{Fetched: when(2)})
	check(t, open(), juliet, romeo, &vcard.Record{Fetched: when(2)})
	must(t, "Save", s.Save(ctx, juliet, romeo, record(3, "Romeo")))
	check(t, open(), juliet, romeo, record(3, "Romeo"))
}

// Sample is a card with something in every field.
func Sample() *vcard.Card {
	return &vcard.Card{
		Version: "3.0", FormattedName: "Juliet Capulet", Name: vcard.Name{Family: "Capulet", Given: "Juliet", Middle: "M", Prefix: "Lady", Suffix: "the Younger"},
		Nickname: "Jule", Photo: vcard.NewMedia([]byte("\x89PNG\r\n\x1a\n and so on"), ""), Birthday: "--07-31",
		Addresses: []vcard.Address{
			{Flags: vcard.Home | vcard.Domestic | vcard.Preferred, POBox: "1", Extended: "2nd floor", Street: "Via Cappello 23", Locality: "Verona", Region: "VR", PostalCode: "37121", Country: "Italy"},
			{Flags: vcard.Work | vcard.International | vcard.Postal | vcard.Parcel, Locality: "Mantua"},
		},
		Labels:   []vcard.Label{{Flags: vcard.Home, Lines: []string{"Juliet Capulet", "Via Cappello 23"}}},
		Phones:   []vcard.Phone{{Flags: vcard.Home | vcard.Voice | vcard.Cell, Number: "+39-045-1"}, {Flags: vcard.Work | vcard.Fax, Number: "+39-045-2"}},
		Emails:   []vcard.Email{{Flags: vcard.Internet | vcard.Preferred, UserID: "juliet@example.test"}, {Flags: vcard.X400, UserID: "c=it"}},
		JabberID: "juliet@example.test", Mailer: "a messenger", TimeZone: "+01:00", Location: &vcard.Location{Latitude: 45.441944, Longitude: 10.998611},
		Title: "Daughter", Role: "Lover", Logo: &vcard.Media{URI: "https://example.test/capulet.png"},
		Agent:        &vcard.Agent{Card: &vcard.Card{FormattedName: "The Nurse"}},
		Organization: vcard.Organization{Name: "House of Capulet", Units: []string{"Family", "Daughters"}},
		Categories:   []string{"lovers", "nobles"}, Note: "two\nlines", ProductID: "quill", Revision: "1595-01-01T00:00:00.000Z", SortString: "capulet",
		Sound: &vcard.Sound{Media: vcard.Media{Type: "audio/ogg", Data: []byte{0, 1, 2, 255}}, Phonetic: "joo-lee-et"}, UID: "urn:uuid:1", URL: "https://example.test/",
		Class: vcard.Confidential, Key: &vcard.Key{Type: "PGP", Credential: "-----BEGIN"}, Description: "thirteen",
	}
}

func wholeCard(t *testing.T, open func() vcard.Storage) {
	c := Sample()
	e, err := stanza.ParseElement(`<vCard xmlns='vcard-temp'><X-GENDER>f</X-GENDER><TEL><NUMBER>1</NUMBER><x xmlns='urn:x' y="'">&lt;</x></TEL></vCard>`)
	must(t, "ParseElement", err)
	more, err := vcard.Decode(e, vcard.Limits{})
	must(t, "Decode", err)
	c.Extra, c.Phones = more.Extra, append(c.Phones, more.Phones...)
	r := &vcard.Record{Card: c, PhotoHash: c.PhotoHash(), Fetched: when(1)}
	must(t, "Save", open().Save(ctx, juliet, romeo, r))
	check(t, open(), juliet, romeo, r)
}

// photo is as large as they are by default.
func photo(t *testing.T, open func() vcard.Storage) {
	data := make([]byte, 256<<10)
	for i := range data {
		data[i] = byte(i * i >> 3)
	}
	c := &vcard.Card{Photo: vcard.NewMedia(data, "image/png")}
	r := &vcard.Record{Card: c, PhotoHash: c.PhotoHash(), Fetched: when(1)}
	must(t, "Save", open().Save(ctx, juliet, romeo, r))
	check(t, open(), juliet, romeo, r)
	c = &vcard.Card{FormattedName: "no photo any more"}
	r = &vcard.Record{Card: c, Fetched: when(2)}
	must(t, "Save", open().Save(ctx, juliet, romeo, r))
	check(t, open(), juliet, romeo, r)
}

func characters(t *testing.T, open func() vcard.Storage) {
	strange := "\u00e4'\"\\;--%_$1?\U0001F600\n\t\u2028\u00e9<>&" + strings.Repeat("x", 20_000)
	of := xmpp.MustParseJID("room@example.test/\u00fc \"'%/\U0001F600")
	c := &vcard.Card{FormattedName: strange, Note: strange}
	r := &vcard.Record{Card: c, PhotoHash: "0123456789abcdef0123456789abcdef01234567", Fetched: when(1)}
	must(t, "Save", open().Save(ctx, juliet, of, r))
	check(t, open(), juliet, of, r)
}

// addresses: an account, its room, and the occupants of it are different.
func addresses(t *testing.T, open func() vcard.Storage) {
	all := []string{"room@example.test", "room@example.test/a", "room@example.test/A", "room@example.test/a/b", "example.test", "room@example.net", "r_om@example.test", "%@example.test"}
	s := open()
	for i, j := range all {
		must(t, "Save", s.Save(ctx, juliet, xmpp.MustParseJID(j), record(i, j)))
	}
	must(t, "Remove", s.Remove(ctx, juliet, xmpp.MustParseJID(all[1])))
	s = open()
	for i, j := range all {
		want := record(i, j)
		if i == 1 {
			want = nil
		}
		check(t, s, juliet, xmpp.MustParseJID(j), want)
	}
}

func accounts(t *testing.T, open func() vcard.Storage) {
	s := open()
	all := []xmpp.JID{juliet, romeo, xmpp.MustParseJID("juliet@example.net"), xmpp.MustParseJID("\u00fc%_\\$x@example.test"), xmpp.MustParseJID("juli%65t@example.test")}
	for i, j := range all {
		must(t, "Save", s.Save(ctx, j, romeo, record(i, j.String())))
		must(t, "Save", s.Save(ctx, j, juliet, record(i, "j"+j.String())))
	}
	must(t, "Clear", s.Clear(ctx, all[1]))
	must(t, "Remove", s.Remove(ctx, all[2], romeo))
	s = open()
	for i, j := range all {
		a, b := record(i, j.String()), record(i, "j"+j.String())
		switch i {
		case 1:
			a, b = nil, nil
		case 2:
			a = nil
		}
		check(t, s, j, romeo, a)
		check(t, s, j, juliet, b)
	}
}

// owners looks at who owns the memory.
func owners(t *testing.T, open func() vcard.Storage) {
	make := func() *vcard.Record {
		return &vcard.Record{Card: Sample(), PhotoHash: Sample().PhotoHash(), Fetched: when(1)}
	}
	s, r := open(), make()
	must(t, "Save", s.Save(ctx, juliet, romeo, r))
	r.Card.Phones[0].Number, r.Card.Photo.Data[1], r.PhotoHash, r.Card.Agent.Card.FormattedName = "changed", 'x', "changed", "changed"
	check(t, s, juliet, romeo, make())
	got, err := s.Load(ctx, juliet, romeo)
	must(t, "Load", err)
	got.Card.Categories[0], got.Card.Photo.Data[0], got.Card.Labels[0].Lines[0] = "changed", 'x', "changed"
	check(t, s, juliet, romeo, make())
}

func many(t *testing.T, open func() vcard.Storage) {
	s := open()
	at := func(i int) xmpp.JID { return xmpp.MustParseJID(fmt.Sprintf("contact%d@example.test", i)) }
	for i := range size(300) {
		must(t, "Save", s.Save(ctx, juliet, at(i), record(i, fmt.Sprint(i))))
	}
	s = open()
	for i := range size(300) {
		check(t, s, juliet, at(i), record(i, fmt.Sprint(i)))
	}
}

func atOnce(t *testing.T, open func() vcard.Storage) {
	s := open()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			j, err := xmpp.NewJID(fmt.Sprint("user", i), "example.test", "")
			if err != nil {
				t.Error(err)
				return
			}
			for n := range 20 {
				if err := s.Save(ctx, juliet, j, record(n, fmt.Sprint(n))); err != nil {
					t.Error(err)
				}
				if _, _, err := s.PhotoHash(ctx, juliet, romeo); err != nil {
					t.Error(err)
				}
			}
			if r, err := s.Load(ctx, juliet, j); err != nil || r == nil || r.Card.FormattedName != "19" {
				t.Errorf("%s, %v", text(r), err)
			}
			if err := s.Remove(ctx, juliet, j); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// whole: whoever reads while a record is replaced sees one or the other.
func whole(t *testing.T, open func() vcard.Storage) {
	s := open()
	versions := map[string]string{}
	var records [2]*vcard.Record
	for i := range records {
		c := &vcard.Card{FormattedName: fmt.Sprint(i), Photo: vcard.NewMedia(bytes.Repeat([]byte{byte(i)}, 50_000), "image/png")}
		records[i] = &vcard.Record{Card: c, PhotoHash: c.PhotoHash(), Fetched: when(i)}
		versions[text(records[i])] = c.PhotoHash()
	}
	must(t, "Save", s.Save(ctx, juliet, romeo, records[0]))
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := range max(size(32), 10) {
			if err := s.Save(ctx, juliet, romeo, records[n%2]); err != nil {
				t.Error(err)
			}
		}
	})
	for range 3 {
		wg.Go(func() {
			for range max(size(32), 10) {
				r, err := s.Load(ctx, juliet, romeo)
				if err != nil || r == nil || versions[text(r)] == "" || versions[text(r)] != r.Card.PhotoHash() {
					t.Errorf("half a record: %s, %v", clip(text(r)), err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// random mixes everything, and compares with a map.
func random(t *testing.T, open func() vcard.Storage) {
	seed := uint32(1)
	next := func(n int) int {
		seed = seed*1664525 + 1013904223
		return int(seed>>16) % n
	}
	type key struct{ account, of xmpp.JID }
	people := []xmpp.JID{juliet, romeo, xmpp.MustParseJID("nurse@example.test"), xmpp.MustParseJID("room@example.test/nurse")}
	s, want := open(), map[key]*vcard.Record{}
	for n := range 300 {
		k := key{people[next(2)], people[next(len(people))]}
		switch c := next(20); {
		case c == 0:
			must(t, "Clear", s.Clear(ctx, k.account))
			for other := range want {
				if other.account == k.account {
					delete(want, other)
				}
			}
		case c == 1:
			s = open()
		case c < 5:
			must(t, "Remove", s.Remove(ctx, k.account, k.of))
			delete(want, k)
		default:
			r := record(n, fmt.Sprint(n))
			if c == 5 {
				r.Card = nil
			}
			must(t, "Save", s.Save(ctx, k.account, k.of, r))
			want[k] = r
		}
		if next(3) == 0 {
			k = key{people[next(2)], people[next(len(people))]}
			check(t, s, k.account, k.of, want[k])
		}
	}
	s = open()
	for _, a := range people[:2] {
		for _, of := range people {
			check(t, s, a, of, want[key{a, of}])
		}
	}
}
