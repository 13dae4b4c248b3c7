package transport

import (
	"slices"
	"time"

	"github.com/beevik/etree"
)

// passLost goes on without the answer to a request that was sent again, and is held by the peer although later ones are answered:
// the answer was lost, and this peer does not say it again (Prosody). Whatever it says to the request in the end comes then.
func (b *bosh) passLost() {
	if b.err != nil || len(b.open) == 0 {
		return
	}
	r := b.open[0]
	if r.answer != nil || r.tries < 2 || r.kind != kindPlain || r.waiting.IsZero() || time.Since(r.waiting) < overdue ||
		!slices.ContainsFunc(b.open, func(o *boshRequest) bool { return o.answer != nil }) {
		return
	}
	r.answer, r.passed = &boshAnswer{root: etree.NewElement("body")}, true
	b.processAnswered()
	if b.err == nil {
		b.pump()
	}
}

func (b *bosh) failed(r *boshRequest) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r.waiting = time.Time{}
}

func (b *bosh) takeAgain(r *boshRequest) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	was := r.again
	r.again = false
	return was
}

// repeatUpTo gives up the attempts of all requests before r, so that they are made again.
func (b *bosh) repeatUpTo(r *boshRequest) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, o := range b.open {
		if o.rid < r.rid {
			b.repeat(o)
		}
	}
}

// repeat gives up the attempt under way for another.
func (b *bosh) repeat(r *boshRequest) {
	if r.answer != nil || r.again {
		return
	}
	if r.repeat++; r.repeat > 5 {
		b.finish(errRepeated)
		return
	}
	r.again = true
	if r.cancel != nil {
		r.cancel()
	}
}
