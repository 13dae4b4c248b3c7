package xmpp_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// internet are servers by the names of their hosts; it remembers what was dialled.
type internet struct {
	mu      sync.Mutex
	hosts   map[string]func(ctx context.Context, network, addr string) (net.Conn, error)
	dialled []string
}

func (n *internet) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	host, _, _ := net.SplitHostPort(addr)
	n.mu.Lock()
	n.dialled = append(n.dialled, addr)
	dial := n.hosts[host]
	n.mu.Unlock()
	if dial == nil {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return dial(ctx, network, addr)
}

// take is what was dialled since the last call.
func (n *internet) take() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	d := n.dialled
	n.dialled = nil
	return d
}

// redirecting are two servers of example.test, at a.test and b.test, and a client that goes to a.test.
func redirecting(t *testing.T, certB tls.Certificate, b ...xmpptest.Option) (at, bt *xmpptest.Server, n *internet, cfg xmpp.Config) {
	at = xmpptest.NewServer(t)
	bt = xmpptest.NewServer(t, append(b, xmpptest.WithCertificate(certB))...)
	at.AddAccount("alice", "alice-pw")
	bt.AddAccount("alice", "alice-pw")
	n = &internet{hosts: map[string]func(context.Context, string, string) (net.Conn, error){
		"a.test": at.Config("alice").Dial, "b.test": bt.Config("alice").Dial, "example.test": at.Config("alice").Dial,
	}}
	cfg = at.Config("alice")
	cfg.Host, cfg.Dial, cfg.NoInitialPresence = "a.test", n.Dial, true
	return at, bt, n, cfg
}

func wantDialled(t *testing.T, n *internet, want ...string) {
	t.Helper()
	if got := n.take(); !slices.Equal(got, want) {
		t.Errorf("dialled: %q, want %q", got, want)
	}
}

// TestSec_TLS08_Before: whoever is on the path can say so before TLS; it is not followed.
func TestSec_TLS08_Before(t *testing.T) {
	checkGoroutines(t)
	synctest.Test(t, func(t *testing.T) {
		at, _, n, cfg := redirecting(t, certFor(rawDomain))
		for _, policy := range []xmpp.TLSPolicy{xmpp.TLSRequired, xmpp.InsecureTLSPreferred} {
			cfg.TLSPolicy = policy
			at.SeeOtherHost(xmpptest.StepFeatures, 1, "b.test")
			s := newStream(t, cfg)
			err := s.Login(within(t, time.Minute))
			var se *xmpp.StreamError
			if !errors.As(err, &se) || se.Condition != "see-other-host" {
				t.Errorf("Login returned %v", err)
			}
			wantDialled(t, n, "a.test:5222")
			if err := s.Login(within(t, time.Minute)); err != nil { // nor the next time
				t.Error(err)
			}
			wantDialled(t, n, "a.test:5222")
		}
	})
}

// TestSec_TLS08_After: after TLS, after SASL and during a session it is followed, to a server with a certificate of the JID's domain.
func TestSec_TLS08_After(t *testing.T) {
	checkGoroutines(t)
	for certName, good := range map[string]bool{rawDomain: true, "b.test": false, "a.test": false} {
		for _, direct := range []bool{false, true} {
			for _, step := range []xmpptest.Step{xmpptest.StepSecureFeatures, xmpptest.StepSessionFeatures, xmpptest.StepSession} {
				synctest.Test(t, func(t *testing.T) {
					at, bt, n, cfg := redirecting(t, certFor(certName))
					first, second := "a.test:5222", "b.test:5222"
					if cfg.DirectTLS = direct; direct {
						cfg.Port, first, second = 5223, "a.test:5223", "b.test:5223"
					}
					rec := newRecorder()
					s := newStream(t, cfg, xmpp.DelegateOf(rec))
					if step == xmpptest.StepSession {
						if err := s.Login(within(t, time.Minute)); err != nil {
							t.Fatal(err)
						}
						at.StreamError(s.MyJID(), "see-other-host", "b.test")
						rec.until(t, "DidDisconnect")
						wantDialled(t, n, first)
					} else {
						at.SeeOtherHost(step, 1, "b.test")
					}
					err := s.Login(within(t, time.Minute))
					var ve *tls.CertificateVerificationError
					switch {
					case good && (err != nil || s.Addr() != second || len(bt.Sessions("alice")) != 1):
						t.Errorf("%v: Login returned %v, at %s", step, err, s.Addr())
					case !good && len(bt.Sessions("alice")) != 0:
						t.Errorf("%v: logged in at a server with a certificate of %s", step, certName)
					case !good && err != nil && !errors.As(err, &ve):
						t.Errorf("%v: Login returned %v", step, err)
					}
					want := []string{first, second}
					switch {
					case step == xmpptest.StepSession:
						want = []string{second}
						fallthrough
					case step == xmpptest.StepSessionFeatures:
						if !good { // the server that was configured is still there
							want = append(want, first)
						}
					}
					wantDialled(t, n, want...)
					if err == nil && (!s.IsSecure() || (s.Security().Transport == "direct TLS") != direct) {
						t.Errorf("%v: %+v", step, s.Security())
					}
				})
			}
		}
	}
}

