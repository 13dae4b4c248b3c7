package transport

import (
	"slices"
	"testing"
)

// What is written at once ends where an element does, as far as one fits: a TLS record that was cut leaves no half of one with the server.
func TestPiece(t *testing.T) {
	for _, tt := range []struct {
		name string
		ends []int
		most int
		want []int
	}{
		{"one", []int{10}, 100, []int{10}},
		{"all fit", []int{10, 20, 100}, 100, []int{100}},
		{"one too many", []int{10, 20, 101}, 100, []int{20, 101}},
		{"one that is larger", []int{10, 500, 510}, 100, []int{10, 500, 510}},
		{"one that is larger at first", []int{500, 510, 520}, 100, []int{500, 520}},
		{"a very large one", []int{10, 150_000, 150_010}, 16 << 10, []int{10, 10 + 65536, 10 + 2*65536, 150_000, 150_010}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []int
			for at, rest := 0, tt.ends; at < tt.ends[len(tt.ends)-1]; {
				at, rest = piece(at, tt.most, rest)
				if got = append(got, at); len(got) > 10 {
					break
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("pieces end at %v, want %v", got, tt.want)
			}
		})
	}
}
