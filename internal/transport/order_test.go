package transport

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// checkOrder holds Order to its properties: a permutation, priorities ascending, the input left alone.
func checkOrder(t *testing.T, in []Target, rnd func(int) int) {
	t.Helper()
	before := slices.Clone(in)
	out := Order(in, rnd)
	if !slices.Equal(in, before) {
		t.Fatal("Order changed its input")
	}
	if !slices.IsSortedFunc(out, func(a, b Target) int { return cmp.Compare(a.Priority, b.Priority) }) {
		t.Fatalf("priorities not ascending: %+v", out)
	}
	count := map[Target]int{}
	for _, x := range in {
		count[x]++
	}
	for _, x := range out {
		count[x]--
	}
	for x, n := range count {
		if n != 0 {
			t.Fatalf("not a permutation: %+v off by %d", x, n)
		}
	}
}

func TestOrder(t *testing.T) {
	checkOrder(t, nil, nil)
	var ts []Target
	for i := range 1000 {
		ts = append(ts, Target{Host: fmt.Sprint(i), Port: 5222, Priority: uint16(i % 7), Weight: uint16(i % 11 * 6000)})
	}
	checkOrder(t, ts, nil)
	for _, rnd := range []func(int) int{
		func(int) int { return 0 },
		func(n int) int { return n - 1 },
		func(int) int { return -1 },
		func(int) int { return math.MaxInt },
		func(int) int { return math.MinInt },
	} {
		checkOrder(t, ts, rnd)
	}
}

// draws counts which target comes first.
func draws(ts []Target, n int) map[string]float64 {
	rng := rand.New(rand.NewPCG(1, 2))
	share := map[string]float64{}
	for range n {
		share[Order(ts, rng.IntN)[0].Host] += 1 / float64(n)
	}
	return share
}

// The weight test of TLS-10: 10,000 draws, within ±3 %.
func TestSec_TLS10_Weights(t *testing.T) {
	tests := []struct {
		name string
		ts   []Target
		want map[string]float64
	}{
		{"10 30 60", []Target{{Host: "a", Weight: 10}, {Host: "b", Weight: 30}, {Host: "c", Weight: 60}},
			map[string]float64{"a": .1, "b": .3, "c": .6}},
		{"small numbers are not biased", []Target{{Host: "a", Weight: 1}, {Host: "b", Weight: 1}},
			map[string]float64{"a": .5, "b": .5}},
		{"all zero", []Target{{Host: "a"}, {Host: "b"}, {Host: "c"}, {Host: "d"}},
			map[string]float64{"a": .25, "b": .25, "c": .25, "d": .25}},
		{"a zero is rare", []Target{{Host: "a", Weight: 50}, {Host: "z"}, {Host: "b", Weight: 49}},
			map[string]float64{"a": .5, "b": .49, "z": .01}},
		{"across services", []Target{{Host: "a", Weight: 20, DirectTLS: true}, {Host: "b", Weight: 80}},
			map[string]float64{"a": .2, "b": .8}},
		{"largest", []Target{{Host: "a", Weight: math.MaxUint16}, {Host: "b", Weight: math.MaxUint16}},
			map[string]float64{"a": .5, "b": .5}},
		{"priority before weight", []Target{{Host: "a", Priority: 2, Weight: 60000}, {Host: "b", Priority: 1}},
			map[string]float64{"b": 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for host, got := range draws(tt.ts, 10_000) {
				if math.Abs(got-tt.want[host]) > .03 {
					t.Errorf("%s first in %.1f %% of 10,000 draws, want %.1f %%", host, 100*got, 100*tt.want[host])
				}
			}
		})
	}
	t.Run("a zero does come", func(t *testing.T) {
		if got := draws(tests[3].ts, 10_000)["z"]; got == 0 {
			t.Error("weight 0 was never first in 10,000 draws; RFC 2782 gives it a very small chance")
		}
	})
	t.Run("second place too", func(t *testing.T) {
		rng := rand.New(rand.NewPCG(3, 4))
		first, after := 0, 0
		for range 10_000 {
			o := Order(tests[0].ts, rng.IntN)
			if o[0].Host == "c" {
				first++
				if o[1].Host == "b" {
					after++
				}
			}
		}
		if got := float64(after) / float64(first); math.Abs(got-.75) > .03 {
			t.Errorf("b behind c in %.1f %%, want 75 %%", 100*got)
		}
	})
}

// F-18.
func FuzzSRVOrder(f *testing.F) {
	f.Add([]byte{}, uint64(0), false)
	f.Add([]byte{0, 1, 0, 2, 0, 1, 0, 0, 0, 0, 255, 255}, uint64(7), false)
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0}, uint64(7), true)
	f.Fuzz(func(t *testing.T, data []byte, seed uint64, hostile bool) {
		var ts []Target
		for i := 0; i+4 <= len(data) && i < 4*512; i += 4 {
			ts = append(ts, Target{
				Host: fmt.Sprint(i % 24), Port: 5222, SRV: true, DirectTLS: i%8 == 0,
				Priority: binary.BigEndian.Uint16(data[i:]), Weight: binary.BigEndian.Uint16(data[i+2:]),
			})
		}
		rng := rand.New(rand.NewPCG(seed, seed))
		rnd := func(n int) int {
			if n <= 0 {
				t.Fatalf("asked for a number below %d", n)
			}
			if hostile {
				return int(rng.Uint64())
			}
			return rng.IntN(n)
		}
		checkOrder(t, ts, rnd)
	})
}
