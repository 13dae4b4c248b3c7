package serverless

import (
	"net/netip"
	"slices"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/miekg/dns"
)

const (
	maxAddrs   = 16               // of a peer on an interface
	maxRecords = 512              // of a packet
	maxAsks    = 4                // for what is missing of a peer
	incomplete = 15 * time.Second // how long something may be missing
)

// Peer is somebody on the local network, as announced. Nothing of it is verified.
type Peer struct {
	// JID is user@machine, the name under which the peer is announced.
	JID xmpp.JID
	// Addrs are the addresses of the machine, on the networks that this one is on, too; Port that of the streams.
	Addrs []netip.Addr
	Port  uint16
	// Presence is what the peer tells of itself.
	Presence
}

func (p Peer) equal(o Peer) bool {
	return p.JID == o.JID && p.Port == o.Port && p.Presence == o.Presence && slices.Equal(p.Addrs, o.Addrs)
}

// entry is what is known of a peer.
type entry struct {
	jid      xmpp.JID
	name     string // as others write it
	born     time.Time
	ptr, srv time.Time // when they end
	ptrTTL   time.Duration
	host     string
	port     uint16
	hasTXT   bool
	presence Presence
	addrs    map[int][]netip.Addr

	learnt  time.Time // since when srv and ptr are as they are
	refresh int       // questions asked since then
	asks    int       // for what is missing
	askAt   time.Time
}

func (n *entry) complete() bool {
	return !n.srv.IsZero() && n.hasTXT && len(n.addrs) > 0
}

func (n *entry) ends() time.Time {
	if !n.complete() {
		if t := n.born.Add(incomplete); t.Before(n.ptr) {
			return t
		}
		return n.ptr
	}
	if n.srv.Before(n.ptr) {
		return n.srv
	}
	return n.ptr
}

func (n *entry) peer() Peer {
	p := Peer{JID: n.jid, Port: n.port, Presence: n.presence}
	for _, list := range n.addrs {
		p.Addrs = append(p.Addrs, list...)
	}
	slices.SortFunc(p.Addrs, func(a, b netip.Addr) int {
		if a.IsLinkLocalUnicast() != b.IsLinkLocalUnicast() { // they are tried in this order
			if a.IsLinkLocalUnicast() {
				return 1
			}
			return -1
		}
		return a.Compare(b)
	})
	p.Addrs = slices.Compact(p.Addrs)
	return p
}

// learn takes in the records of a response.
func (e *engine) learn(now time.Time, m *dns.Msg, iface int) {
	l, ok := e.link(iface)
	if !ok {
		return
	}
	rrs := append(m.Answer[:len(m.Answer):len(m.Answer)], m.Extra...)
	rrs = rrs[:min(len(rrs), maxRecords)]
	for _, rr := range rrs {
		if ptr, ok := rr.(*dns.PTR); ok && sameName(ptr.Hdr.Name, service) {
			e.learnPTR(now, ptr)
		}
	}
	hosts := make(map[string][]netip.Addr)
	gone := make(map[string]bool)
	for _, rr := range rrs {
		switch rr := rr.(type) {
		case *dns.SRV:
			e.learnSRV(now, rr)
		case *dns.TXT:
			e.learnTXT(rr)
		case *dns.A:
			learnAddr(hosts, gone, l, rr.Hdr, rr.A)
		case *dns.AAAA:
			learnAddr(hosts, gone, l, rr.Hdr, rr.AAAA)
		}
	}
	if len(hosts)+len(gone) == 0 {
		return
	}
	for k, n := range e.peers {
		host := key(unescape(n.host))
		if list := hosts[host]; len(list) > 0 {
			slices.SortFunc(list, netip.Addr.Compare)
			n.addrs[iface] = list
			e.dirty(k)
		} else if gone[host] {
			delete(n.addrs, iface)
			e.dirty(k)
		}
	}
}

func lifetime(h dns.RR_Header) time.Duration {
	// What is taken back goes in a second, so that whoever still has it can say so (RFC 6762 section 10.1).
	return min(max(time.Duration(h.Ttl)*time.Second, time.Second), ttlMax)
}

func (e *engine) learnPTR(now time.Time, rr *dns.PTR) {
	name, ok := instance(rr.Ptr)
	if !ok || sameName(rr.Ptr, e.own.name()) {
		return
	}
	jid, err := addressOf(name)
	if err != nil || jid == e.own.jid {
		return
	}
	k := jid.String()
	n := e.peers[k]
	if n != nil && !sameName(n.name, rr.Ptr) {
		return // another spelling of the same address: who was first has it
	}
	if n == nil {
		if rr.Hdr.Ttl == 0 || len(e.peers) >= e.maxPeers {
			return
		}
		n = &entry{jid: jid, name: rr.Ptr, born: now, addrs: make(map[int][]netip.Addr), askAt: now.Add(50 * time.Millisecond)}
		e.peers[k] = n
	}
	n.ptrTTL = lifetime(rr.Hdr)
	n.ptr = now.Add(n.ptrTTL)
	n.learnt, n.refresh = now, 0
	e.dirty(k)
}

