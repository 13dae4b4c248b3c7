package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httptrace"
	"slices"
	"strconv"
	"sync"
	"time"
)

const (
	askedWait      = 60 // seconds
	maxRequests    = 4  // at a time, if the peer allows as many
	boshSlack      = 15 * time.Second
	defaultSilence = time.Minute     // how long a session lives without a request, if the peer does not say
	maxSilence     = 5 * time.Minute // how long a request is tried again at most
	minPolling     = time.Second
	endGrace       = 2 * time.Second // for answers before the one that ends the session
	maxArrived     = 16              // answers that nobody has read
	overdue        = 3 * time.Second // for the answer to a request that must be answered since another has followed
	orderPatience  = 500 * time.Millisecond
	pollDelay      = 10 * time.Millisecond // an answer is often answered: that spares a poll
	spacing        = 20 * time.Millisecond // from one request to another while the first is not answered
)

// boshRequest is a request. What is behind rid is set when it is sent.
type boshRequest struct {
	kind  requestKind
	items []byte
	attrs string
	rid   uint64

	sent   time.Time
	cancel context.CancelFunc // of the attempt under way
	again  bool               // that attempt was given up for another
	repeat int                // how often that was
	answer *boshAnswer

	before  *boshRequest  // the one before; nil once that is handed to its connection
	written chan struct{} // closed when this is, or when that failed
	once    sync.Once     // closes it
	nudged  int           // how often it was sent again because others were not answered
	nudge   *time.Timer
	tries   int       // how often it was written
	waiting time.Time // since when the last time was; zero when that has failed
	passed  bool      // others were taken before its answer, which may still come
}

func (r *boshRequest) wrote() { r.once.Do(func() { close(r.written) }) }

func (r *boshRequest) empty() bool { return r.kind == kindPlain && len(r.items) == 0 }

// pump sends what waits as far as it may be sent, and sees to it that the peer has a request to answer.
// It and what it calls need the lock.
func (b *bosh) pump() {
	for b.err == nil && b.sid != "" && !b.terminated {
		crowded := len(b.arrived) >= maxArrived || b.arrivedBytes > bodyLimit(b.lim)
		if len(b.queue) > 0 {
			r := b.queue[0]
			most := b.requests
			if r.kind == kindTerminate {
				most++ // section 11
				crowded = false
			}
			if crowded || len(b.open) >= most {
				return
			}
			b.queue = b.queue[1:]
			b.send(r)
			continue
		}
		if crowded || len(b.open) > 0 || !b.mayPoll() {
			return
		}
		b.send(&boshRequest{})
	}
}

// mayPoll reports whether an empty request may follow now (sections 11 and 12). If not, pump is called when it may.
func (b *bosh) mayPoll() bool {
	due := b.answeredAt.Add(pollDelay)
	if b.last.empty() && (b.idle || b.hold == 0) {
		due = b.last.sent.Add(max(b.polling, minPolling))
	}
	d := time.Until(due)
	if d <= 0 {
		return true
	}
	if b.poll != nil {
		b.poll.Stop()
	}
	b.poll = time.AfterFunc(d, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.pump()
	})
	return false
}

func (b *bosh) send(r *boshRequest) {
	r.rid, r.sent = b.rid, time.Now()
	b.rid++
	ack := uint64(0)
	if r.kind != kindSession && b.processed != r.rid-1 { // section 9.1
		ack = b.processed
	}
	key, newKey := "", ""
	if b.keys != nil {
		key, newKey = b.keys.next(r.kind == kindSession)
	}
	b.terminated = r.kind == kindTerminate
	r.before, r.written = b.last, make(chan struct{})
	b.open = append(b.open, r)
	b.last = r
	b.changed.Broadcast()
	go b.exchange(r, r.body(b.sid, ack, key, newKey))
}

