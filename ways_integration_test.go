package xmpp_test

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/ping"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// realWay is a way into a real server.
type realWay struct {
	name   string
	domain string // of accounts
	cfg    xmpp.Config
	comp   bool
	bosh   bool
}

// realWays are those that a server has, each with an account of its own.
func realWays(t *testing.T, srv *integration.Server) []realWay {
	t.Helper()
	overTCP := func(p integration.Port) xmpp.Config { return realConfig(t, srv, integration.Lean, p) }
	over := func(way xmpp.Transport) xmpp.Config {
		cfg := overTCP(integration.STARTTLS)
		cfg.Host, cfg.Port, cfg.Transports = "", 0, []xmpp.Transport{way}
		return cfg
	}
	ways := []realWay{
		{name: "STARTTLS", cfg: overTCP(integration.STARTTLS)},
		{name: "direct TLS", cfg: overTCP(integration.DirectTLS)},
		{name: "WebSocket", cfg: over(xmpp.WebSocket(srv.WebSocket(true)))},
	}
	bosh := realConfig(t, srv, integration.Full, integration.STARTTLS) // where all servers have it
	bosh.Host, bosh.Port, bosh.Transports = "", 0, []xmpp.Transport{xmpp.BOSH(srv.BOSH(true))}
	ways = append(ways, realWay{name: "BOSH", domain: integration.Full, cfg: bosh, bosh: true})
	if srv.Kind.Has(integration.Compression) {
		cfg := overTCP(integration.STARTTLS)
		cfg.InsecureCompression = true
		ways = append(ways, realWay{name: "zlib", cfg: cfg})
	}
	cfg := overTCP(integration.STARTTLS)
	cfg.JID, cfg.Credentials, cfg.Component = xmpp.MustParseJID(integration.ComponentLean), xmpp.Password(integration.ComponentSecret), true
	cfg.Port = int(srv.Port(integration.Component))
	return append(ways, realWay{name: "component", cfg: cfg, comp: true})
}

// realPair sends numbered messages both ways, all at once, and looks at their order.
func realPair(t *testing.T, a, b *xmpp.Stream, inA, inB *inbox, from, n int) {
	t.Helper()
	ctx := within(t, 30*time.Second)
	aJID, bJID := a.MyJID(), b.MyJID()
	var wg sync.WaitGroup
	for _, x := range []struct {
		s  *xmpp.Stream
		to xmpp.JID
	}{{a, bJID}, {b, aJID}} {
		wg.Go(func() {
			for i := range n {
				if err := x.s.Send(ctx, stanza.NewMessage(stanza.Chat, x.to, strconv.Itoa(from+i))); err != nil {
					t.Errorf("message %d: %v", i, err)
					return
				}
			}
		})
	}
	wg.Wait()
	for who, in := range map[string]*inbox{"alice": inA, "bob": inB} {
		in.wait(from + n)
		if from == 0 {
			wantNumbers(t, who, in.take(), n)
		}
	}
}

// TestIntegrationWays: messages, presence, requests and ends over every transport of real servers.
func TestIntegrationWays(t *testing.T) {
	integration.EachAtOnce(t, func(t *testing.T, srv *integration.Server) {
		for _, way := range realWays(t, srv) {
			t.Run(way.name, func(t *testing.T) {
				realSession(t, srv, way)
			})
		}
	})
}

