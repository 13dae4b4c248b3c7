package serverless

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testkit"
	"github.com/miekg/dns"
)

// testEngine is an engine, and what it has told.
type testEngine struct {
	*engine
	cancel context.CancelFunc

	mu     sync.Mutex
	events []string
	told   map[string]string
}

func startEngine(t testing.TB, n network, jid string, host string, maxPeers int, p Presence) *testEngine {
	t.Helper()
	txt, err := p.txt(5298)
	testkit.Must(t, err)
	e := newEngine(n, slog.New(slog.DiscardHandler), xmpp.MustParseJID(jid), host+".local.", 5298, txt, maxPeers)
	te := &testEngine{engine: e, told: make(map[string]string)}
	e.renamed = func(j xmpp.JID) { te.note("renamed " + j.String()) }
	e.changed = func(key string, visible bool) { // with the engine's lock held
		is := ""
		if visible {
			p := e.peers[key].peer()
			is = fmt.Sprintf("%s %s %q %v", p.JID, p.Status, p.Message, p.Addrs)
		}
		te.mu.Lock()
		defer te.mu.Unlock()
		if te.told[key] != is {
			te.told[key] = is
			if is == "" {
				is = "gone " + key
			}
			te.events = append(te.events, is)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	te.cancel = cancel
	e.run(ctx)
	return te
}

func (e *testEngine) note(s string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.events = append(e.events, s)
}

func (e *testEngine) stop() {
	e.cancel()
	e.close()
}

// take returns what was told since the last take.
func (e *testEngine) take() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := e.events
	e.events = nil
	return out
}

func want(t testing.TB, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

// TestAnnounce: two find each other, hear of a change, and of a goodbye.
func TestAnnounce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := new(hub)
		r := startEngine(t, h.port(), "romeo@forza", "forza-1", 9, Presence{})
		begin := time.Now()
		<-r.own.ready
		if took := time.Since(begin); took < 750*time.Millisecond || took > time.Second {
			t.Errorf("probing took %v", took)
		}
		j := startEngine(t, h.port(), "juliet.c@pronto", "pronto-1", 9, Presence{Status: Away, Message: "im Garten, \"später\""})
		<-j.own.ready
		time.Sleep(2 * time.Second)
		want(t, "romeo sees", r.take(), `juliet.c@pronto away "im Garten, \"später\"" [127.0.0.1]`)
		want(t, "juliet sees", j.take(), `romeo@forza avail "" [127.0.0.1]`)

		txt, _ := Presence{Status: DoNotDisturb}.txt(5298)
		j.setTXT(txt)
		time.Sleep(time.Second)
		want(t, "romeo sees", r.take(), `juliet.c@pronto dnd "" [127.0.0.1]`)

		// Nobody gets lost as long as he answers.
		time.Sleep(26 * time.Hour)
		want(t, "romeo sees after a day", r.take())
		want(t, "juliet sees after a day", j.take())

		j.stop()
		time.Sleep(2 * time.Second)
		want(t, "romeo sees", r.take(), "gone juliet.c@pronto")
		r.stop()
	})
}

// TestSilence: who is gone without a word is asked for, and then forgotten.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := new(hub)
		r := startEngine(t, h.port(), "romeo@forza", "forza-1", 9, Presence{})
		j := startEngine(t, h.port(), "juliet@pronto", "pronto-1", 9, Presence{})
		time.Sleep(30 * time.Second)
		r.take()
		h.setLose(func([]byte) bool { return true })
		j.stop()
		time.Sleep(time.Minute)
		want(t, "after a minute", r.take())
		var asked atomic.Int32
		h.setLose(func(b []byte) bool {
			m := new(dns.Msg)
			if m.Unpack(b) == nil && !m.Response && m.Question[0].Qtype == dns.TypeSRV {
				asked.Add(1)
			}
			return false
		})
		time.Sleep(2 * time.Minute)
		want(t, "after three", r.take(), "gone juliet@pronto")
		if n := asked.Load(); n < 3 {
			t.Errorf("asked %d times before", n)
		}
		r.stop()
	})
}

