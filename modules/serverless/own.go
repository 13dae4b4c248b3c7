package serverless

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"strings"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/miekg/dns"
)

const (
	probes      = 3 // RFC 6762 section 8.1
	probeEvery  = 250 * time.Millisecond
	manyRenames = 15
)

// own is the service instance of this side.
type own struct {
	jid, first xmpp.JID // the name, and the one that was wanted
	host       string   // ends in ".local."; made so that nobody else has it
	port       uint16
	txt        []string

	up        bool      // the name is ours
	probed    int       // probes sent
	left      int       // announcements to be sent
	next      time.Time // of the next probe or announcement; zero if there is none
	conflicts int
	ready     chan struct{} // closed when up for the first time

	last, due map[int]time.Time // by interface: when the records were sent last, and when they are to be sent
}

func (o *own) name() string { return escape(o.jid.String()) + suffix }

func (o *own) probeAt(t time.Time) { o.up, o.probed, o.left, o.next = false, 0, 0, t }

// tickOwn probes, announces and answers, RFC 6762 sections 8.1, 8.3 and 6.
func (e *engine) tickOwn(now time.Time) (next time.Time) {
	o := &e.own
	if !o.next.IsZero() && !now.Before(o.next) {
		switch {
		case !o.up && o.probed < probes:
			o.probed++
			o.next = now.Add(probeEvery)
			e.probe()
		case !o.up:
			o.up = true
			select {
			case <-o.ready:
			default:
				close(o.ready)
			}
			e.announceAnew(now)
			fallthrough
		default:
			if o.next = (time.Time{}); o.left > 0 {
				if o.left--; o.left > 0 {
					o.next = now.Add(time.Second)
				}
				for _, l := range e.links {
					e.sendRecords(now, l)
				}
			}
		}
	}
	next = o.next
	for index, t := range o.due {
		if l, ok := e.link(index); !ok || !o.up {
			delete(o.due, index)
		} else if !now.Before(t) {
			e.sendRecords(now, l)
		} else if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	return next
}

// announceAnew tells everybody, twice, what the records are now.
func (e *engine) announceAnew(now time.Time) {
	if e.own.up {
		e.own.left, e.own.next = 2, now
	}
}

func (e *engine) setTXT(txt []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.own.txt = txt
	e.announceAnew(e.now())
	e.wake()
}

// probe asks whether somebody has the name.
func (e *engine) probe() {
	m := &dns.Msg{Question: []dns.Question{{Name: e.own.name(), Qtype: dns.TypeANY, Qclass: dns.ClassINET}}}
	m.Ns = []dns.RR{e.own.srv(ttlHost)}
	e.multicast(func(link) *dns.Msg { return m })
}

func (e *engine) sendRecords(now time.Time, l link) {
	delete(e.own.due, l.index)
	e.own.last[l.index] = now
	e.sendTo(l.index, netip.AddrPort{}, response(e.own.records(l, ttlHost, ttlOther, true)))
}

// goodbye takes everything back, RFC 6762 section 10.1.
func (e *engine) goodbye() {
	if e.own.up {
		e.multicast(func(l link) *dns.Msg { return response(e.own.records(l, 0, 0, true)) })
	}
}

func response(answer []dns.RR) *dns.Msg {
	m := &dns.Msg{Answer: answer, Compress: true}
	m.Response, m.Authoritative = true, true
	return m
}

func header(name string, typ uint16, ttl time.Duration, unique bool) dns.RR_Header {
	h := dns.RR_Header{Name: name, Rrtype: typ, Class: dns.ClassINET, Ttl: uint32(ttl / time.Second)}
	if unique {
		h.Class |= 1 << 15 // RFC 6762 section 10.2
	}
	return h
}

func (o *own) srv(ttl time.Duration) *dns.SRV {
	return &dns.SRV{Hdr: header(o.name(), dns.TypeSRV, ttl, false), Target: o.host, Port: o.port}
}

// records are all that there is to tell on an interface: they are always sent together, so that nobody has to ask twice.
func (o *own) records(l link, host, other time.Duration, flush bool) []dns.RR {
	srv := o.srv(host)
	srv.Hdr.Class = header("", 0, 0, flush).Class
	txt := &dns.TXT{Hdr: header(o.name(), dns.TypeTXT, other, flush)}
	for _, s := range o.txt {
		txt.Txt = append(txt.Txt, escape(s))
	}
	out := []dns.RR{&dns.PTR{Hdr: header(service, dns.TypePTR, other, false), Ptr: o.name()}, srv, txt}
	for _, p := range l.addrs {
		if a := p.Addr(); a.Is4() {
			out = append(out, &dns.A{Hdr: header(o.host, dns.TypeA, host, flush), A: a.AsSlice()})
		} else {
			out = append(out, &dns.AAAA{Hdr: header(o.host, dns.TypeAAAA, host, flush), AAAA: a.AsSlice()})
		}
	}
	return out
}

// answer handles a query.
func (e *engine) answer(now time.Time, m *dns.Msg, p packet) {
	o := &e.own
	l, ok := e.link(p.iface)
	if !ok {
		return
	}
	if !o.up {
		e.compare(now, m)
		return
	}
	for _, q := range m.Question[:min(len(m.Question), 64)] {
		unique, relevant := e.asksForUs(q)
		switch {
		case !relevant || !unique && q.Qtype == dns.TypePTR && o.known(m):
			continue
		case strings.EqualFold(q.Name, allOf):
			e.reply(p, q, m.Id, []dns.RR{&dns.PTR{Hdr: header(allOf, dns.TypePTR, ttlOther, false), Ptr: service}})
		case p.from.Port() != port: // somebody who speaks ordinary DNS, RFC 6762 section 6.7
			e.reply(p, q, m.Id, o.records(l, 10*time.Second, 10*time.Second, false))
		default:
			// The name is defended at once, all else may be answered by many, and once a second is enough (RFC 6762 section 6).
			at, quiet := now.Add(20*time.Millisecond+rand.N(100*time.Millisecond)), time.Second
			if unique {
				at, quiet = now, probeEvery
			}
			if after := o.last[l.index].Add(quiet); at.Before(after) {
				at = after
			}
			if due, ok := o.due[l.index]; !ok || at.Before(due) {
				o.due[l.index] = at
			}
			continue
		}
		return // one reply is enough
	}
}

func (e *engine) reply(p packet, q dns.Question, id uint16, rrs []dns.RR) {
	m := response(rrs)
	if p.from.Port() == port {
		e.sendTo(p.iface, netip.AddrPort{}, m)
		return
	}
	if l, ok := e.link(p.iface); !ok || !onLink(l, p.from.Addr()) {
		return // never to the outside
	}
	m.Id, m.Question = id, []dns.Question{q}
	e.sendTo(p.iface, p.from, m)
}

func (e *engine) asksForUs(q dns.Question) (unique, relevant bool) {
	any := q.Qtype == dns.TypeANY
	switch {
	case strings.EqualFold(q.Name, service), strings.EqualFold(q.Name, allOf):
		return false, any || q.Qtype == dns.TypePTR
	case sameName(q.Name, e.own.name()):
		return true, any || q.Qtype == dns.TypeSRV || q.Qtype == dns.TypeTXT
	case sameName(q.Name, e.own.host):
		return true, any || q.Qtype == dns.TypeA || q.Qtype == dns.TypeAAAA
	}
	return false, false
}

// known reports whether the query says that the instance is known, RFC 6762 section 7.1.
func (o *own) known(m *dns.Msg) bool {
	for _, rr := range m.Answer {
		if ptr, ok := rr.(*dns.PTR); ok && sameName(ptr.Ptr, o.name()) && time.Duration(ptr.Hdr.Ttl)*time.Second >= ttlOther/2 {
			return true
		}
	}
	return false
}

// compare looks at the probe of somebody else who wants the name at the same time: who is behind waits (RFC 6762 section 8.2).
func (e *engine) compare(now time.Time, m *dns.Msg) {
	for _, rr := range m.Ns {
		srv, ok := rr.(*dns.SRV)
		if !ok || !sameName(srv.Hdr.Name, e.own.name()) || e.ours(srv) {
			continue
		}
		if bytes.Compare(rdata(e.own.srv(0)), rdata(srv)) < 0 {
			e.own.probeAt(now.Add(time.Second))
			return
		}
	}
}

func (e *engine) ours(srv *dns.SRV) bool {
	return srv.Port == e.own.port && sameName(srv.Target, e.own.host)
}

// rdata is what follows the header of the record, without compression.
func rdata(srv *dns.SRV) []byte {
	c := *srv
	c.Hdr = dns.RR_Header{Name: ".", Rrtype: dns.TypeSRV, Class: dns.ClassINET}
	b := make([]byte, 512)
	n, err := dns.PackRR(&c, b, 0, nil, false)
	if err != nil {
		return nil
	}
	return b[:n]
}

// ownAnswered looks for somebody else who has the name, RFC 6762 sections 8.1 and 9.
func (e *engine) ownAnswered(now time.Time, m *dns.Msg) {
	for _, rr := range append(m.Answer[:len(m.Answer):len(m.Answer)], m.Extra...) {
		srv, ok := rr.(*dns.SRV)
		if !ok || srv.Hdr.Ttl == 0 || !sameName(srv.Hdr.Name, e.own.name()) || e.ours(srv) {
			continue
		}
		o := &e.own
		if o.up { // it was ours: see who gives way
			o.probeAt(now.Add(rand.N(probeEvery)))
			return
		}
		o.conflicts++
		wait := rand.N(probeEvery)
		if o.conflicts >= manyRenames {
			wait = 5 * time.Second
		}
		o.probeAt(now.Add(wait))
		if jid, err := another(o.first, o.conflicts); err == nil {
			e.log.Info("serverless: the name is taken", "name", clip(o.jid.String()), "next", clip(jid.String()))
			o.jid = jid
			e.renamed(jid)
			e.browseAnew(now) // the other is a peer now
		}
		return
	}
}
