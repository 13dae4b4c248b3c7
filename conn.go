package xmpp

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/internal/transport"
	"github.com/go-xmppframework/xmpp/internal/xmlstream"
	"github.com/go-xmppframework/xmpp/stanza"
)

// conn is one network connection: its reader, its writer and what was negotiated on it.
type conn struct {
	s    *Stream
	addr string
	raw  net.Conn // as dialled; nil if the wire makes connections by itself
	nc   net.Conn // raw, or the TLS connection over it
	tls  atomic.Pointer[tls.Conn]
	wire transport.Wire
	web  transport.Secured // the wire, if it makes connections by itself
	w    writer

	header   keptElement
	features keptElement
	maxBytes atomic.Int64 // the largest stanza the server takes (XEP-0478), 0 if it did not say
	maxIdle  atomic.Int64 // nanoseconds of silence after which the server ends the stream, 0 if it did not say

	// While the stream is negotiated, elements go to whoever negotiates, and the reader waits to be told what comes next.
	negotiating atomic.Bool
	elements    chan *etree.Element
	next        chan readerMode
	held        bool // the reader waits on next; of the negotiating goroutine alone

	registered atomic.Bool // an account was made on it

	track     *Tracking             // of the session on it; nil if it is not tracked
	call      *call                 // that negotiates; guarded by Stream.mu
	direct    bool                  // direct TLS
	ahead     *login                // whose first element was sent with the stream's header
	old       bool                  // of a server older than XMPP 1.0
	zip       *transport.Compressed // nil without compression
	transport Transport
	safe      bool                  // encrypted by a wire that makes connections by itself
	mustTLS   bool                  // a redirect has led here
	wanted    bool                  // the application ends it; guarded by Stream.mu
	verdict   atomic.Pointer[error] // why it is about to end, whatever goes wrong with the last words; nil while nothing is known
	once      sync.Once
	done      chan struct{} // closed when the connection has ended
	cause     error         // why; read after done
	readDone  chan struct{} // closed when the reader has returned and everything is settled

	heard atomic.Bool  // something has come since the last write
	trips atomic.Int32 // round trips of the negotiation

	began    time.Time // the times below are nanoseconds since then, by the monotonic clock
	lastRead atomic.Int64
	timer    *time.Timer   // keep-alive
	told     chan struct{} // of the Authenticate or Secure call under way: closed when it has told how it ended; guarded by Stream.mu

	// Of the reader alone.
	paused  bool
	grant   int   // stanzas that may be read although a queue is full
	blocked bool  // a read had to wait
	waits   int64 // since when a read waits that is measured
}

// keptElement is an element that is kept for as long as a connection lasts: packed to its text, once it is looked at rarely.
type keptElement struct {
	tree atomic.Pointer[etree.Element]
	text atomic.Pointer[string]
}

func (k *keptElement) Store(el *etree.Element) {
	k.tree.Store(el)
	k.text.Store(nil)
}

// Load returns the element, nil if there is none; packed, it is read anew.
func (k *keptElement) Load() *etree.Element {
	if text := k.text.Load(); text != nil {
		el, _ := stanza.ParseElement(*text)
		return el
	}
	return k.tree.Load()
}

func (k *keptElement) pack() {
	if el := k.tree.Load(); el != nil {
		text := stanza.Compact(el)
		k.text.Store(&text)
		k.tree.Store(nil)
	}
}

type readerMode int

const (
	readHeader  readerMode = iota // a new stream begins
	readElement                   // one element, for the negotiation
	readSession                   // stanzas, from now on
)

func newConn(s *Stream, nc net.Conn, addr string) *conn {
	c := &conn{
		s: s, addr: addr, raw: nc,
		elements: make(chan *etree.Element), next: make(chan readerMode),
		done: make(chan struct{}), readDone: make(chan struct{}),
	}
	c.w.c = c
	c.nc = nc
	c.began = time.Now()
	c.heard.Store(true)
	return c
}

// start begins to read. It is called once, with the first stream header about to be sent.
func (c *conn) start() {
	c.negotiating.Store(true)
	if c.wire == nil {
		c.overBytes()
	}
	go c.run()
}

