package rsm

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"slices"
)

// What [Pages] and [Items] end with when whoever answers does not keep to the rules.
var (
	ErrLoop    = errors.New("rsm: a page comes again")                 // the id with which a page ends was that of an earlier one
	ErrTooMany = errors.New("rsm: more pages or items than the limit") // see Limits; or a page of more than twice Request.Max
)

// Limits end a list that does not end by itself.
type Limits struct {
	// Pages is how many are asked for. If zero, 10,000.
	Pages int
	// Items is how many there may be. If zero, 1,000,000.
	Items int
}

// Page is what one request has brought.
type Page[T any] struct {
	Items []T // in the order of the list, whichever way the pages are asked for
	// Answer is where the page is; nil from whoever knows nothing of pages: then there is no other.
	Answer *Answer
	// Complete says that there is no page beyond this one, where the answer tells that besides.
	Complete bool
}

// Fetch asks for one page. It is called with the ctx and with requests that differ in their place only, one at a time.
type Fetch[T any] func(ctx context.Context, r Request) (Page[T], error)

// Pages goes through the pages of a list, from the first request on: forwards, or backwards if it is one for the last page or for what is before an id.
// A page is asked for when the loop comes to it, so that leaving the loop asks for no more; a page without items is passed over.
// The list ends with a page that says so, or with one whose answer names no item.
//
// An error is the last that comes, with an empty page: that of fetch, such as a [*stanza.Error] that matches stanza.ItemNotFound if the id of a request is known no more;
// ErrLoop, ErrTooMany; ErrMalformed for a first request that is not valid; or what has ended ctx.
//
// [*stanza.Error]: https://pkg.go.dev/github.com/go-xmppframework/xmpp/stanza#Error
func Pages[T any](ctx context.Context, first Request, l Limits, fetch Fetch[T]) iter.Seq2[Page[T], error] {
	if l.Pages <= 0 {
		l.Pages = 10_000
	}
	if l.Items <= 0 {
		l.Items = 1_000_000
	}
	return func(yield func(Page[T], error) bool) {
		fail := func(err error) { yield(Page[T]{}, err) }
		if err := first.Valid(); err != nil {
			fail(err)
			return
		}
		r, back, items := first, first.Backwards(), 0
		seed, seen := maphash.MakeSeed(), map[uint64]bool{}
		if id := r.After + r.Before; id != "" {
			seen[maphash.String(seed, id)] = true
		}
		for n := 1; ; n++ {
			if ctx.Err() != nil {
				fail(context.Cause(ctx))
				return
			}
			if n > l.Pages {
				fail(fmt.Errorf("%w: %d pages", ErrTooMany, l.Pages))
				return
			}
			p, err := fetch(ctx, r)
			if err != nil {
				fail(err)
				return
			}
			items += len(p.Items)
			if items > l.Items || p.Answer != nil && r.Max > 0 && len(p.Items) > 2*r.Max {
				fail(fmt.Errorf("%w: %d items", ErrTooMany, items))
				return
			}
			if len(p.Items) > 0 && !yield(p, nil) || p.Complete || p.Answer == nil || first.CountOnly {
				return
			}
			r = Request{Max: first.Max, After: p.Answer.Last}
			if back {
				r.After, r.Before = "", p.Answer.First
			}
			id := r.After + r.Before
			if id == "" {
				return
			}
			// A hash of each is kept: two ids that have the same one are as likely as 10,000 in 2⁶⁴ are to meet.
			h := maphash.String(seed, id)
			if seen[h] {
				fail(fmt.Errorf("%w: %.64q", ErrLoop, id))
				return
			}
			seen[h] = true
		}
	}
}

// Items is [Pages], item by item: forwards in the order of the list, backwards from its end to its beginning.
func Items[T any](ctx context.Context, first Request, l Limits, fetch Fetch[T]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for p, err := range Pages(ctx, first, l, fetch) {
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			if first.Backwards() {
				p.Items = slices.Clone(p.Items)
				slices.Reverse(p.Items)
			}
			for _, item := range p.Items {
				if !yield(item, nil) {
					return
				}
			}
		}
	}
}
