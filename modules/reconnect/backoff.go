package reconnect

import (
	"math/rand/v2"
	"time"
)

// backoff makes the waits between attempts, so that many clients that have lost the same server at the same time do not come back together.
//
// The first wait is anything up to initial. From then on the interval grows each time by a factor that is itself drawn at random, from 1.5 to 3,
// and each wait is within ±25 % of the interval: with a fixed factor most would meet again in a few seconds, whatever the jitter.
// No wait is longer than max.
type backoff struct {
	initial, max time.Duration
	interval     time.Duration  // around which the last wait was; 0 before the first
	random       func() float64 // in [0, 1); tests set it
}

const jitter = 0.25

func (b *backoff) rand() float64 {
	if b.random != nil {
		return b.random()
	}
	return rand.Float64()
}

// ceiling is the longest interval: with the jitter on top of it the wait is max.
func (b *backoff) ceiling() time.Duration { return time.Duration(float64(b.max) / (1 + jitter)) }

func (b *backoff) spread(d time.Duration) time.Duration {
	return min(b.max, time.Duration(float64(d)*(1-jitter+2*jitter*b.rand())))
}

func (b *backoff) next() time.Duration {
	if b.interval == 0 {
		b.interval = min(b.initial, b.ceiling())
		return time.Duration(float64(min(b.initial, b.max)) * b.rand())
	}
	return b.grow(1.5 + 1.5*b.rand())
}

func (b *backoff) grow(factor float64) time.Duration {
	b.interval = min(time.Duration(float64(b.interval)*factor), b.ceiling())
	return b.spread(b.interval)
}

// nextFrom is next with an interval of at least d.
func (b *backoff) nextFrom(d time.Duration) time.Duration {
	if d = min(d, b.ceiling()); b.interval < d {
		b.interval = d
		return b.spread(d)
	}
	return b.next()
}

func (b *backoff) reset() { b.interval = 0 }

// delay is how long to wait for the next attempt. The lock is held.
func (r *Reconnect) delayLocked(d Decision) time.Duration {
	switch {
	case d.Delay > 0:
		return r.back.spreadBeyond(d.Delay)
	case d.Action == RetryNow:
		return 0
	case d.Action == RetryLater:
		return r.back.nextFrom(r.cfg.LaterDelay)
	case d.Action == RetrySlowly:
		return r.back.nextFrom(r.cfg.MaxDelay)
	}
	return r.back.next()
}

// spreadBeyond is spread for a wait of the application's choice, to which max does not apply.
func (b *backoff) spreadBeyond(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (1 - jitter + 2*jitter*b.rand()))
}

func (r *Reconnect) resetBackoffLocked() {
	r.back.reset()
	r.redirects = 0
}