// overBytes makes a wire over the connection as it is now. All that came over it before is forgotten.
func (c *conn) overBytes() {
	c.wire = transport.NewXML((*connIO)(c), (*meter)(c), c.s.cfg.limits(false), c.s.cfg.contentNS(), c.tls.Load() != nil)
}

// end closes the connection, once. Everything that waits on it is woken; the reader settles the rest.
// cause nil means an ordinary end.
func (c *conn) end(cause error) {
	c.once.Do(func() {
		if v := c.verdict.Load(); v != nil {
			cause = *v
		}
		c.cause = cause
		close(c.done)
		if c.raw != nil {
			_ = c.raw.Close()
		} else {
			_ = c.wire.Close()
		}
	})
}

// lostError is what calls return that needed the connection. It must be called after the end only.
func (c *conn) lostError() error {
	<-c.done
	if err := c.s.closedError(); err == ErrClosed {
		return err
	}
	return &DisconnectedError{Cause: c.cause}
}

// whyLost is lostError for a connection that has ended, or is about to.
func (c *conn) whyLost() error {
	select {
	case <-c.done:
		return c.lostError()
	default:
		return &DisconnectedError{}
	}
}

func (c *conn) secure() bool { return c.safe || c.tls.Load() != nil }

// tlsState describes the encryption; bound is false where a login cannot be tied to the connection itself.
func (c *conn) tlsState() (state tls.ConnectionState, bound, ok bool) {
	if tc := c.tls.Load(); tc != nil {
		return tc.ConnectionState(), true, true
	}
	if c.web != nil {
		return c.web.ConnectionState()
	}
	return state, false, false
}

// now is the time by which silence is measured: setting the clock does not change it.
func (c *conn) now() int64 { return 1 + int64(time.Since(c.began)) } // never 0

func (c *conn) lastReceived() time.Time { return c.began.Add(time.Duration(c.lastRead.Load())) }

// run is the reader: the one goroutine that an idle stream has.
func (c *conn) run() {
	defer func() {
		c.end(nil)
		c.s.stopKeepAlive(c)
		c.w.stop(c.cause)
		c.s.awaitTold(c)
		c.s.connEnded(c)
		close(c.readDone)
	}()
	mode := readHeader
	for {
		var el *etree.Element
		var err error
		if mode == readHeader {
			el, err = c.wire.Header()
		} else {
			el, err = c.wire.Next()
		}
		if err != nil {
			c.readFailed(err)
			return
		}
		if c.zip != nil {
			c.zip.Completed()
		}
		if mode != readHeader && stanza.Is(el, "error", stanza.NSStreams) {
			err := c.s.receivedError(el)
			c.redirect(err)
			c.end(err)
			return
		}
		if mode == readSession {
			c.s.receive <- struct{}{}
			if !c.s.handle(c, c.track, el, c.wire.Size()) {
				return
			}
			if c.s.full.any.Load() {
				c.pause()
			}
			continue
		}
		if !c.negotiating.Load() {
			c.fail("not-authorized", ErrUnexpectedElement)
			return
		}
		select {
		case c.elements <- el:
		case <-c.done:
			return
		}
		select {
		case mode = <-c.next:
		case <-c.done:
			return
		}
	}
}

// readFailed ends the connection after a failed read.
func (c *conn) readFailed(err error) {
	c.redirect(err)
	err = ofWire(err)
	var xe *xmlstream.Error
	switch {
	case errors.Is(err, io.EOF): // the closing tag
		c.verdict.CompareAndSwap(nil, new(error))
		c.w.raw(c.wire.AppendFooter(nil), true)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if tc := c.tls.Load(); c.w.idle(ctx) == nil && tc != nil {
			// With nothing in flight this rarely waits; a peer that does not read must not make it.
			stop := context.AfterFunc(ctx, func() { _ = c.raw.Close() })
			_ = tc.CloseWrite()
			stop()
		}
		c.end(nil)
	case errors.As(err, &xe):
		c.fail(xe.Condition, xe)
	default:
		c.end(err)
	}
}

// fail tells the server what was wrong with what it sent, and ends the connection.
func (c *conn) fail(condition string, err error) {
	c.failWith(&StreamError{Condition: condition, Local: true, Err: err})
}

