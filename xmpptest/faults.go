package xmpptest

import "math/rand/v2"

// Faults is what goes wrong on a [FaultConn] by itself. The zero value is nothing.
// Where several limits are set, the first that is reached counts.
type Faults struct {
	// ResetAfterRead cuts the connection when so many bytes have been read. If zero, it does not.
	ResetAfterRead int64
	// ResetAfterWritten cuts the connection when so many bytes have been written. If zero, it does not.
	ResetAfterWritten int64
	// ResetAfter cuts the connection when so many bytes have been read and written together. If zero, it does not.
	ResetAfter int64
	// How is what the cut is, for both sides. If zero, CutReset.
	How Cut
	// ReadChunk is the most that one Read returns. If zero, there is no limit.
	ReadChunk int
	// WriteChunk is the most that is written at once to the connection below. If zero, there is no limit.
	WriteChunk int
}

// RandomResets returns a function for [FaultDialer.Faults] that resets every connection
// at a random byte from the first-th to the last-th, read and written together. The same seed gives the same bytes.
//
// Bytes are those on the wire. With TLS a login takes 7 to 9 KB, a short message 200 to 400 bytes.
// So with first at 500 some logins are cut, too, and with first at 15,000 none is; with last below 6,000 there is never a session.
// In the mean (first+last)/2 bytes pass between two cuts: 100 cuts under 10,000 messages, which are 2 to 4 MB, need less than 20,000.
//
// It panics unless 0 < first <= last.
func RandomResets(seed uint64, first, last int64) func(n int) Faults {
	if first <= 0 || first > last {
		panic("xmpptest: RandomResets without a range of bytes")
	}
	return func(n int) Faults {
		r := rand.New(rand.NewPCG(seed, uint64(n))) // of its own, so that it does not matter who asks first
		return Faults{ResetAfter: first + r.Int64N(last-first+1)}
	}
}

// account keeps the limits of a FaultConn. It is guarded by its connection's mu.
type account struct {
	faults        Faults
	read, written int64
	spent         bool        // a limit is reached: nothing gets through any more
	unlimited     bool        // or that was not permitted
	permit        func() bool // asked when a limit is reached; nil means yes
}

// take counts up to n bytes read or written and returns how many of them get through.
// last is set when they are the last ones: the caller cuts the connection once they are through.
func (a *account) take(n int, reading bool) (through int, last bool) {
	if a.spent {
		return 0, false
	}
	through = n
	if left := a.left(reading); left >= 0 && int64(n) >= left {
		if a.permit == nil || a.permit() {
			through, a.spent, last = int(left), true, true
		} else {
			a.unlimited = true
		}
	}
	if reading {
		a.read += int64(through)
	} else {
		a.written += int64(through)
	}
	return through, last
}

// left is how many bytes may still be read or written before a limit, negative if there is none.
func (a *account) left(reading bool) int64 {
	if a.unlimited {
		return -1
	}
	left := int64(-1)
	limit := func(n, used int64) {
		if n > 0 && (left < 0 || n-used < left) {
			left = n - used
		}
	}
	limit(a.faults.ResetAfter, a.read+a.written)
	if reading {
		limit(a.faults.ResetAfterRead, a.read)
	} else {
		limit(a.faults.ResetAfterWritten, a.written)
	}
	return left
}
