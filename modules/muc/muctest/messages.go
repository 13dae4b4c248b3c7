package muctest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/muc"
)

// testPages reads everything page by page, whatever the size of the storage's own.
func testPages(t *testing.T, open func() muc.Storage) {
	s := open()
	const n = 1203
	list := make([]muc.StoredMessage, n)
	for i := range list {
		list[i] = text(i)
		list[i].Time = start // all the same
	}
	appendTo(t, s, juliet, garden, n, list...)
	for _, newest := range []bool{false, true} {
		want := slices.Clone(list)
		if newest {
			slices.Reverse(want)
		}
		for _, limit := range []int{0, 100, 500, 1000} {
			var got []muc.StoredMessage
			for q := (muc.Query{Newest: newest, Limit: limit}); ; {
				page := messages(t, s, juliet, garden, q)
				if limit > 0 && len(page) > limit {
					t.Fatalf("%d messages for a limit of %d", len(page), limit)
				}
				got = append(got, page...)
				if len(page) == 0 || limit == 0 {
					break
				}
				if last := page[len(page)-1].Number; newest {
					q.BeforeNumber = last
				} else {
					q.AfterNumber = last
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("newest %v, pages of %d: %d messages of %d, or others", newest, limit, len(got), n)
			}
		}
	}
	// What a function that is given one does to the storage does not hold it up, and is not seen if it is new.
	seen := 0
	must(t, s.Messages(t.Context(), juliet, garden, muc.Query{}, func(m muc.StoredMessage) error {
		if seen++; seen%400 == 0 {
			_, err := s.Append(t.Context(), juliet, garden, []muc.StoredMessage{text(n + seen)})
			return err
		}
		return nil
	}))
	if seen != n {
		t.Errorf("%d messages, %d were there at the beginning", seen, n)
	}
}

func testReplace(t *testing.T, open func() muc.Storage) {
	s := open()
	list := []muc.StoredMessage{text(0), text(1), text(2), text(3)}
	appendTo(t, s, juliet, garden, 4, list...)
	appendTo(t, s, romeo, garden, 1, text(0))
	replace := func(account xmpp.JID, number int64, m *muc.StoredMessage, want bool) {
		t.Helper()
		if ok, err := s.Replace(t.Context(), account, garden, number, m); ok != want || err != nil {
			t.Errorf("Replace %d: %v, %v", number, ok, err)
		}
	}
	changed := text(77)
	changed.Number, changed.Own, changed.RealJID, changed.XML = 1000, true, romeo, odd[3]
	replace(juliet, list[1].Number, &changed, true)
	replace(juliet, list[2].Number, nil, true)
	replace(juliet, list[2].Number, nil, false)
	replace(juliet, list[2].Number, &changed, false)
	replace(juliet, list[3].Number+1, nil, false)
	want := []muc.StoredMessage{list[0], changed, list[3]}
	want[1].Number = list[1].Number
	if got := messages(t, open(), juliet, garden, muc.Query{}); !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if got := bodies(t, s, romeo, garden, muc.Query{}); got != "0" {
		t.Errorf("of another account: %q", got)
	}
	appendTo(t, s, juliet, garden, 0, text(77)) // it is known by its new ids
	more := []muc.StoredMessage{text(1), text(2)}
	appendTo(t, s, juliet, garden, 2, more...)
	if more[0].Number <= list[3].Number {
		t.Errorf("number %d after %d", more[0].Number, list[3].Number)
	}
	if got := bodies(t, s, juliet, garden, muc.Query{StanzaID: "s77"}); got != "77" {
		t.Errorf("by its id: %q", got)
	}
}

func testRooms(t *testing.T, open func() muc.Storage) {
	s := open()
	get := func(account, room xmpp.JID) string {
		t.Helper()
		var out []string
		must(t, open().Rooms(t.Context(), account, room, func(r muc.StoredRoom) error {
			out = append(out, fmt.Sprintf("%v: %d until %v", r.Room, r.Messages, r.Last.Sub(start)))
			if !r.Last.IsZero() && r.Last.Location() != time.UTC {
				t.Errorf("%v is not in UTC", r.Last)
			}
			return nil
		}))
		slices.Sort(out)
		return strings.Join(out, ", ")
	}
	want := func(account, room xmpp.JID, want string) {
		t.Helper()
		if got := get(account, room); got != want {
			t.Errorf("the rooms are %q, want %q", got, want)
		}
	}
	want(juliet, xmpp.JID{}, "")
	private := text(50)
	private.Private, private.With = true, "Romeo"
	appendTo(t, s, juliet, garden, 4, text(1), text(7), text(3), private)
	appendTo(t, s, juliet, garden, 0, text(7))
	appendTo(t, s, juliet, tomb, 1, text(2))
	appendTo(t, s, romeo, tomb, 1, text(9))
	must(t, s.PutOccupants(t.Context(), romeo, garden, true, nil, nil))
	want(juliet, xmpp.JID{}, garden.String()+": 4 until 7s, "+tomb.String()+": 1 until 2s")
	want(juliet, tomb, tomb.String()+": 1 until 2s")
	want(romeo, garden, "")
	_, err := s.Prune(t.Context(), juliet, xmpp.JID{}, muc.Retention{After: start.Add(time.Hour)})
	must(t, err)
	want(juliet, garden, garden.String()+": 0 until 7s")
	appendTo(t, s, juliet, garden, 1, text(5))
	want(juliet, garden, garden.String()+": 1 until 7s")
	must(t, s.Clear(t.Context(), juliet, garden))
	want(juliet, xmpp.JID{}, tomb.String()+": 0 until 2s")
	stop := errors.New("stop")
	if err := s.Rooms(t.Context(), juliet, xmpp.JID{}, func(muc.StoredRoom) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("stopped: %v", err)
	}
}

// testOneID: somebody who gives all his messages one id loses none, and takes nobody's time.
func testOneID(t *testing.T, open func() muc.Storage) {
	s := open()
	const n = 2000
	list := make([]muc.StoredMessage, n)
	for i := range list {
		list[i] = text(i)
		list[i].ID, list[i].OriginID = "x", "x"
	}
	appendTo(t, s, juliet, garden, n/2, list[:n/2]...)
	for i := n / 2; i < n/2+50; i++ {
		appendTo(t, s, juliet, garden, 1, list[i])
	}
	appendTo(t, s, juliet, garden, n/2-50, list...)
	plain := list[0]
	plain.StanzaID = ""
	appendTo(t, s, juliet, garden, 0, plain) // may be one of them
	if got := messages(t, s, juliet, garden, muc.Query{}); len(got) != n {
		t.Errorf("%d messages of %d", len(got), n)
	}
}
