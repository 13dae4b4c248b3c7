package serverless

import (
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
)

// hub is a local network in memory.
type hub struct {
	mu    sync.Mutex
	ports []*hubPort
	lose  func(b []byte) bool // what gets lost; nil for nothing
}

var hubLink = link{index: 1, name: "mem0", addrs: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/8")}}

// hubPort is what one node sees of it.
type hubPort struct {
	hub  *hub
	in   chan packet
	done chan struct{}
	once sync.Once
	sent chan []byte // to one address; nil if nobody looks
}

func (h *hub) open() (network, error) { return h.port(), nil }

func (h *hub) port() *hubPort {
	p := &hubPort{hub: h, in: make(chan packet, 4096), done: make(chan struct{}), sent: make(chan []byte, 16)}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ports = append(h.ports, p)
	return p
}

func (p *hubPort) receive() (packet, error) {
	select {
	case x := <-p.in:
		return x, nil
	case <-p.done:
		return packet{}, io.EOF
	}
}

func (p *hubPort) send(_ int, to netip.AddrPort, b []byte) {
	if to.IsValid() {
		select {
		case p.sent <- b:
		default:
		}
		return
	}
	p.hub.multicast(b)
}

func (h *hub) multicast(b []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lose != nil && h.lose(b) {
		return
	}
	for _, o := range h.ports {
		select {
		case o.in <- packet{append([]byte(nil), b...), netip.MustParseAddrPort("127.0.0.1:5353"), 1}:
		default:
		}
	}
}

func (p *hubPort) links() ([]link, bool) { return []link{hubLink}, false }
func (p *hubPort) close()                { p.once.Do(func() { close(p.done) }) }

func (h *hub) setLose(f func([]byte) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lose = f
}

// TestMain gives examples a network in memory, so that nobody else is on it. TestMulticast has a real one.
func TestMain(m *testing.M) {
	everybody := new(hub)
	openNetwork = func([]net.Interface) (network, error) { return everybody.open() }
	os.Exit(m.Run())
}