// of is the entry that a record belongs to.
func (e *engine) of(name string) (string, *entry) {
	inst, ok := instance(name)
	if !ok {
		return "", nil
	}
	jid, err := addressOf(inst)
	if err != nil {
		return "", nil
	}
	k := jid.String()
	if n := e.peers[k]; n != nil && sameName(n.name, name) {
		return k, n
	}
	return "", nil
}

func (e *engine) learnSRV(now time.Time, rr *dns.SRV) {
	k, n := e.of(rr.Hdr.Name)
	if n == nil || rr.Port == 0 && rr.Hdr.Ttl > 0 || e.ours(rr) {
		return
	}
	n.srv = now.Add(lifetime(rr.Hdr))
	if rr.Hdr.Ttl > 0 {
		if !sameName(n.host, rr.Target) {
			n.addrs = make(map[int][]netip.Addr)
		}
		n.host, n.port = rr.Target, rr.Port
	}
	n.learnt, n.refresh = now, 0
	e.dirty(k)
}

func (e *engine) learnTXT(rr *dns.TXT) {
	k, n := e.of(rr.Hdr.Name)
	if n == nil || rr.Hdr.Ttl == 0 {
		return
	}
	strs := make([]string, 0, min(len(rr.Txt), maxTXTStrings))
	for _, s := range rr.Txt[:min(len(rr.Txt), maxTXTStrings)] {
		strs = append(strs, unescape(s))
	}
	n.hasTXT, n.presence = true, readTXT(strs)
	e.dirty(k)
}

// learnAddr keeps the addresses that are on the network from which they were announced: an announcement must not send anybody elsewhere.
func learnAddr(hosts map[string][]netip.Addr, gone map[string]bool, l link, h dns.RR_Header, b []byte) {
	a, ok := netip.AddrFromSlice(b)
	host := key(unescape(h.Name))
	if a = a.Unmap(); !ok || !onLink(l, a) || len(hosts[host]) >= maxAddrs {
		return
	}
	if h.Ttl == 0 {
		gone[host] = true
		return
	}
	if a.IsLinkLocalUnicast() && a.Is6() {
		a = a.WithZone(l.name)
	}
	hosts[host] = append(hosts[host], a)
}

func onLink(l link, a netip.Addr) bool {
	a = a.WithZone("")
	return slices.ContainsFunc(l.addrs, func(p netip.Prefix) bool { return p.Contains(a) }) || a.IsLinkLocalUnicast()
}

// knownAnswers are the peers that need not tell again who they are, RFC 6762 section 7.1; as many as fit.
func (e *engine) knownAnswers(now time.Time) (out []dns.RR) {
	if e.own.up { // what is asked is heard here, too
		out = append(out, &dns.PTR{Hdr: header(service, dns.TypePTR, ttlOther, false), Ptr: e.own.name()})
	}
	for _, n := range e.peers {
		if left := n.ptr.Sub(now); n.complete() && left > n.ptrTTL/2 && len(out) < 24 {
			out = append(out, &dns.PTR{Hdr: header(service, dns.TypePTR, left, false), Ptr: n.name})
		}
	}
	return out
}

// tickPeers forgets who has not been heard of, and asks for what is missing or about to end (RFC 6762 section 5.2).
func (e *engine) tickPeers(now time.Time) (next time.Time) {
	sooner := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	for k, n := range e.peers {
		end := n.ends()
		if !now.Before(end) {
			delete(e.peers, k)
			e.dirty(k)
			continue
		}
		sooner(end)
		if !n.complete() {
			if n.asks < maxAsks && !now.Before(n.askAt) {
				n.askAt = now.Add(time.Second << n.asks)
				n.asks++
				if n.srv.IsZero() || !n.hasTXT {
					e.question(dns.Question{Name: n.name, Qtype: dns.TypeSRV, Qclass: dns.ClassINET})
					e.question(dns.Question{Name: n.name, Qtype: dns.TypeTXT, Qclass: dns.ClassINET})
				} else {
					e.question(dns.Question{Name: n.host, Qtype: dns.TypeA, Qclass: dns.ClassINET})
					e.question(dns.Question{Name: n.host, Qtype: dns.TypeAAAA, Qclass: dns.ClassINET})
				}
			}
			if n.asks < maxAsks {
				sooner(n.askAt)
			}
			continue
		}
		if n.refresh < 4 {
			life := end.Sub(n.learnt)
			at := n.learnt.Add(life * time.Duration(80+5*n.refresh) / 100)
			if !now.Before(at) && life > 2*time.Second { // else it was taken back
				n.refresh++
				if e.question(dns.Question{Name: n.name, Qtype: dns.TypeSRV, Qclass: dns.ClassINET}); !n.srv.Before(n.ptr) {
					e.question(dns.Question{Name: service, Qtype: dns.TypePTR, Qclass: dns.ClassINET})
				}
				at = n.learnt.Add(life * time.Duration(80+5*n.refresh) / 100)
			}
			if now.Before(at) {
				sooner(at)
			}
		}
	}
	return next
}
