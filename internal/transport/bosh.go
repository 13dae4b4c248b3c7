package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/internal/xmlstream"
)

// Namespaces of XEP-0124 and XEP-0206.
const (
	nsHTTPBind = "http://jabber.org/protocol/httpbind"
	nsXBOSH    = "urn:xmpp:xbosh"
)

// DialBOSH makes a wire of HTTP requests, BOSH (XEP-0124, XEP-0206), to an https address, or an http one if w.Insecure.
//
// It sends nothing: the session is asked for when the first header is written, and errors of the network come from Header then.
// ctx gives its values to the requests; its end means nothing to the session, which only Close, the peer, or a network
// that is away for longer than the session lives without requests can end.
//
// Next returns io.EOF when the peer has ended the session without a complaint, and a *[BOSHError] when it had one;
// stanzas and the stream error that came with it are returned first. Header says version 1.0 where the peer says nothing,
// and after Restart returns at once: nothing but the features shows that a stream has begun anew.
//
// Write returns when what it was given is in a request, or one of at most two that wait for their turn.
// What is received and not asked for by Next is bounded, too; then nothing is sent until it is.
// Meter is told of the bodies of requests with content and of all answers.
//
// ejabberd does not go on with a request that has overtaken the one before it until that is answered. So requests keep a distance of 20 ms
// while one is open, and one that seems to be put aside is sent again after 3 s: ejabberd may then end the session, which is better than silence.
//
// The wire is a [Secured]. Each connection that it makes must show the certificate of the first (section 19.2).
// Redirections and compressed answers are errors. Of w.Client, if there is one, Timeout and CheckRedirect are not used.
func DialBOSH(ctx context.Context, w Web, address string) (Wire, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return nil, errors.New("transport: the address for BOSH is no URL") // its error repeats what may be a password
	case u.Scheme != "https" && (u.Scheme != "http" || !w.Insecure):
		return nil, fmt.Errorf("transport: BOSH with the address scheme %q", cut(u.Scheme))
	case u.Host == "" || u.User != nil:
		return nil, errors.New("transport: an address for BOSH needs a host and no user")
	}
	u.Fragment = ""
	b := &bosh{web: w, url: u.String(), secure: u.Scheme == "https", rid: firstRID(), lim: w.Limits, requests: 1}
	if !b.secure {
		b.keys = newKeys()
	}
	b.changed.L = &b.mu
	b.ctx, b.cancel = context.WithCancel(context.WithoutCancel(ctx))
	b.client = b.newClient()
	return b, nil
}

// bosh is a session. The reader's part is in this file, the writer's in boshwrite.go, requests and answers are in boshsession.go.
type bosh struct {
	web    Web
	url    string
	secure bool
	client *http.Client
	ctx    context.Context // of all requests
	cancel context.CancelFunc

	// the reader's
	dec  *xmlstream.Decoder // what is left of the answer that was begun last
	size int

	mu      sync.Mutex // guards all below
	changed sync.Cond  // anything that the reader or the writer waits for
	err     error      // why the session is over
	closed  bool       // by Close
	lim     xmlstream.Limits
	leaf    []byte // the certificate that all connections must show
	state   *tls.ConnectionState
	header  *etree.Element // the answer to the session request as a stream's header

	began      bool // the session was asked for
	closing    bool // its end is to be asked for
	terminated bool // nothing is to be sent any more
	sid        string
	rid        uint64 // of the next request
	keys       *keys
	acks       bool // answers say what has arrived (section 9.2)
	requests   int  // how many may be made at a time
	hold       int
	polling    time.Duration
	wait       time.Duration // how long the peer takes to answer at most
	inactivity time.Duration // how long it lives without a request

	queue      []*boshRequest // not sent, without a rid
	open       []*boshRequest // sent, in order; the first is not answered
	processed  uint64         // the highest rid that is answered, with all below
	last       *boshRequest   // the one that was sent last
	answeredAt time.Time      // when the last answer came
	idle       bool           // it brought nothing
	poll       *time.Timer
	grace      *time.Timer
	missing    error // why the session is over if nothing says it better until then

	arrived      []*boshAnswer // for the reader
	arrivedBytes int
}

