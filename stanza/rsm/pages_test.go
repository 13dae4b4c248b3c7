package rsm_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/go-xmppframework/xmpp/stanza/rsm"
)

// list answers for the numbers 0 to n-1, of which it gives at most limit at a time, and counts the requests.
type list struct {
	n, limit int
	complete bool // it says where the end is
	asked    []rsm.Request
}

func (l *list) fetch(_ context.Context, r rsm.Request) (p rsm.Page[int], err error) {
	l.asked = append(l.asked, r)
	size := l.limit
	if r.Max > 0 {
		size = min(size, r.Max)
	}
	from := r.Index
	switch {
	case r.After != "":
		n, err := strconv.Atoi(r.After)
		if err != nil {
			return p, err
		}
		from = n + 1
	case r.Before != "":
		n, err := strconv.Atoi(r.Before)
		if err != nil {
			return p, err
		}
		from = max(0, n-size)
		size = n - from
	case r.Last:
		from = max(0, l.n-size)
	}
	if r.CountOnly {
		size = 0
	}
	p.Answer = &rsm.Answer{Index: -1, Count: l.n}
	for i := from; i < min(from+size, l.n); i++ {
		p.Items = append(p.Items, i)
		p.Answer.Last = fmt.Sprint(i)
	}
	if len(p.Items) > 0 {
		p.Answer.First = fmt.Sprint(p.Items[0])
	}
	p.Complete = l.complete && (from+size >= l.n || r.Backwards() && from == 0)
	return p, nil
}

func collect(t *testing.T, l *list, first rsm.Request, limits rsm.Limits) (got []int, err error) {
	t.Helper()
	for item, e := range rsm.Items(t.Context(), first, limits, l.fetch) {
		if err = e; e == nil {
			got = append(got, item)
		}
	}
	return got, err
}

func TestItems(t *testing.T) {
	count := func(from, to int) (out []int) {
		for i := from; i < to; i++ {
			out = append(out, i)
		}
		return out
	}
	back := func(list []int) []int { slices.Reverse(list); return list }
	for _, tt := range []struct {
		name  string
		l     list
		first rsm.Request
		want  []int
		asked int
	}{
		{"forwards", list{n: 25, limit: 10}, rsm.Request{}, count(0, 25), 4},
		{"the end is said", list{n: 25, limit: 10, complete: true}, rsm.Request{}, count(0, 25), 3},
		{"smaller pages", list{n: 25, limit: 10, complete: true}, rsm.Request{Max: 5}, count(0, 25), 5},
		{"from an id on", list{n: 25, limit: 10, complete: true}, rsm.Request{After: "19"}, count(20, 25), 1},
		{"from an index on", list{n: 25, limit: 10, complete: true}, rsm.Request{Index: 10}, count(10, 25), 2},
		{"backwards", list{n: 25, limit: 10}, rsm.Request{Last: true}, back(count(0, 25)), 4},
		{"backwards from an id on", list{n: 25, limit: 10, complete: true}, rsm.Request{Before: "5"}, back(count(0, 5)), 1},
		{"nothing", list{limit: 10}, rsm.Request{}, nil, 1},
		{"only how many", list{n: 25, limit: 10}, rsm.Request{CountOnly: true}, nil, 1},
	} {
		got, err := collect(t, &tt.l, tt.first, rsm.Limits{})
		if err != nil || !slices.Equal(got, tt.want) || len(tt.l.asked) != tt.asked {
			t.Errorf("%s: %v, %v in %d requests, want %v in %d", tt.name, got, err, len(tt.l.asked), tt.want, tt.asked)
		}
		for _, r := range tt.l.asked {
			if r.Max != tt.first.Max || r.Valid() != nil {
				t.Errorf("%s: asked %+v", tt.name, r)
			}
		}
	}
}

// TestLazy: leaving the loop asks for no more.
func TestLazy(t *testing.T) {
	l := list{n: 100, limit: 10}
	n := 0
	for _, err := range rsm.Items(t.Context(), rsm.Request{}, rsm.Limits{}, l.fetch) {
		if n++; n == 15 || err != nil {
			break
		}
	}
	if len(l.asked) != 2 {
		t.Errorf("%d requests for 15 items", len(l.asked))
	}
}

// TestSec_RSM: whoever answers cannot keep one at it for ever.
func TestSec_RSM(t *testing.T) {
	answer := func(n int, ids func(i int) (string, string)) rsm.Fetch[int] {
		i := 0
		return func(context.Context, rsm.Request) (rsm.Page[int], error) {
			first, last := ids(i)
			i++
			return rsm.Page[int]{Items: make([]int, n), Answer: &rsm.Answer{First: first, Last: last}}, nil
		}
	}
	same := func(int) (string, string) { return "a", "b" }
	other := func(i int) (string, string) { return fmt.Sprint("a", i), fmt.Sprint("b", i) }
	for _, tt := range []struct {
		name   string
		first  rsm.Request
		limits rsm.Limits
		fetch  rsm.Fetch[int]
		want   error
		items  int
	}{
		{"the same page", rsm.Request{}, rsm.Limits{}, answer(1, same), rsm.ErrLoop, 2},
		{"the same page, backwards", rsm.Request{Last: true}, rsm.Limits{}, answer(1, same), rsm.ErrLoop, 2},
		{"where it began", rsm.Request{After: "b"}, rsm.Limits{}, answer(1, same), rsm.ErrLoop, 1},
		{"in a circle", rsm.Request{}, rsm.Limits{}, answer(1, func(i int) (string, string) { return "", fmt.Sprint(i % 3) }), rsm.ErrLoop, 4},
		{"no end", rsm.Request{}, rsm.Limits{Pages: 7}, answer(1, other), rsm.ErrTooMany, 7},
		{"no end, empty", rsm.Request{}, rsm.Limits{Pages: 7}, answer(0, other), rsm.ErrTooMany, 0},
		{"no end of items", rsm.Request{}, rsm.Limits{Items: 10}, answer(4, other), rsm.ErrTooMany, 8},
		{"a page that is too large", rsm.Request{Max: 10}, rsm.Limits{}, answer(21, other), rsm.ErrTooMany, 0},
		{"not valid", rsm.Request{Max: -1}, rsm.Limits{}, nil, rsm.ErrMalformed, 0},
	} {
		n, last := 0, error(nil)
		for _, err := range rsm.Items(t.Context(), tt.first, tt.limits, tt.fetch) {
			if last = err; err == nil {
				n++
			}
		}
		if !errors.Is(last, tt.want) || n != tt.items {
			t.Errorf("%s: %d items, %v", tt.name, n, last)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	why, n := errors.New("enough"), 0
	for _, err := range rsm.Pages(ctx, rsm.Request{}, rsm.Limits{}, answer(1, other)) {
		if n++; n == 3 {
			cancel(why)
		}
		if n == 4 && err != why || n > 4 {
			t.Errorf("page %d: %v", n, err)
		}
	}
	if n != 4 {
		t.Errorf("%d pages", n)
	}
}

// TestWithoutPages: whoever knows nothing of pages gives all at once.
func TestWithoutPages(t *testing.T) {
	asked := 0
	for p, err := range rsm.Pages(t.Context(), rsm.Request{Max: 10}, rsm.Limits{}, func(context.Context, rsm.Request) (rsm.Page[int], error) {
		asked++
		return rsm.Page[int]{Items: make([]int, 1000)}, nil
	}) {
		if err != nil || len(p.Items) != 1000 {
			t.Errorf("%d items, %v", len(p.Items), err)
		}
	}
	if asked != 1 {
		t.Errorf("%d requests", asked)
	}
}