// TestConflict: one name belongs to one of them, whoever comes first, or also at the same time.
func TestConflict(t *testing.T) {
	for name, gap := range map[string]time.Duration{"later": 5 * time.Second, "at the same time": 0, "a moment later": 400 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := new(hub)
				all := make([]*testEngine, 3)
				for i := range all {
					all[i] = startEngine(t, h.port(), "romeo@forza", fmt.Sprintf("forza-%d", i), 9, Presence{})
					time.Sleep(gap)
				}
				time.Sleep(30 * time.Second)
				names := make(map[string]int)
				for _, e := range all {
					e.engine.mu.Lock()
					names[e.own.jid.String()]++
					if !e.own.up {
						t.Errorf("%s is not up", e.own.jid)
					}
					e.engine.mu.Unlock()
				}
				if len(names) != 3 || names["romeo@forza"] != 1 {
					t.Errorf("names: %v", names)
				}
				for _, e := range all {
					if n := len(e.snapshot()); n != 2 {
						t.Errorf("%s sees %d peers", e.own.jid, n)
					}
				}
				if gap > time.Second {
					want(t, "the first", slices.DeleteFunc(all[0].take(), func(s string) bool { return !strings.HasPrefix(s, "renamed") }))
				}
				for _, e := range all {
					e.stop()
				}
			})
		})
	}
}

// TestHeal: two networks, each with a romeo, become one; one of them takes another name.
func TestHeal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := new(hub)
		h.setLose(func([]byte) bool { return true })
		a := startEngine(t, h.port(), "romeo@forza", "forza-1", 9, Presence{})
		b := startEngine(t, h.port(), "romeo@forza", "forza-2", 9, Presence{})
		time.Sleep(10 * time.Second)
		h.setLose(nil)
		for _, e := range []*testEngine{a, b} {
			e.engine.mu.Lock()
			e.announceAnew(time.Now())
			e.wake()
			e.engine.mu.Unlock()
		}
		time.Sleep(30 * time.Second)
		a.stop()
		b.stop()
		if x, y := a.own.jid, b.own.jid; x == y || a.own.conflicts+b.own.conflicts != 1 || !a.own.up || !b.own.up {
			t.Errorf("%s (%v) and %s (%v)", x, a.own.up, y, b.own.up)
		}
	})
}

// announcement is what somebody else announces.
func announcement(name, host string, port uint16, ttl time.Duration, txt []string, addrs ...string) *dns.Msg {
	fqdn := escape(name) + suffix
	m := response([]dns.RR{
		&dns.PTR{Hdr: header(service, dns.TypePTR, ttl, false), Ptr: fqdn},
		&dns.SRV{Hdr: header(fqdn, dns.TypeSRV, ttl, true), Target: host, Port: port},
	})
	rr := &dns.TXT{Hdr: header(fqdn, dns.TypeTXT, ttl, true)}
	for _, s := range txt {
		rr.Txt = append(rr.Txt, escape(s))
	}
	m.Answer = append(m.Answer, rr)
	for _, a := range addrs {
		if ip := netip.MustParseAddr(a); ip.Is4() {
			m.Extra = append(m.Extra, &dns.A{Hdr: header(host, dns.TypeA, ttl, true), A: ip.AsSlice()})
		} else {
			m.Extra = append(m.Extra, &dns.AAAA{Hdr: header(host, dns.TypeAAAA, ttl, true), AAAA: ip.AsSlice()})
		}
	}
	return m
}

func pack(t testing.TB, m *dns.Msg) []byte {
	t.Helper()
	b, err := m.Pack()
	testkit.Must(t, err)
	return b
}

