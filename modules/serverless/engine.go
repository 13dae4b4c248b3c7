package serverless

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/miekg/dns"
)

// network carries DNS messages to everybody on the local networks.
type network interface {
	// receive waits for a packet. An error means that there will be no more.
	receive() (packet, error)
	// send sends a message to everybody on an interface, or to one address.
	send(iface int, to netip.AddrPort, b []byte)
	// links are the interfaces in use, read anew; changed reports whether they are others than before.
	links() (list []link, changed bool)
	close()
}

// link is an interface of this machine.
type link struct {
	index int
	name  string
	addrs []netip.Prefix
}

// packet is what has been received.
type packet struct {
	b     []byte
	from  netip.AddrPort
	iface int
}

const (
	ttlHost   = 120 * time.Second // of what depends on a host name, RFC 6762 section 10
	ttlOther  = 75 * time.Minute
	ttlMax    = 24 * time.Hour
	linkCheck = 15 * time.Second
)

// engine speaks multicast DNS (RFC 6762) for one service: it announces the own instance, defends its name, and collects those of others.
// It is written here because none of the Go libraries for it does all of that: change a TXT record safely while it runs, say goodbye,
// notice a conflict, tell what has changed or gone, and bound what it keeps.
type engine struct {
	net      network
	log      *slog.Logger
	maxPeers int
	renamed  func(xmpp.JID)                 // another name was taken; called with mu held
	changed  func(key string, visible bool) // something about a peer; called with mu held
	now      func() time.Time               // time.Now
	poke     chan struct{}
	wg       sync.WaitGroup

	mu     sync.Mutex // guards what follows
	links  []link
	linkAt time.Time
	own    own
	peers  map[string]*entry
	browse schedule
	ask    []dns.Question
	closed bool
}

// schedule is that of the question who is there: at once, and ever more rarely (RFC 6762 section 5.2).
type schedule struct {
	at   time.Time
	wait time.Duration
}

func newEngine(n network, log *slog.Logger, jid xmpp.JID, host string, port uint16, txt []string, maxPeers int) *engine {
	now := time.Now()
	e := &engine{net: n, log: log, maxPeers: maxPeers, now: time.Now, poke: make(chan struct{}, 1), peers: make(map[string]*entry)}
	e.links, _ = n.links()
	e.linkAt = now.Add(linkCheck)
	e.own = own{jid: jid, first: jid, host: host, port: port, txt: txt, ready: make(chan struct{}), last: make(map[int]time.Time), due: make(map[int]time.Time)}
	e.own.probeAt(now.Add(rand.N(250 * time.Millisecond)))
	e.browseAnew(now)
	return e
}

// run works until close.
func (e *engine) run(ctx context.Context) {
	e.wg.Go(func() {
		for {
			p, err := e.net.receive()
			if err != nil {
				return
			}
			e.received(p)
		}
	})
	e.wg.Go(func() {
		timer := time.NewTimer(0)
		defer timer.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
			case <-e.poke:
			}
			e.mu.Lock()
			next := e.tick(e.now())
			e.mu.Unlock()
			timer.Reset(max(0, time.Until(next)))
		}
	})
}

// close says goodbye. The ctx of run must be at its end.
func (e *engine) close() {
	e.mu.Lock()
	e.closed = true
	e.goodbye()
	e.mu.Unlock()
	e.net.close()
	e.wg.Wait()
}

func (e *engine) dirty(key string) {
	n := e.peers[key]
	e.changed(key, n != nil && n.complete())
}

func (e *engine) wake() {
	select {
	case e.poke <- struct{}{}:
	default:
	}
}

// tick does what is due and returns when it is to be called again.
func (e *engine) tick(now time.Time) time.Time {
	if e.closed { // nothing comes after the goodbye
		return now.Add(time.Hour)
	}
	if !now.Before(e.linkAt) {
		e.linkAt = now.Add(linkCheck)
		list, changed := e.net.links()
		if e.links = list; changed {
			e.announceAnew(now)
			e.browseAnew(now)
		}
	}
	next := e.linkAt
	sooner := func(t time.Time) {
		if !t.IsZero() && t.Before(next) {
			next = t
		}
	}
	sooner(e.tickOwn(now))
	if !now.Before(e.browse.at) {
		e.question(dns.Question{Name: service, Qtype: dns.TypePTR, Qclass: dns.ClassINET})
		e.browse.at = now.Add(e.browse.wait)
		e.browse.wait = min(2*e.browse.wait, time.Hour)
	}
	sooner(e.browse.at)
	sooner(e.tickPeers(now))
	if e.sendQuestions(now) {
		sooner(now.Add(100 * time.Millisecond))
	}
	return next
}

func (e *engine) browseAnew(now time.Time) {
	e.browse = schedule{at: now.Add(20*time.Millisecond + rand.N(100*time.Millisecond)), wait: time.Second}
}

// received takes in a packet.
func (e *engine) received(p packet) {
	msg := new(dns.Msg)
	if len(p.b) > 9000 || msg.Unpack(p.b) != nil || msg.Opcode != 0 || msg.Rcode != 0 {
		return // RFC 6762 sections 17, 18.3 and 18.11
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return
	}
	now := e.now()
	switch {
	case !msg.Response:
		e.answer(now, msg, p)
	case p.from.Port() == port: // RFC 6762 section 6
		e.ownAnswered(now, msg)
		e.learn(now, msg, p.iface)
	}
	e.wake()
}

// question asks something soon; the same only once.
func (e *engine) question(q dns.Question) {
	for _, has := range e.ask {
		if has.Qtype == q.Qtype && sameName(has.Name, q.Name) {
			return
		}
	}
	e.ask = append(e.ask, q)
}

// sendQuestions asks what is to be asked, as much as fits in a packet, and reports whether there is more.
func (e *engine) sendQuestions(now time.Time) (more bool) {
	if len(e.ask) == 0 {
		return false
	}
	n := min(len(e.ask), 8)
	m := &dns.Msg{Question: e.ask[:n:n], Compress: true}
	for _, q := range m.Question {
		if q.Qtype == dns.TypePTR {
			m.Answer = e.knownAnswers(now)
		}
	}
	e.multicast(func(link) *dns.Msg { return m })
	e.ask = append([]dns.Question(nil), e.ask[n:]...)
	return len(e.ask) > 0
}

// multicast sends a message on each interface.
func (e *engine) multicast(make func(link) *dns.Msg) {
	for _, l := range e.links {
		e.sendTo(l.index, netip.AddrPort{}, make(l))
	}
}

func (e *engine) sendTo(iface int, to netip.AddrPort, m *dns.Msg) {
	b, err := m.Pack()
	if err != nil {
		e.log.Warn("serverless: a DNS message cannot be made", "err", err)
		return
	}
	e.net.send(iface, to, b)
}

func (e *engine) link(index int) (link, bool) {
	for _, l := range e.links {
		if l.index == index {
			return l, true
		}
	}
	return link{}, false
}