// failLocal is fail for the error of a Tracker.
func (c *conn) failLocal(err error) {
	if se := (*StreamError)(nil); errors.As(err, &se) && se.Local {
		c.verdict.CompareAndSwap(nil, &err)
		c.sendError(se)
	}
	c.end(err)
}

func (c *conn) failWith(se *StreamError) {
	err := error(se)
	c.verdict.CompareAndSwap(nil, &err)
	c.sendError(se)
	c.end(se)
}

// sendError sends a stream error and the closing tag, RFC 6120 section 4.9.
func (c *conn) sendError(se *StreamError) {
	open := "<stream:error>"
	if c.raw == nil { // the element stands alone
		open = "<stream:error xmlns:stream='" + stanza.NSStreams + "'>"
	}
	b := []byte(open + "<" + se.Condition + " xmlns='" + stanza.NSStreamErrors + "'/>")
	if se.Element != nil {
		if with, err := xmlstream.AppendStandalone(b, se.Element); err == nil {
			b = with
		}
	}
	c.w.raw(append(b, "</stream:error>"...), false)
	c.w.raw(c.wire.AppendFooter(nil), true)
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	_ = c.w.idle(ctx)
}

// closeTracked writes what the tracker has to say at the end, and waits for what is not acknowledged, for half of the time that is left.
func (c *conn) closeTracked(ctx context.Context) {
	out := &c.s.out
	out.acquire()
	t := c.w.trackLocked()
	out.release()
	if t == nil {
		return
	}
	for _, e := range t.tracker.Closing() {
		t.Write(e)
	}
	if end, ok := ctx.Deadline(); ok {
		part, cancel := context.WithTimeout(ctx, time.Until(end)/2)
		defer cancel()
		ctx = part
	}
	for {
		out.acquire()
		left, change := len(t.list), out.changedLocked()
		out.release()
		if left == 0 {
			return
		}
		select {
		case <-change:
		case <-c.done:
			return
		case <-ctx.Done():
			return
		}
	}
}

// receive waits for the next element of the negotiation; the reader waits after it.
func (c *conn) receive(ctx context.Context) (*etree.Element, error) {
	c.resume(readElement)
	select {
	case el := <-c.elements:
		c.held = true
		return el, nil
	case <-c.done:
		if c.cause == nil {
			return nil, io.ErrUnexpectedEOF
		}
		return nil, c.cause
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// resume lets the reader go on if it waits after an element of the negotiation.
func (c *conn) resume(m readerMode) (resumed bool) {
	if !c.held {
		return false
	}
	c.held = false
	select {
	case c.next <- m:
		return true
	case <-c.done:
		return false
	}
}

// closeGently sends what is queued and the closing tag, and waits for the server's, until ctx ends.
func (c *conn) closeGently(ctx context.Context) {
	defer c.end(nil)
	if ctx.Err() != nil || c.negotiating.Load() && !c.s.IsConnected() {
		return
	}
	c.closeTracked(ctx)
	c.w.finish()
	if c.w.idle(ctx) != nil {
		return
	}
	select {
	case <-c.done:
	case <-ctx.Done():
	}
}

// pause waits while a queue is full, as the delivery contract says.
func (c *conn) pause() {
	s := c.s
	if c.grant > 0 {
		if c.grant--; c.grant > 0 && !c.blocked {
			return
		}
		c.grant = 0
	}
	if s.full.drained(s.wake) {
		c.paused = false
		return
	}
	if !c.paused {
		c.paused = true
		name, stanzas, bytes := s.full.slowest()
		s.log.Warn("xmpp: reading paused: a delegate is slow", "delegate", clip(name), "stanzas", stanzas, "bytes", bytes)
	}
	timer := time.NewTimer(s.cfg.MaxPause)
	defer timer.Stop()
	for s.waiters.Load() == 0 {
		select {
		case <-s.wake:
			if s.full.drained(s.wake) {
				c.paused = false
				return
			}
		case <-timer.C:
			c.grant, c.blocked = QueueStanzas, false
			return
		case <-c.done:
			return
		}
	}
}
