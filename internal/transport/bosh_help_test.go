package transport

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/internal/xmlstream"
)

// boshMeter is a Meter that counts bytes.
type boshMeter struct {
	mu       sync.Mutex
	in, out  int
	willWait int
}

func (m *boshMeter) Read(f func() (int, error)) (int, error) {
	n, err := f()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.in += n
	return n, err
}
func (m *boshMeter) WillWrite() { m.mu.Lock(); m.willWait++; m.mu.Unlock() }
func (m *boshMeter) DidWrite(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.out += n
}

// roundTripper is the network and the server.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// response makes an answer.
func response(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, ContentLength: -1, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

// dialBOSH makes a wire to f, and closes it when the test is over.
func dialBOSH(t testing.TB, f roundTripper, change ...func(*Web)) Wire {
	t.Helper()
	web := Web{Client: &http.Client{Transport: f}, Meter: new(boshMeter)}
	for _, c := range change {
		c(&web)
	}
	w, err := DialBOSH(t.Context(), web, "https://bosh.test/b#x")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// put writes items.
func put(t testing.TB, w Wire, items ...string) {
	t.Helper()
	if err := putErr(w, items...); err != nil {
		t.Fatal(err)
	}
}

func putErr(w Wire, items ...string) error {
	var ends []int
	n := 0
	for _, it := range items {
		n += len(it)
		ends = append(ends, n)
	}
	return w.Write([]byte(strings.Join(items, "")), ends)
}

func header(w Wire) string {
	return string(w.AppendHeader(nil, xmlstream.Header{To: "a.test", From: "me@a.test", Lang: "en", Version: "1.0"}))
}

func footer(w Wire) string { return string(w.AppendFooter(nil)) }

// text is the element as it would be written.
func text(t testing.TB, e *etree.Element) string {
	t.Helper()
	b, err := xmlstream.AppendStandalone(nil, e)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// wantNext reads elements and compares them.
func wantNext(t testing.TB, w Wire, want ...string) {
	t.Helper()
	for _, s := range want {
		e, err := w.Next()
		if err != nil {
			t.Fatalf("got %v, want %s", err, s)
		}
		if got := text(t, e); got != s {
			t.Fatalf("got  %s\nwant %s", got, s)
		}
	}
}

func bodyOf(t testing.TB, r *http.Request) (*etree.Element, string) {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	if r.ContentLength != int64(len(b)) || len(r.TransferEncoding) > 0 {
		t.Errorf("a request of %d bytes says %d, %v", len(b), r.ContentLength, r.TransferEncoding)
	}
	e, err := xmlstream.Parse(b, xmlstream.Limits{StanzaBytes: 1 << 24})
	if err != nil {
		t.Errorf("%v: %s", err, b)
		return etree.NewElement("bad"), ""
	}
	if t := httptrace.ContextClientTrace(r.Context()); t != nil && t.WroteRequest != nil {
		t.WroteRequest(httptrace.WroteRequestInfo{})
	}
	return e, string(b)
}

func rid(e *etree.Element) uint64 {
	n, _ := strconv.ParseUint(e.SelectAttrValue("rid", ""), 10, 64)
	return n
}

const (
	bodyStart    = "<body xmlns='http://jabber.org/protocol/httpbind' xmlns:stream='http://etherx.jabber.org/streams' "
	sessionStart = bodyStart + "sid='S' requests='2' hold='1' wait='60' inactivity='30' polling='5' from='a.test' authid='id1' ver='1.6' xmlns:xmpp='urn:xmpp:xbosh' xmpp:version='1.0' "
	emptyBody    = bodyStart + "/>"
)

// fault is what happens to a request.
type fault int

const (
	fine        fault = iota
	loseRequest       // it does not reach the manager
	loseAnswer        // the manager has it, the answer is lost
	late              // it takes a second to the manager
	lateAnswer        // and back
	recoverable       // the manager has it repeated
)

// manager is a connection manager that holds one request, keeps answers, and takes requests in order (XEP-0124 sections 9, 14.2, 14.3).
type manager struct {
	t      testing.TB
	faults func(rid uint64, attempt int) fault
	acks   bool

	mu       sync.Mutex
	first    uint64 // rid
	done     uint64 // the highest that was taken
	put      map[uint64]*etree.Element
	bodies   map[uint64]string // as they came
	held     []uint64
	answers  map[uint64]string
	waiting  map[uint64]chan struct{} // closed when the answer is there
	out      []string
	got      []string // elements taken
	open     int
	most     int // requests at a time
	polls    []time.Time
	attempts map[uint64]int
	over     bool
	log      []string // the bodies taken
}

func newManager(t testing.TB) *manager {
	return &manager{
		t: t, faults: func(uint64, int) fault { return fine }, put: map[uint64]*etree.Element{}, bodies: map[uint64]string{},
		answers: map[uint64]string{}, waiting: map[uint64]chan struct{}{}, attempts: map[uint64]int{},
	}
}

var errNet = errors.New("the network is away")

func (m *manager) RoundTrip(r *http.Request) (*http.Response, error) {
	e, s := bodyOf(m.t, r)
	id := rid(e)
	m.mu.Lock()
	if m.first == 0 {
		m.first, m.done = id, id-1
	}
	if old := m.bodies[id]; old != "" && old != s {
		m.t.Errorf("a request was changed:\n%s\n%s", old, s)
	}
	m.bodies[id] = s
	m.attempts[id]++
	f := m.faults(id-m.first, m.attempts[id])
	m.open++
	m.most = max(m.most, m.open)
	m.mu.Unlock()
	defer func() { m.mu.Lock(); m.open--; m.mu.Unlock() }()
	switch f {
	case loseRequest:
		pause(r, 100*time.Millisecond)
		return nil, errNet
	case late:
		pause(r, time.Second)
	case recoverable:
		return response(200, bodyStart+"type='error'/>"), nil
	}
	m.mu.Lock()
	ready := m.waiting[id]
	if ready == nil {
		ready = make(chan struct{})
		m.waiting[id] = ready
		m.put[id] = e
	}
	for m.put[m.done+1] != nil {
		m.take(m.done + 1)
	}
	m.mu.Unlock()
	wait := time.NewTimer(60 * time.Second)
	defer wait.Stop()
	select {
	case <-ready:
	case <-r.Context().Done():
		return nil, r.Context().Err()
	case <-wait.C:
		m.mu.Lock()
		if i := slices.Index(m.held, id); i >= 0 {
			m.held = slices.Delete(m.held, i, i+1)
			m.answer(id, "", nil)
		}
		m.mu.Unlock()
		<-ready
	}
	if f == loseAnswer {
		return nil, errNet
	}
	if f == lateAnswer {
		pause(r, time.Second)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return response(200, m.answers[id]), nil
}

// pause is how long something takes that nobody waits for if the request is given up.
func pause(r *http.Request, d time.Duration) {
	select {
	case <-time.After(d):
	case <-r.Context().Done():
	}
}

// take takes a request that is next: each element is echoed.
func (m *manager) take(id uint64) {
	e := m.put[id]
	m.done = id
	m.log = append(m.log, m.bodies[id])
	m.held = append(m.held, id)
	for _, c := range e.ChildElements() {
		m.got = append(m.got, text(m.t, c))
		m.out = append(m.out, text(m.t, c))
	}
	switch {
	case e.SelectAttrValue("type", "") == "terminate":
		m.over = true
		for _, h := range m.held {
			m.answer(h, "type='terminate'", m.out)
			m.out = nil
		}
		m.held = nil
		return
	case id == m.first:
		a := sessionStart[len(bodyStart):]
		if m.acks {
			a += fmt.Sprintf("ack='%d'", id)
		}
		m.held = nil
		m.answer(id, a, []string{"<stream:features/>"})
		return
	case len(e.ChildElements()) == 0:
		m.polls = append(m.polls, time.Now())
	}
	m.flush()
}

// say sends to the client.
func (m *manager) say(s ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.out = append(m.out, s...)
	m.flush()
}

func (m *manager) flush() {
	if len(m.out) > 0 && len(m.held) > 0 {
		id := m.held[0]
		m.held = m.held[1:]
		m.answer(id, "", m.out)
		m.out = nil
	}
	for len(m.held) > 1 {
		id := m.held[0]
		m.held = m.held[1:]
		m.answer(id, "", nil)
	}
}

func (m *manager) answer(id uint64, attrs string, in []string) {
	if m.acks && id != m.done && id != m.first {
		attrs += fmt.Sprintf(" ack='%d'", m.done)
	}
	m.answers[id] = bodyStart + attrs + ">" + strings.Join(in, "") + "</body>"
	close(m.waiting[id])
}