// TestSec_Announcements: what is announced is bounded, on the local network, and of people.
func TestSec_Announcements(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := new(hub)
		r := startEngine(t, h.port(), "romeo@forza", "forza-1", 50, Presence{})
		<-r.own.ready
		ok := []string{"txtvers=1"}
		for _, m := range []*dns.Msg{
			announcement("elsewhere@pronto", "w.local.", 1, time.Minute, ok, "8.8.8.8", "2001:db8::1", "0.0.0.0", "224.0.0.1"),
			announcement("no port@pronto", "x.local.", 1, time.Minute, ok, "127.0.0.2"),
			announcement("noport@pronto", "x.local.", 0, time.Minute, ok, "127.0.0.2"),
			announcement("pronto", "x.local.", 1, time.Minute, ok, "127.0.0.2"),
			announcement("juliet@pronto/x", "x.local.", 1, time.Minute, ok, "127.0.0.2"),
			announcement("\x00\xff@pronto", "x.local.", 1, time.Minute, ok, "127.0.0.2"),
			announcement("<a>@pronto", "x.local.", 1, time.Minute, ok, "127.0.0.2"),
			announcement("unheard@pronto", "x.local.", 1, 0, ok, "127.0.0.2"),
		} {
			h.multicast(pack(t, m))
		}
		time.Sleep(time.Second)
		want(t, "bad ones", r.take())

		m := announcement("Juliet@pronto", "y.local.", 1, time.Minute, []string{"MSG=a", "msg=b", "nick=\x1b[2J", "1st=\xff", "status=asleep", "last", "=x", "jid=" + strings.Repeat("j", 251)}, "127.0.0.3", "8.8.4.4")
		for i := range 60 {
			m.Extra = append(m.Extra, &dns.A{Hdr: header("y.local.", dns.TypeA, time.Minute, true), A: []byte{127, 1, 0, byte(i)}})
		}
		h.multicast(pack(t, m))
		time.Sleep(time.Second)
		p := r.snapshot()
		if len(p) != 1 || p[0].JID.String() != "juliet@pronto" || p[0].Message != "a" || p[0].Nick != "" || p[0].FirstName != "" || p[0].Status != Available || len(p[0].JID.String()) != 13 {
			t.Fatalf("%+v", p)
		}
		if len(p[0].Addrs) != maxAddrs || slices.Contains(p[0].Addrs, netip.MustParseAddr("8.8.4.4")) {
			t.Errorf("%d addresses: %v", len(p[0].Addrs), p[0].Addrs)
		}

		h.multicast(pack(t, announcement("ÉMILE@pronto", "e.local.", 1, time.Minute, ok, "127.0.0.5")))
		h.multicast(pack(t, announcement("émile@pronto", "f.local.", 2, time.Minute, ok, "127.0.0.6"))) // the same address for us, another name for DNS
		time.Sleep(time.Second)
		if p := r.snapshot(); len(p) != 2 || p[1].Port != 1 || !slices.Equal(p[1].Addrs, []netip.Addr{netip.MustParseAddr("127.0.0.5")}) {
			t.Errorf("two spellings: %+v", p)
		}

		for i := range 5000 { // more than there is room for
			h.multicast(pack(t, announcement(fmt.Sprintf("u%d@pronto", i), "z.local.", 1, time.Minute, ok, "127.0.0.4")))
			if i%100 == 0 {
				synctest.Wait()
			}
		}
		for i := range 5000 { // without what belongs to them
			m := announcement(fmt.Sprintf("v%d@pronto", i), "z.local.", 1, time.Hour, ok)
			m.Answer = m.Answer[:1]
			h.multicast(pack(t, m))
			if i%100 == 0 {
				synctest.Wait()
			}
		}
		time.Sleep(time.Second)
		r.engine.mu.Lock()
		n, ask := len(r.peers), len(r.ask)
		r.engine.mu.Unlock()
		if n != 50 || ask > 200 {
			t.Errorf("%d peers, %d questions", n, ask)
		}
		time.Sleep(2 * time.Minute)
		if n := len(r.snapshot()); n != 0 {
			t.Errorf("%d peers that are silent", n)
		}
		r.stop()
	})
}

// TestSec_Packets: no packet does harm, whatever is in it.
func TestSec_Packets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := new(hub)
		r := startEngine(t, h.port(), "romeo@forza", "forza-1", 50, Presence{})
		<-r.own.ready
		rng := rand.New(rand.NewPCG(1, 2))
		query := new(dns.Msg)
		query.Question = []dns.Question{{Name: service, Qtype: dns.TypePTR, Qclass: dns.ClassINET}, {Name: r.own.name(), Qtype: dns.TypeANY, Qclass: dns.ClassINET}}
		seeds := [][]byte{pack(t, query), pack(t, announcement("juliet@pronto", "y.local.", 1, time.Minute, []string{"msg=a"}, "127.0.0.3")), {}, make([]byte, 9000)}
		for i := range 20000 {
			b := slices.Clone(seeds[rng.IntN(len(seeds))])
			for range rng.IntN(8) {
				if len(b) > 0 {
					b[rng.IntN(len(b))] = byte(rng.Uint32())
				}
			}
			if len(b) > 0 && rng.IntN(4) == 0 {
				b = b[:rng.IntN(len(b))]
			}
			h.multicast(b)
			if i%1000 == 0 {
				time.Sleep(time.Second)
			}
		}
		time.Sleep(time.Minute)
		r.engine.mu.Lock()
		if !r.own.up || len(r.peers) > 50 {
			t.Errorf("up: %v, %d peers", r.own.up, len(r.peers))
		}
		r.engine.mu.Unlock()
		r.stop()
	})
}