// TestSec_TLS08_Loop sends the client to and fro: it goes along three times.
func TestSec_TLS08_Loop(t *testing.T) {
	checkGoroutines(t)
	for _, step := range []xmpptest.Step{xmpptest.StepSecureFeatures, xmpptest.StepSessionFeatures} {
		for _, times := range []int{2, -1} {
			synctest.Test(t, func(t *testing.T) {
				at, bt, n, cfg := redirecting(t, certFor(rawDomain))
				at.SeeOtherHost(step, times, "b.test")
				bt.SeeOtherHost(step, min(times, 1), "a.test:5222")
				s := newStream(t, cfg)
				err := s.Login(within(t, time.Minute))
				var se *xmpp.StreamError
				if times > 0 && err != nil || times < 0 && (!errors.As(err, &se) || se.Condition != "see-other-host") {
					t.Errorf("%v: Login returned %v", step, err)
				}
				wantDialled(t, n, "a.test:5222", "b.test:5222", "a.test:5222", "b.test:5222")
				if !s.IsAuthenticated() == (times > 0) {
					t.Errorf("%v: the stream is %v", step, s.State())
				}
			})
		}
	}
}

// TestSec_TLS08_Clear: the server that it leads to has no TLS; or the text is none of a host.
func TestSec_TLS08_Clear(t *testing.T) {
	checkGoroutines(t)
	for _, policy := range []xmpp.TLSPolicy{xmpp.TLSRequired, xmpp.InsecureTLSPreferred} { // which is for the first connection only
		synctest.Test(t, func(t *testing.T) {
			at, bt, _, cfg := redirecting(t, certFor(rawDomain), xmpptest.WithoutTLS())
			cfg.TLSPolicy = policy
			at.SeeOtherHost(xmpptest.StepSecureFeatures, 1, "b.test")
			s := newStream(t, cfg)
			if err := s.Login(within(t, time.Minute)); !errors.Is(err, xmpp.ErrTLSRequired) || len(bt.Sessions("alice")) != 0 {
				t.Errorf("Login returned %v", err)
			}
		})
	}
	for _, to := range []string{
		"", " ", "a.test", "a.test:5222", "b.test:0", "b.test:99999", "b.test:x", "http://b.test", "b.test/x", "user@b.test", "b test", "[b.test", "b.test\x7f\"", strings.Repeat("b", 256),
		"wss://b.test/ws",
	} {
		synctest.Test(t, func(t *testing.T) {
			at, _, n, cfg := redirecting(t, certFor(rawDomain))
			at.SeeOtherHost(xmpptest.StepSecureFeatures, 1, strings.ReplaceAll(to, "\x7f", ""))
			s := newStream(t, cfg)
			var se *xmpp.StreamError
			if err := s.Login(within(t, time.Minute)); !errors.As(err, &se) || se.Condition != "see-other-host" {
				t.Errorf("%q: Login returned %v", to, err)
			}
			wantDialled(t, n, "a.test:5222")
		})
	}
}