// exchange brings the body to the peer, again and again if it must be, and takes the answer.
// The body stays the same, so that the peer sees whether it has it already (section 14.3).
func (b *bosh) exchange(r *boshRequest, body []byte) {
	defer r.wrote()
	b.follow(r)
	var failing time.Time
	for delay := time.Duration(0); ; {
		ctx, cancel, ok := b.attempt(r)
		if !ok {
			return
		}
		a, err := b.post(b.watch(ctx, r), body)
		cancel()
		r.wrote()
		if err == nil && a.err == nil && a.attr("type") == "error" { // section 17.3
			b.repeatUpTo(r)
			a, err = nil, errRecoverable
		}
		if err == nil {
			b.answered(r, a)
			return
		}
		if b.takeAgain(r) {
			continue
		}
		b.failed(r)
		if failing.IsZero() {
			failing = time.Now()
		}
		if r.kind == kindSession || time.Since(failing)+delay > b.patience() {
			b.answered(r, &boshAnswer{err: fmt.Errorf("transport: a request is not answered: %w", err)})
			return
		}
		select {
		case <-time.After(delay):
		case <-b.ctx.Done():
			return
		}
		delay = min(2*delay+time.Second/4, 2*time.Second)
	}
}

// follow waits until the request before r is on its way: servers that get them in another order may not answer before the older one is due (ejabberd),
// or end the session (Prosody, if it misses two). Not every client tells when a request is written.
func (b *bosh) follow(r *boshRequest) {
	if r.before == nil {
		return
	}
	limit := askedWait * time.Second
	if b.web.Client != nil {
		limit = orderPatience
	}
	late := time.NewTimer(limit)
	defer late.Stop()
	select {
	case <-r.before.written:
	case <-late.C:
	case <-b.ctx.Done():
	}
	b.mu.Lock()
	answered := r.before.answer != nil
	r.before = nil
	b.mu.Unlock()
	if answered {
		return
	}
	select { // two connections are not faster than one another by as much
	case <-time.After(spacing):
	case <-b.ctx.Done():
	}
}

// watch sees the request written. If then neither it nor an older one is answered, although the peer holds one only,
// it has come before the older one, and may have been put aside: it is sent again.
func (b *bosh) watch(ctx context.Context, r *boshRequest) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(info httptrace.WroteRequestInfo) {
		if info.Err != nil {
			return
		}
		r.wrote()
		b.mu.Lock()
		defer b.mu.Unlock()
		r.waiting = time.Now()
		if r.tries++; r.tries > 1 {
			time.AfterFunc(overdue, func() {
				b.mu.Lock()
				defer b.mu.Unlock()
				b.passLost()
			})
		}
		if b.err != nil || r.nudged >= 2 || len(b.open) == 0 || b.open[0] == r {
			return
		}
		r.nudged++
		r.nudge = time.AfterFunc(overdue*time.Duration(r.nudged), func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			if b.err == nil && r.answer == nil && b.open[0] != r && b.open[0].answer == nil {
				b.repeat(r)
			}
		})
	}})
}

// Why a session ends.
var (
	errRecoverable = errors.New("transport: the server asks for a request to be repeated, and goes on asking")
	errRepeated    = errors.New("transport: the server does not see a request however often it is sent")
	errSID         = errors.New("transport: the session's id has changed")
	errNoSID       = errors.New("transport: a BOSH session without an id")
)

func (b *bosh) attempt(r *boshRequest) (context.Context, context.CancelFunc, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return nil, nil, false
	}
	wait := b.wait
	if wait == 0 {
		wait = askedWait * time.Second
	}
	ctx, cancel := context.WithTimeout(b.ctx, wait+boshSlack)
	r.cancel = cancel
	return ctx, cancel, true
}

// patience is how long the session lives without a request.
func (b *bosh) patience() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return min(b.inactivity, maxSilence)
}

// answered takes the answer to r, and goes on with what is in order now.
func (b *bosh) answered(r *boshRequest, a *boshAnswer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.passed && b.err == nil && a.err == nil && a.attr("type") == "" {
		r.passed = false
		b.take(a)
		return
	}
	if b.err != nil || r.answer != nil {
		return
	}
	if errors.As(a.err, new(*untrustedError)) {
		b.finish(a.err)
		return
	}
	if r.answer = a; r.nudge != nil {
		r.nudge.Stop()
	}
	b.processAnswered()
	b.passLost()
	if b.err != nil {
		return
	}
	if a.err != nil || a.attr("type") == "terminate" {
		// What comes before may never come: the peer has forgotten the session.
		b.terminated = true
		if b.grace == nil {
			b.grace = time.AfterFunc(endGrace, b.giveUp)
		}
	} else {
		b.arrivals(r, a)
	}
	b.pump()
}