func realSession(t *testing.T, srv *integration.Server, way realWay) {
	var inA, inB inbox
	presences := make(chan string, 100)
	rec := newRecorder()
	quiet := xmpp.DelegateOf(rec)
	bob := login(t, realConfig(t, srv, cmp.Or(way.domain, integration.Lean), integration.STARTTLS), inB.delegate())
	bob.AddDelegate(xmpp.Delegate{Presence: xmpp.PresenceFunc(func(_ context.Context, s *xmpp.Stream, p *stanza.Presence) {
		if p.From().Bare() != s.MyJID().Bare() {
			presences <- string(p.Type()) + " " + p.From().String()
		}
	})})
	if !way.comp {
		way.cfg.JID, _ = way.cfg.JID.WithResource("desk")
	}
	p := ping.New(ping.Config{})
	alice := newStream(t, way.cfg, quiet, inA.delegate())
	for _, x := range []struct {
		s *xmpp.Stream
		m xmpp.Module
	}{{alice, p}, {bob, ping.New(ping.Config{})}} {
		if err := x.m.Activate(x.s); err != nil {
			t.Fatal(err)
		}
	}
	ctx := within(t, 60*time.Second)
	start := time.Now()
	if err := alice.Login(ctx); err != nil {
		t.Fatal(err)
	}
	t.Log(time.Since(start), alice.MyJID(), alice.Security())

	realPair(t, alice, bob, &inA, &inB, 0, 200)
	r, err := alice.SendReceipt(ctx, stanza.NewMessage(stanza.Chat, bob.MyJID(), "<&>'\"]]> ünï 🦆"))
	if err != nil {
		t.Fatal(err)
	}
	if st, err := r.Wait(ctx); st != xmpp.ReceiptWritten || err != nil {
		t.Errorf("the receipt says %v, %v", st, err)
	}
	if inB.wait(1); strings.Join(inB.take(), "") != "<&>'\"]]> ünï 🦆" {
		t.Error("the message came otherwise")
	}

	for _, typ := range []stanza.PresenceType{stanza.Available, stanza.Unavailable} {
		if err := alice.Send(ctx, stanza.NewPresence(typ, bob.MyJID())); err != nil {
			t.Fatal(err)
		}
		if got, want := soon(t, presences, 10*time.Second, "presence"), string(typ)+" "+alice.MyJID().String(); got != want {
			t.Errorf("presence %q, want %q", got, want)
		}
	}

	server := bob.MyJID().DomainJID()
	// ejabberd 26 keeps its own answers to a component for itself ("IQ not forwarded: Component seems disconnected").
	answers := !way.comp || srv.Kind != integration.Ejabberd26
	if answers {
		if _, err := p.SendPingToJID(ctx, server); err != nil {
			t.Errorf("ping: %v", err)
		}
	}
	if _, err := p.SendPingToJID(ctx, bob.MyJID()); err != nil {
		t.Errorf("ping to bob: %v", err)
	}
	var se *stanza.Error
	if answers {
		if _, err := alice.SendIQ(ctx, stanza.NewIQ(stanza.Get, server, stanza.New("x", "urn:unknown"))); !errors.As(err, &se) {
			t.Errorf("an unknown request: %v", err)
		}
	}
	for _, s := range []*xmpp.Stream{alice, bob} {
		if _, err := s.HandleIQ(stanza.Set, "urn:q", "q", nil, func(ctx context.Context, s *xmpp.Stream, iq *stanza.IQ) {
			_ = s.Send(ctx, iq.Result(stanza.New("r", "urn:q").T(iq.Payload().Text())))
		}); err != nil {
			t.Fatal(err)
		}
	}
	for _, pair := range [][2]*xmpp.Stream{{alice, bob}, {bob, alice}} {
		to := pair[1].MyJID()
		res, err := pair[0].SendIQ(ctx, stanza.NewIQ(stanza.Set, to, stanza.New("q", "urn:q").T("<x>")))
		if err != nil || res.From() != to || res.Payload().Text() != "<x>" {
			t.Errorf("%v answered %v, %v", to, res, err)
		}
		if _, err := pair[0].SendIQ(ctx, stanza.NewIQ(stanza.Get, to, stanza.New("q", "urn:q"))); !errors.Is(err, stanza.ServiceUnavailable) {
			t.Errorf("%v answered %v", to, err)
		}
	}
	if limits := stanza.Child(alice.Features(), "limits", "urn:xmpp:stream-limits:0"); limits != nil {
		n := stanza.TextInt(stanza.Child(limits, "max-bytes", "urn:xmpp:stream-limits:0"), 0)
		if err := alice.Send(ctx, stanza.NewMessage(stanza.Chat, bob.MyJID(), strings.Repeat("x", int(n)))); n > 0 && !errors.Is(err, xmpp.ErrStanzaTooBig) {
			t.Errorf("more than %d bytes: %v", n, err)
		}
	}

	if !way.comp { // the server ends the older of two sessions with one resource
		second := newStream(t, way.cfg)
		if err := second.Login(ctx); err != nil {
			t.Fatal(err)
		}
		rec.until(t, "DidDisconnect")
		var e *xmpp.StreamError
		if err := rec.err("DidDisconnect"); !errors.As(err, &e) || e.Condition != "conflict" || e.Local {
			t.Errorf("DidDisconnect got %v", err)
		}
		if err := second.Close(ctx); err != nil {
			t.Errorf("Close of the second: %v", err)
		}
		if err := alice.Login(ctx); err != nil {
			t.Fatal(err)
		}
	}
	alice.Disconnect()
	rec.until(t, "DidDisconnect")
	if err := rec.err("DidDisconnect"); err != nil {
		t.Errorf("after Disconnect DidDisconnect got %v", err)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		err := alice.Login(ctx)
		if err == nil {
			break
		}
		if time.Now().After(end) || !way.comp { // until the server knows that the component has gone
			t.Fatal(err)
		}
	}
	inA.take()
	inB.take()
	realPair(t, alice, bob, &inA, &inB, 0, 5)
	start = time.Now()
	if err := alice.Close(ctx); err != nil {
		t.Errorf("Close: %v", err)
	}
	lasted(t, start, time.Second, "Close")
	rec.until(t, "DidDisconnect")
	if err := rec.err("DidDisconnect"); err != nil {
		t.Errorf("after Close DidDisconnect got %v", err)
	}
}