// Header is [Wire.Header].
func (b *bosh) Header() (*etree.Element, error) {
	b.mu.Lock()
	h := b.header
	b.mu.Unlock()
	if h == nil {
		if err := b.next(); err != nil {
			return nil, err
		}
		b.mu.Lock()
		h = b.header
		b.mu.Unlock()
	}
	return h.Copy(), nil
}

// Next is [Wire.Next].
func (b *bosh) Next() (*etree.Element, error) {
	for {
		if b.dec != nil {
			e, err := b.dec.Next()
			if err == nil {
				b.size = b.dec.Size()
				return e, nil
			}
			b.dec = nil
			if !errors.Is(err, errBodyEnd) {
				return nil, b.broken(malformed(err))
			}
		}
		if err := b.next(); err != nil {
			return nil, err
		}
	}
}

// next waits for the next answer and begins it.
func (b *bosh) next() error {
	var a *boshAnswer
	_, err := b.web.Meter.Read(func() (int, error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		for len(b.arrived) == 0 && b.err == nil {
			b.changed.Wait()
		}
		if len(b.arrived) == 0 {
			return 0, b.err
		}
		a = b.arrived[0]
		b.arrived = b.arrived[1:]
		b.arrivedBytes -= a.size
		b.pump()
		return a.size, nil
	})
	if err != nil {
		return err
	}
	b.mu.Lock()
	lim := b.lim
	b.mu.Unlock()
	if b.dec, err = a.decoder(lim); err != nil {
		return b.broken(malformed(err))
	}
	return nil
}

// broken ends the session because of what came: that is later than why it was over already.
func (b *bosh) broken(err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.finish(err)
	b.arrived, b.arrivedBytes = nil, 0
	if !b.closed {
		b.err = err
	}
	return b.err
}

// Restart is [Wire.Restart].
func (b *bosh) Restart() {}

// SetLimits is [Wire.SetLimits].
func (b *bosh) SetLimits(l xmlstream.Limits) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lim = l
	if b.dec != nil {
		b.dec.SetLimits(l)
	}
}

// Size is [Wire.Size].
func (b *bosh) Size() int { return b.size }

// KeepAlive is [Wire.KeepAlive]; there is always a request to be answered.
func (b *bosh) KeepAlive(byte) []byte { return nil }

// ConnectionState is [Secured.ConnectionState]: that of the connection that the first answer came by.
func (b *bosh) ConnectionState() (state tls.ConnectionState, bound, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state == nil {
		return tls.ConnectionState{}, false, false
	}
	return *b.state, false, true
}

// Close is [Wire.Close]. The peer is told nothing.
func (b *bosh) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.finish(net.ErrClosed)
	b.closed, b.err = true, net.ErrClosed
	b.arrived, b.arrivedBytes = nil, 0
	return nil
}

// finish ends the session, once. What has arrived can still be read.
func (b *bosh) finish(err error) {
	if b.err != nil {
		return
	}
	b.err = err
	for _, t := range []*time.Timer{b.poll, b.grace} {
		if t != nil {
			t.Stop()
		}
	}
	b.cancel()
	b.queue, b.open = nil, nil
	b.changed.Broadcast()
}

// BOSHError says why a BOSH session was refused or ended.
type BOSHError struct {
	// Condition is one of XEP-0124 section 17.2, whether the peer has named it or its HTTP status means it;
	// "undefined-condition" if it has said nothing.
	Condition string

	// Status is the HTTP status if that is what came, otherwise 0.
	Status int

	// URI is where see-other-uri points to: an https address, or an http one if that is permitted; otherwise "".
	// Nothing has been asked of it.
	URI string

	// Stream is the stream error that came with remote-stream-error, nil if none has.
	Stream *etree.Element
}

// Error returns the condition, and the status or the name of the stream error.
func (e *BOSHError) Error() string {
	s := "transport: the BOSH session is over: " + cut(e.Condition)
	switch {
	case e.Status != 0:
		s += " (HTTP status " + strconv.Itoa(e.Status) + ")"
	case e.Stream != nil && len(e.Stream.ChildElements()) > 0:
		s += " (" + cut(e.Stream.ChildElements()[0].Tag) + ")"
	}
	return s
}

// cut makes what a peer has sent fit for an error's text.
func cut(s string) string {
	s = strconv.QuoteToASCII(s[:min(len(s), 64)])
	return s[1 : len(s)-1]
}