// TestSec_Questions: however much is asked, there is one answer in a quarter of a second.
func TestSec_Questions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := new(hub)
		r := startEngine(t, h.port(), "romeo@forza", "forza-1", 50, Presence{})
		<-r.own.ready
		time.Sleep(5 * time.Second)
		var answers atomic.Int32
		h.setLose(func(b []byte) bool {
			m := new(dns.Msg)
			if m.Unpack(b) == nil && m.Response {
				answers.Add(1)
			}
			return false
		})
		for range 1000 {
			m := new(dns.Msg)
			m.Question = []dns.Question{{Name: service, Qtype: dns.TypePTR, Qclass: dns.ClassINET}, {Name: r.own.name(), Qtype: dns.TypeANY, Qclass: dns.ClassINET}}
			h.multicast(pack(t, m))
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Second)
		h.setLose(nil)
		if n := answers.Load(); n < 2 || n > 6 {
			t.Errorf("%d answers in a second", n)
		}
		r.stop()
	})
}

// TestQuestions: everything that can be asked, also by who speaks ordinary DNS.
func TestQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := new(hub)
		port := h.port()
		r := startEngine(t, port, "romeo@forza", "forza-1", 50, Presence{})
		<-r.own.ready
		time.Sleep(5 * time.Second)
		for _, tt := range []struct {
			name  string
			typ   uint16
			known bool
			want  bool
		}{
			{service, dns.TypePTR, false, true},
			{strings.ToUpper(service), dns.TypePTR, false, true},
			{service, dns.TypePTR, true, false},
			{service, dns.TypeTXT, false, false},
			{allOf, dns.TypePTR, false, true},
			{r.own.name(), dns.TypeSRV, false, true},
			{`romeo\@forza._presence._tcp.local.`, dns.TypeTXT, false, true},
			{r.own.name(), dns.TypeMX, false, false},
			{"FORZA-1.local.", dns.TypeA, false, true},
			{"forza-2.local.", dns.TypeA, false, false},
			{"_http._tcp.local.", dns.TypePTR, false, false},
		} {
			var got atomic.Int32
			h.setLose(func(b []byte) bool {
				m := new(dns.Msg)
				if m.Unpack(b) == nil && m.Response {
					got.Add(1)
				}
				return false
			})
			m := &dns.Msg{Question: []dns.Question{{Name: tt.name, Qtype: tt.typ, Qclass: dns.ClassINET}}}
			m.Id = 7
			if tt.known {
				m.Answer = []dns.RR{&dns.PTR{Hdr: header(service, dns.TypePTR, ttlOther, false), Ptr: r.own.name()}}
			}
			h.multicast(pack(t, m))
			time.Sleep(3 * time.Second)
			if n := got.Load(); (n > 0) != tt.want {
				t.Errorf("%s %s, known %v: %d answers", tt.name, dns.TypeToString[tt.typ], tt.known, n)
			}
			port.in <- packet{pack(t, m), netip.MustParseAddrPort("127.0.0.1:40000"), 1}
			synctest.Wait()
			select {
			case b := <-port.sent:
				a := new(dns.Msg)
				if err := a.Unpack(b); err != nil || a.Id != 7 || len(a.Question) != 1 || !tt.want {
					t.Errorf("%s by ordinary DNS: %v %v", tt.name, err, a)
				}
			default:
				if tt.want {
					t.Errorf("%s by ordinary DNS: no answer", tt.name)
				}
			}
			port.in <- packet{pack(t, m), netip.MustParseAddrPort("8.8.8.8:40000"), 1}
			synctest.Wait()
			if len(port.sent) > 0 {
				t.Fatalf("%s: answered to the outside", tt.name)
			}
		}
		h.setLose(nil)
		r.stop()
	})
}