// giveUp goes on without the answers that are missing.
func (b *bosh) giveUp() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open = slices.DeleteFunc(b.open, func(r *boshRequest) bool { return r.answer == nil })
	b.processAnswered()
	b.finish(b.missing)
}

// arrivals looks at what the peer says to have got, and sends again what it has not (section 9.2).
func (b *bosh) arrivals(r *boshRequest, a *boshAnswer) {
	if got, err := strconv.ParseUint(a.attr("ack"), 10, 64); err == nil && b.acks {
		for _, o := range b.open {
			if o.rid > got && o.rid < r.rid {
				b.repeat(o)
			}
		}
	}
	if lost, err := strconv.ParseUint(a.attr("report"), 10, 64); err == nil {
		for _, o := range b.open {
			if o.rid == lost {
				b.repeat(o)
			}
		}
	}
}

// processAnswered processes the requests up to the first that has no answer.
func (b *bosh) processAnswered() {
	for len(b.open) > 0 && b.open[0].answer != nil && b.err == nil {
		b.process()
	}
}

// process takes the answer that is next.
func (b *bosh) process() {
	r := b.open[0]
	a := r.answer
	b.open = b.open[1:]
	b.processed, b.answeredAt = r.rid, time.Now()
	over, refused := a.err, (*BOSHError)(nil)
	switch {
	case over != nil:
	case a.attr("type") == "terminate":
		if refused = a.refusal(b.lim, b.web.Insecure); refused != nil {
			over = refused
		} else {
			over = io.EOF
		}
	case r.kind == kindTerminate:
		over = io.EOF
	case r.kind == kindSession:
		over = b.start(r, a)
	case a.attr("sid") != "" && a.attr("sid") != b.sid:
		over, a.err = errSID, errSID
	}
	switch {
	case over == nil:
	case r.kind == kindSession:
		if over == io.EOF {
			over = &BOSHError{Condition: undefined}
		}
		b.finish(over)
		return
	case r.kind == kindTerminate && errors.As(over, &refused) && refused.Condition == "item-not-found":
		b.finish(io.EOF) // it was over before
		return
	case a.err != nil:
		b.finish(over)
		return
	case refused != nil && refused.Condition == "other-request":
		b.missing = refused // the answer to another request says why
		return
	case refused != nil && refused.Condition == "see-other-uri":
		a.in = nil // it is in the error
	}
	b.idle = len(a.in) == 0
	if n := len(b.arrived); b.idle && n > 0 && r.kind != kindSession {
		b.arrived[n-1].size += a.size // for the meter
		b.arrivedBytes += a.size
		b.changed.Broadcast()
	} else {
		b.take(a)
	}
	if over != nil {
		b.finish(over)
	}
}

// take hands an answer to the reader.
func (b *bosh) take(a *boshAnswer) {
	b.arrived = append(b.arrived, a)
	b.arrivedBytes += a.size
	b.changed.Broadcast()
}

// start begins the session as the peer has it (section 7.2).
func (b *bosh) start(r *boshRequest, a *boshAnswer) error {
	if b.sid = a.attr("sid"); b.sid == "" {
		return errNoSID
	}
	number := func(name string, absent, most int) int {
		n, err := strconv.Atoi(a.attr(name))
		if err != nil || n < 0 {
			return absent
		}
		return min(n, most)
	}
	seconds := func(name string, absent time.Duration) time.Duration {
		return time.Duration(number(name, int(absent/time.Second), 24*3600)) * time.Second
	}
	b.hold = number("hold", 1, 1)
	// One request is held, so there must be another to write by.
	b.requests = max(number("requests", 2, maxRequests), b.hold+1)
	b.polling = seconds("polling", 0)
	b.wait = min(seconds("wait", askedWait*time.Second), askedWait*time.Second)
	b.inactivity = seconds("inactivity", defaultSilence)
	b.acks = bytes.Equal([]byte(a.attr("ack")), strconv.AppendUint(nil, r.rid, 10))
	b.header = a.header()
	return nil
}