// TestIntegrationWaysResume breaks every connection while messages go both ways: with stream management the session is resumed, over BOSH
// it has never ended; nothing is lost or doubled.
func TestIntegrationWaysResume(t *testing.T) {
	integration.EachAtOnce(t, func(t *testing.T, srv *integration.Server) {
		for _, way := range realWays(t, srv) {
			if way.comp {
				continue
			}
			t.Run(way.name, func(t *testing.T) {
				var inA, inB inbox
				bob := login(t, realConfig(t, srv, cmp.Or(way.domain, integration.Lean), integration.STARTTLS), inB.delegate())
				dialer := new(xmpptest.FaultDialer)
				way.cfg.Dial = dialer.DialContext
				rec := newRecorder()
				alice := newStream(t, way.cfg, xmpp.DelegateOf(rec), inA.delegate())
				m := sm.New(sm.Config{})
				if err := m.Activate(alice); err != nil {
					t.Fatal(err)
				}
				ctx := within(t, 60*time.Second)
				if err := alice.Login(ctx); err != nil {
					t.Fatal(err)
				}
				jid := alice.MyJID()
				const drops, each = 1, 40 // ejabberd takes a second for each
				for d := range drops {
					for i := range each {
						if i == each/2 {
							dialer.Reset()
						}
						n := strconv.Itoa(d*each + i)
						if err := alice.Send(ctx, stanza.NewMessage(stanza.Chat, bob.MyJID(), n)); err != nil {
							t.Fatal(err)
						}
						if err := bob.Send(ctx, stanza.NewMessage(stanza.Chat, jid, n)); err != nil {
							t.Fatal(err)
						}
					}
					if !way.bosh {
						rec.until(t, "DidDisconnect")
						// Then all of bob's are where alice's session waits: ejabberd may lose what comes in the instant of a resumption.
						if _, err := bob.SendIQ(ctx, stanza.NewIQ(stanza.Get, bob.MyJID().DomainJID(), stanza.New("ping", ping.NS))); err != nil {
							t.Error(err)
						}
						if err := alice.Login(ctx); err != nil {
							t.Fatal(err)
						}
					}
				}
				for who, in := range map[string]*inbox{"alice": &inA, "bob": &inB} {
					in.wait(drops * each)
					got := in.take()
					if way.bosh && who == "alice" {
						got = lossy(t, srv, got, drops*each, func() string {
							if err := bob.Send(ctx, stanza.NewMessage(stanza.Chat, jid, "the end")); err != nil {
								t.Error(err)
							}
							in.wait(1)
							return strings.Join(in.take(), " ")
						})
					}
					wantNumbers(t, who, got, drops*each)
				}
				if st := m.Stats(); !way.bosh && (st.Resumed != drops || st.Sessions != 1) || alice.MyJID() != jid || dialer.Cuts() == 0 {
					t.Errorf("%+v, %v, %d cuts", st, alice.MyJID(), dialer.Cuts())
				}
				if err := alice.Close(ctx); err != nil {
					t.Error(err)
				}
			})
		}
	})
}

