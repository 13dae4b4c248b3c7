package xmpp_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/go-xmppframework/xmpp"
)

// The account of what is under way holds what a plain list would, nothing of what has left it, and no memory that it need not have.
func TestPush(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var list, room, want []int
	for i := range 20_000 {
		list, room = xmpp.Push(list, room, i+1)
		want = append(want, i+1)
		if most := 100 * (1 + i/5000%2); len(want) >= most {
			n := 1 + random.IntN(len(want)-1)
			clear(list[:n])
			list, want = list[n:], want[n:]
		}
		if !slices.Equal(list, want) {
			t.Fatalf("after %d: got %v, want %v", i, list, want)
		}
		if held := len(room) - len(slices.DeleteFunc(slices.Clone(room), func(v int) bool { return v != 0 })); held != len(want) {
			t.Fatalf("after %d: %d are held, want %d", i, held, len(want))
		}
		if len(room) > 800 {
			t.Fatalf("after %d: room for %d", i, len(room))
		}
	}
}

func TestPushAllocs(t *testing.T) {
	var list, room []int
	for i := range 5000 {
		list, room = xmpp.Push(list, room, i)
	}
	if got := testing.AllocsPerRun(10, func() {
		for i := range 30_000 {
			if i%600 == 0 {
				list = list[600:]
			}
			list, room = xmpp.Push(list, room, i)
		}
	}); got > 2 { // somebody else may allocate meanwhile
		t.Errorf("%v allocations for 30,000, with 5,000 under way, want none", got)
	}
}
