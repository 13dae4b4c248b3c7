package serverless

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

var (
	group4 = netip.MustParseAddr("224.0.0.251") // RFC 6762 section 3
	group6 = netip.MustParseAddr("ff02::fb")
)

// sockets is the network of this machine. Port 5353 is shared with whoever else on it speaks multicast DNS.
type sockets struct {
	only []net.Interface // empty: all
	v4   *ipv4.PacketConn
	v6   *ipv6.PacketConn
	in   chan packet
	done chan struct{}
	once sync.Once
	wg   sync.WaitGroup

	mu     sync.Mutex // guards what follows
	joined map[int]bool
	last   []link
}

var errNoMulticast = errors.New("serverless: no network interface that does multicast")

// openNetwork is replaced in tests.
var openNetwork = func(only []net.Interface) (network, error) {
	s, err := listen(only)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// listen opens the sockets. It fails if there is no interface to use.
func listen(only []net.Interface) (*sockets, error) {
	s := &sockets{only: only, in: make(chan packet), done: make(chan struct{}), joined: make(map[int]bool)}
	c4, err4 := net.ListenUDP("udp4", &net.UDPAddr{IP: group4.AsSlice(), Port: port}) // the group makes Go share the port
	c6, err6 := net.ListenUDP("udp6", &net.UDPAddr{IP: group6.AsSlice(), Port: port})
	if err4 != nil && err6 != nil {
		return nil, errors.Join(err4, err6)
	}
	if err4 == nil {
		s.v4 = ipv4.NewPacketConn(c4)
		err4 = errors.Join(s.v4.SetControlMessage(ipv4.FlagInterface|ipv4.FlagDst, true), s.v4.SetMulticastTTL(255),
			s.v4.SetTTL(255), s.v4.SetMulticastLoopback(true)) // RFC 6762 section 11
	}
	if err6 == nil {
		s.v6 = ipv6.NewPacketConn(c6)
		err6 = errors.Join(s.v6.SetControlMessage(ipv6.FlagInterface|ipv6.FlagDst, true), s.v6.SetMulticastHopLimit(255),
			s.v6.SetHopLimit(255), s.v6.SetMulticastLoopback(true))
	}
	list, _ := s.links()
	if len(list) == 0 {
		s.close()
		return nil, errors.Join(errNoMulticast, err4, err6)
	}
	if s.v4 != nil {
		s.wg.Go(func() {
			s.read(func(b []byte) (int, int, net.IP, net.Addr, error) {
				n, cm, from, err := s.v4.ReadFrom(b)
				if cm == nil {
					return n, 0, nil, from, err
				}
				return n, cm.IfIndex, cm.Dst, from, err
			})
		})
	}
	if s.v6 != nil {
		s.wg.Go(func() {
			s.read(func(b []byte) (int, int, net.IP, net.Addr, error) {
				n, cm, from, err := s.v6.ReadFrom(b)
				if cm == nil {
					return n, 0, nil, from, err
				}
				return n, cm.IfIndex, cm.Dst, from, err
			})
		})
	}
	return s, nil
}

// read passes packets on, those that came from the local network (RFC 6762 section 11).
func (s *sockets) read(from func([]byte) (int, int, net.IP, net.Addr, error)) {
	b := make([]byte, 9001)
	for {
		n, index, dst, addr, err := from(b)
		if err != nil {
			select {
			case <-s.done:
				return
			default:
			}
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue
		}
		ua, ok := addr.(*net.UDPAddr)
		if !ok {
			continue
		}
		src := ua.AddrPort()
		src = netip.AddrPortFrom(src.Addr().Unmap(), src.Port())
		l, ok := s.link(&index, src.Addr())
		if !ok || !dst.IsMulticast() && !onLink(l, src.Addr()) {
			continue
		}
		select {
		case s.in <- packet{append([]byte(nil), b[:n]...), src, index}:
		case <-s.done:
			return
		}
	}
}

// link finds the interface of a packet; where the system does not tell, by its sender.
func (s *sockets) link(index *int, src netip.Addr) (link, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.last {
		if l.index == *index || *index == 0 && onLink(l, src) {
			*index = l.index
			return l, true
		}
	}
	return link{}, false
}

func (s *sockets) receive() (packet, error) {
	select {
	case p := <-s.in:
		return p, nil
	case <-s.done:
		return packet{}, io.EOF
	}
}

func (s *sockets) send(iface int, to netip.AddrPort, b []byte) {
	send4 := func(a *net.UDPAddr) {
		if s.v4 != nil {
			_, _ = s.v4.WriteTo(b, &ipv4.ControlMessage{IfIndex: iface}, a)
		}
	}
	send6 := func(a *net.UDPAddr) {
		if s.v6 != nil {
			_, _ = s.v6.WriteTo(b, &ipv6.ControlMessage{IfIndex: iface}, a)
		}
	}
	switch {
	case !to.IsValid():
		send4(net.UDPAddrFromAddrPort(netip.AddrPortFrom(group4, port)))
		send6(net.UDPAddrFromAddrPort(netip.AddrPortFrom(group6, port)))
	case to.Addr().Is4():
		send4(net.UDPAddrFromAddrPort(to))
	default:
		send6(net.UDPAddrFromAddrPort(to))
	}
}

// links joins the groups on interfaces that are new.
func (s *sockets) links() (list []link, changed bool) {
	ifaces := s.only
	if len(ifaces) == 0 {
		ifaces, _ = net.Interfaces()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	joined := make(map[int]bool)
	for _, i := range ifaces {
		if len(s.only) == 0 && (i.Flags&net.FlagMulticast == 0 || i.Flags&(net.FlagLoopback|net.FlagPointToPoint) != 0) || i.Flags&net.FlagUp == 0 {
			continue
		}
		l := link{index: i.Index, name: i.Name}
		addrs, err := i.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				l.addrs = append(l.addrs, p)
			}
		}
		if len(l.addrs) == 0 {
			continue
		}
		if !s.joined[i.Index] {
			ok := false
			if s.v4 != nil {
				ok = s.v4.JoinGroup(&i, &net.UDPAddr{IP: group4.AsSlice()}) == nil
			}
			if s.v6 != nil {
				ok = s.v6.JoinGroup(&i, &net.UDPAddr{IP: group6.AsSlice()}) == nil || ok
			}
			if !ok {
				continue
			}
		}
		joined[i.Index] = true
		list = append(list, l)
	}
	changed = !slices.EqualFunc(list, s.last, func(a, b link) bool {
		return a.index == b.index && a.name == b.name && slices.Equal(a.addrs, b.addrs)
	})
	s.joined, s.last = joined, list
	return list, changed
}

func (s *sockets) close() {
	s.once.Do(func() {
		close(s.done)
		if s.v4 != nil {
			_ = s.v4.Close()
		}
		if s.v6 != nil {
			_ = s.v6.Close()
		}
		s.wg.Wait()
	})
}