// TestSec_TLS08_IPv6: an address in brackets, with and without a port.
func TestSec_TLS08_IPv6(t *testing.T) {
	checkGoroutines(t)
	for to, want := range map[string]string{"[2001:db8::1]:5299": "[2001:db8::1]:5299", "[2001:db8::1]": "[2001:db8::1]:5222", " b.test ": "b.test:5222", "192.0.2.1:80": "192.0.2.1:80"} {
		synctest.Test(t, func(t *testing.T) {
			at, bt, n, cfg := redirecting(t, certFor(rawDomain))
			n.hosts["2001:db8::1"], n.hosts["192.0.2.1"] = func(context.Context, string, string) (net.Conn, error) {
				return bt.Config("alice").Dial(t.Context(), "tcp", "x:5222")
			}, func(context.Context, string, string) (net.Conn, error) {
				return bt.Config("alice").Dial(t.Context(), "tcp", "x:5222")
			}
			at.SeeOtherHost(xmpptest.StepSecureFeatures, 1, to)
			if err := newStream(t, cfg).Login(within(t, time.Minute)); err != nil {
				t.Error(err)
			}
			wantDialled(t, n, "a.test:5222", want)
		})
	}
}

// TestSec_TLS08_Web: WebSocket has an address for that, which must be a wss: one; the certificate there must be for the domain of the JID,
// or for the host that the client was to go to at first.
func TestSec_TLS08_Web(t *testing.T) {
	checkGoroutines(t)
	for _, step := range []xmpptest.Step{xmpptest.StepSecureFeatures, xmpptest.StepSessionFeatures} {
		for certName, good := range map[string]bool{rawDomain: true, "a.test": true, "b.test": false} {
			for to, follow := range map[string]bool{
				"wss://b.test/xmpp-websocket": true, "ws://b.test/xmpp-websocket": false, "https://b.test/http-bind": false, "http://b.test/": false,
				"wss:///xmpp-websocket": false, "wss://a.test/xmpp-websocket": false, "b.test": false,
			} {
				synctest.Test(t, func(t *testing.T) {
					_, bt, n, cfg := redirecting(t, certFor(certName))
					at := xmpptest.NewServer(t, xmpptest.WithCertificate(certFor("a.test")))
					at.AddAccount("alice", "alice-pw")
					n.hosts["a.test"] = at.Config("alice").Dial
					cfg.Transports = []xmpp.Transport{xmpp.WebSocket("wss://a.test/xmpp-websocket")}
					at.SeeOtherHost(step, 1, to)
					s := newStream(t, cfg)
					err := s.Login(within(t, time.Minute))
					back := step == xmpptest.StepSessionFeatures && !good // to the server that was configured, which is still there
					if in := len(bt.Sessions("alice")) == 1; in != (good && follow) || (err == nil) != in && !(follow && back) {
						t.Errorf("%v, certificate of %s, %s: Login returned %v, sessions there: %t", step, certName, to, err, in)
					}
					want := []string{"a.test:443"}
					if follow {
						want = append(want, "b.test:443")
					}
					if follow && back {
						want = append(want, "a.test:443")
					}
					if got := n.take(); !slices.Equal(got, want) {
						t.Errorf("%v, certificate of %s, %s: dialled %q, want %q", step, certName, to, got, want)
					}
				})
			}
		}
	}
	synctest.Test(t, func(t *testing.T) { // in the middle of a session
		at, bt, n, cfg := redirecting(t, certFor(rawDomain))
		cfg.Transports = []xmpp.Transport{xmpp.WebSocket("wss://a.test/xmpp-websocket")}
		n.hosts["a.test"] = at.Config("alice").Dial
		rec := newRecorder()
		s := login(t, cfg, xmpp.DelegateOf(rec))
		at.SendRaw(s.MyJID(), []byte("<close xmlns='urn:ietf:params:xml:ns:xmpp-framing' see-other-uri='wss://b.test/xmpp-websocket'/>"))
		rec.until(t, "DidDisconnect")
		if err := s.Login(within(t, time.Minute)); err != nil || len(bt.Sessions("alice")) != 1 {
			t.Errorf("Login returned %v", err)
		}
		if err := s.Send(within(t, time.Second), stanza.NewPresence(stanza.Available, xmpp.JID{})); err != nil {
			t.Error(err)
		}
	})
}
