package transport

import (
	"cmp"
	"math/rand/v2"
	"slices"
)

// Order returns a new slice with the same targets in the order in which RFC 2782 wants them tried:
// ascending priority; within one priority drawn at random, each draw in proportion to the weights left.
// It does not look at the kind of a target: both SRV services are one list (XEP-0368 §3).
//
// rnd(n) returns a number in [0, n); a result outside that range does no harm. If rnd is nil, math/rand/v2 draws:
// the draw spreads load and protects nothing, so it need not be unpredictable.
// The time is quadratic in the number of targets that share a priority; one DNS answer holds at most some 3,000.
func Order(targets []Target, rnd func(n int) int) []Target {
	if rnd == nil {
		rnd = rand.IntN
	}
	out := slices.Clone(targets)
	slices.SortStableFunc(out, func(a, b Target) int { return cmp.Compare(a.Priority, b.Priority) })
	for start := 0; start < len(out); {
		end := start + 1
		for end < len(out) && out[end].Priority == out[start].Priority {
			end++
		}
		orderWeighted(out[start:end], rnd)
		start = end
	}
	return out
}

// orderWeighted puts targets of one priority into their random order, in place.
//
// RFC 2782 draws from 0…sum inclusive over running sums, the records of weight 0 first.
// The 0 exists to give those records "a very small chance"; with none of them among the candidates
// it would only favour whichever record happens to stand first, so then the draw is from 1…sum.
func orderWeighted(ts []Target, rnd func(n int) int) {
	shuffle(ts, rnd) // equals must not keep the order of the answer, which a cache may have frozen
	slices.SortStableFunc(ts, func(a, b Target) int {
		return cmp.Compare(min(a.Weight, 1), min(b.Weight, 1)) // the zeros first
	})
	sum := 0
	for _, t := range ts {
		sum += int(t.Weight)
	}
	for len(ts) > 1 {
		var draw int
		if ts[0].Weight == 0 {
			draw = rnd(sum + 1)
		} else {
			draw = rnd(sum) + 1
		}
		pick, running := len(ts)-1, 0
		for i, t := range ts {
			running += int(t.Weight)
			if running >= draw {
				pick = i
				break
			}
		}
		chosen := ts[pick]
		copy(ts[1:pick+1], ts[:pick]) // keeps the zeros in front of the rest
		ts[0] = chosen
		sum -= int(chosen.Weight)
		ts = ts[1:]
	}
}

func shuffle(ts []Target, rnd func(n int) int) {
	for i := len(ts) - 1; i > 0; i-- {
		if j := rnd(i + 1); j >= 0 && j <= i {
			ts[i], ts[j] = ts[j], ts[i]
		}
	}
}
