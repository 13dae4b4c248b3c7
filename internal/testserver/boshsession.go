package testserver

import (
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/beevik/etree"
)

// boshSession is one session of XEP-0124, over any number of connections.
type boshSession struct {
	srv        *Server
	sid        string
	link       *link
	pipe       *Conn // the far end of what the session reads and writes
	first      uint64
	hold       int
	wait       time.Duration
	inactivity time.Duration
	acks       bool

	mu      sync.Mutex
	changed sync.Cond
	input   []byte                  // what the client has said and the session has not read
	next    uint64                  // the request that is due
	early   map[uint64]*boshRequest // came before their turn
	held    []*boshRequest          // oldest first
	answers map[uint64][]byte       // the last ones, for who asks again
	header  *etree.Element          // of the session's stream
	queue   []byte                  // what the session has said and the client was not told
	over    string                  // the attributes of the last body; empty while it goes on
	closing bool                    // the client has ended it: its last request is answered with the end
	told    bool                    // that it is over
	stopped bool
	idle    *time.Timer
}

// boshRequest is a request that waits for its turn or for its answer.
type boshRequest struct {
	rid    uint64
	body   *etree.Element
	answer chan boshAnswer // has room for one
	timer  *time.Timer
}

type boshAnswer struct {
	body       []byte
	cut, reset bool // no answer, but the end of the connection
}

// requests is how many a client may have open (§7.2).
func (b *boshSession) requests() uint64 { return uint64(b.hold) + 1 }

// take puts a request into its place among the others.
func (b *boshSession) take(req *boshRequest) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.idle != nil {
		b.idle.Stop()
	}
	last, known := b.answers[req.rid]
	switch {
	case b.stopped:
		req.answer <- boshAnswer{body: terminateBody("item-not-found")}
		return
	case known: // §14.3
		req.answer <- boshAnswer{body: last}
		b.rest()
		return
	case req.rid < b.next:
		for i, old := range b.held {
			if old.rid == req.rid { // the connection of the first is lost, it seems
				old.answer <- boshAnswer{cut: true}
				old.timer.Stop()
				b.held[i] = req
				b.watch(req)
				return
			}
		}
		fallthrough
	case req.rid >= b.next+b.requests()+1 || b.told: // one more than those is for a pause or the end (§11)
		req.answer <- boshAnswer{body: terminateBody("item-not-found")}
		b.stop1(false)
		return
	}
	if old := b.early[req.rid]; old != nil {
		old.answer <- boshAnswer{cut: true}
	}
	b.early[req.rid] = req
	for {
		due := b.early[b.next]
		if due == nil {
			break
		}
		delete(b.early, b.next)
		b.next++
		text, err := streamOf(due.body, due.rid == b.first)
		if err != nil {
			text = []byte("<<") // which is nothing that a session knows
		}
		b.input = append(b.input, text...)
		b.closing = b.closing || attr(due.body, "type") == "terminate"
		b.changed.Broadcast()
		b.held = append(b.held, due)
		b.watch(due)
	}
	b.flush()
	b.rest()
}

// watch answers a request that has waited long enough.
func (b *boshSession) watch(req *boshRequest) {
	req.timer = time.AfterFunc(b.wait, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for i := range b.held {
			if b.held[i] == req {
				for range i + 1 { // in their order
					b.reply()
				}
				return
			}
		}
	})
}

// flush answers the requests that are to be answered now. mu is held.
func (b *boshSession) flush() {
	for len(b.held) > 0 && (len(b.queue) > 0 && !b.closing || b.over != "" || b.header != nil && len(b.held) > b.hold) {
		b.reply()
	}
}

// reply answers the oldest request. mu is held.
func (b *boshSession) reply() {
	req := b.held[0]
	b.held = b.held[1:]
	req.timer.Stop()
	out := "<body xmlns='" + nsBOSH + "'"
	if req.rid == b.first {
		out += b.opening()
	}
	if highest := b.next - 1; b.acks && (highest != req.rid || req.rid == b.first) { // §9
		out += " ack='" + strconv.FormatUint(highest, 10) + "'"
	}
	out += b.over
	b.told = b.over != ""
	if len(b.queue) > 0 {
		out += ">" + string(b.queue) + "</body>"
	} else {
		out += "/>"
	}
	b.queue = nil
	b.answers[req.rid] = []byte(out)
	delete(b.answers, req.rid-b.requests()-1)
	req.answer <- boshAnswer{body: []byte(out)}
	b.rest()
}

// rest begins the time in which there must be another request. mu is held.
func (b *boshSession) rest() {
	if len(b.held) > 0 || b.stopped {
		return
	}
	if b.idle == nil {
		b.idle = time.AfterFunc(b.inactivity, b.stop)
		return
	}
	b.idle.Reset(b.inactivity)
}

// opening is what the first answer says of the session (§7.2).
func (b *boshSession) opening() string {
	seconds := func(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }
	out := " sid='" + b.sid + "' wait='" + seconds(b.wait) + "' requests='" + strconv.FormatUint(b.requests(), 10) +
		"' hold='" + strconv.Itoa(b.hold) + "' inactivity='" + seconds(b.inactivity) + "' ver='1.11' from='" + escape(b.srv.domain.String()) +
		"' xmlns:xmpp='" + nsXBOSH + "' xmpp:version='1.0' xmpp:restartlogic='true'"
	if b.header != nil {
		out += " authid='" + escape(attr(b.header, "id")) + "'"
	}
	return out
}

// feed gives the session what the client says.
func (b *boshSession) feed() {
	for {
		b.mu.Lock()
		for len(b.input) == 0 && !b.stopped {
			b.changed.Wait()
		}
		text := b.input
		b.input = nil
		b.mu.Unlock()
		if len(text) == 0 {
			return
		}
		if _, err := b.pipe.Write(text); err != nil {
			return
		}
	}
}

// pump takes what the session says, until it has ended.
func (b *boshSession) pump() {
	defer b.pipe.Close()
	feed := newWebFeed(b.pipe)
	for {
		said, err := feed.next()
		b.mu.Lock()
		switch {
		case err == io.EOF:
			if b.over == "" {
				b.over = " type='terminate'"
			}
		case err != nil:
			b.stop1(broken(err))
			b.mu.Unlock()
			return
		case said.header != nil:
			if b.header == nil {
				b.header = said.header
			}
		default:
			b.queue = append(b.queue, said.xml...)
			if is(said.e, "error", nsStreams) { // XEP-0206 §6
				b.over = " type='terminate' condition='remote-stream-error'"
			}
		}
		b.flush()
		b.mu.Unlock()
		if err == io.EOF {
			return
		}
	}
}

// stop ends the session without a word.
func (b *boshSession) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stop1(false)
}

// stop1 is called with mu held.
func (b *boshSession) stop1(reset bool) {
	if b.stopped {
		return
	}
	b.stopped = true
	b.changed.Broadcast()
	if b.idle != nil {
		b.idle.Stop()
	}
	for _, req := range b.held {
		req.timer.Stop()
		req.answer <- boshAnswer{cut: true, reset: reset}
	}
	for _, req := range b.early {
		req.answer <- boshAnswer{cut: true, reset: reset}
	}
	b.held, b.early = nil, nil
	b.pipe.Close()
	b.srv.mu.Lock()
	delete(b.srv.web.bosh, b.sid)
	b.srv.mu.Unlock()
}