// TestIntegrationCertificate logs in by a certificate, where the servers ask for one; one of somebody else's is good for nothing.
func TestIntegrationCertificate(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		checkGoroutines(t)
		cfg := realConfig(t, srv, integration.CertHost, integration.ClientCert)
		other := realConfig(t, srv, integration.CertHost, integration.ClientCert)
		cfg.Credentials = xmpp.Certificate(srv.ClientCertificate(t, cfg.JID.String()))
		s := login(t, cfg)
		if sec := s.Security(); sec.Mechanism != "EXTERNAL" || s.MyJID().Bare() != cfg.JID {
			t.Errorf("logged in as %v, %+v", s.MyJID(), sec)
		}
		if _, err := s.SendIQ(within(t, 10*time.Second), stanza.NewIQ(stanza.Get, xmpp.JID{}, stanza.New("query", "jabber:iq:roster"))); err != nil {
			t.Error(err)
		}
		for name, creds := range map[string]xmpp.Credentials{
			"of somebody else": xmpp.Certificate(srv.ClientCertificate(t, other.JID.String())), "that is not trusted": xmpp.Certificate(srv.RogueCertificate(t, cfg.JID.String())),
		} {
			c := cfg
			c.Credentials = creds
			bad := newStream(t, c)
			err := bad.Login(within(t, 10*time.Second))
			t.Logf("%s: %v", name, err)
			if err == nil && bad.MyJID().Bare() == cfg.JID {
				t.Errorf("logged in as %v with a certificate %s", bad.MyJID(), name)
			}
		}
	}, integration.External)
}

// lossy looks at what came over BOSH, where a server sees to answers that were lost: ejabberd says again what it does not know to have arrived,
// Prosody does not, so there it only has to be in order. What is said later arrives.
func lossy(t *testing.T, srv *integration.Server, got []string, n int, more func() string) []string {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; {
		last := strings.Fields(strings.ReplaceAll(more(), "the end", "end"))
		if i := slices.Index(last, "end"); i >= 0 {
			got = append(got, last[:i]...)
			break
		}
		if got = append(got, last...); time.Now().After(end) {
			t.Error("nothing arrives any more")
			break
		}
	}
	got = once(got)
	if !srv.Kind.IsProsody() {
		return got
	}
	at := -1
	for _, b := range got {
		i, err := strconv.Atoi(b)
		if err != nil || i <= at {
			t.Errorf("out of order: %q", got)
		}
		at = i
	}
	got = got[:0]
	for i := range n {
		got = append(got, strconv.Itoa(i))
	}
	return got
}

// once leaves out what has come before.
func once(bodies []string) (out []string) {
	for _, b := range bodies {
		if !slices.Contains(out, b) {
			out = append(out, b)
		}
	}
	return out
}
