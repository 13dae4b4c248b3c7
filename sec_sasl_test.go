package xmpp_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testserver"
	"github.com/go-xmppframework/xmpp/sasl"
)

// TestSec_SASL01 offers less than before, or less than is allowed.
func TestSec_SASL01(t *testing.T) {
	checkGoroutines(t)
	offer := func(t *testing.T, mechs ...string) *testserver.Server {
		return newServer(t, testserver.Options{Mechanisms: mechs})
	}
	for _, c := range []struct {
		name          string
		before, after []string
		ok            bool
	}{
		{"the same", []string{"SCRAM-SHA-256"}, []string{"SCRAM-SHA-256", "PLAIN"}, true},
		{"stronger", []string{"SCRAM-SHA-1"}, []string{"SCRAM-SHA-512"}, true},
		{"a weaker hash", []string{"SCRAM-SHA-256"}, []string{"SCRAM-SHA-1", "PLAIN"}, false},
		{"only PLAIN", []string{"SCRAM-SHA-1"}, []string{"PLAIN"}, false},
		{"without channel binding", []string{"SCRAM-SHA-1-PLUS", "SCRAM-SHA-1"}, []string{"SCRAM-SHA-512", "SCRAM-SHA-256"}, false},
		{"PLAIN before", []string{"PLAIN"}, []string{"PLAIN"}, true},
	} {
		t.Run("later, "+c.name, func(t *testing.T) {
			first, second := offer(t, c.before...), offer(t, c.after...)
			now := first
			cfg := configFor(first, "alice")
			cfg.AllowPlain = true
			cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) { return now.Dial(ctx, network, addr) }
			s := login(t, cfg)
			for range 2 { // the pin outlives a failure
				s.Disconnect()
				now = second
				err := s.Login(within(t, 5*time.Second))
				if (err == nil) != c.ok || !c.ok && !errors.Is(err, xmpp.ErrMechanismDowngrade) {
					t.Errorf("Login returned %v", err)
				}
			}
			s.Disconnect()
			now = first
			if err := s.Login(within(t, 5*time.Second)); err != nil && c.name != "stronger" {
				t.Errorf("the first server again: %v", err)
			} else if c.name == "stronger" && !errors.Is(err, xmpp.ErrMechanismDowngrade) {
				t.Errorf("the stronger one is not pinned: %v", err)
			}
		})
	}
	for _, c := range []struct {
		name   string
		offer  []string
		change func(*xmpp.Config)
		ok     bool
	}{
		{"PLAIN is not allowed", []string{"PLAIN"}, func(*xmpp.Config) {}, false},
		{"PLAIN is allowed", []string{"PLAIN"}, func(c *xmpp.Config) { c.AllowPlain = true }, true},
		{"below the minimum", []string{"SCRAM-SHA-1", "PLAIN"}, func(c *xmpp.Config) { c.AllowPlain, c.MinMechanism = true, "SCRAM-SHA-256" }, false},
		{"at the minimum", []string{"SCRAM-SHA-256", "PLAIN"}, func(c *xmpp.Config) { c.AllowPlain, c.MinMechanism = true, "SCRAM-SHA-256" }, true},
		{"nothing known", []string{"X-FOO", "DIGEST-MD5"}, func(c *xmpp.Config) { c.AllowPlain = true }, false},
		{"nothing", []string{}, func(c *xmpp.Config) { c.AllowPlain = true }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := configFor(offer(t, c.offer...), "alice")
			c.change(&cfg)
			s := newStream(t, cfg)
			if err := s.Login(within(t, 5*time.Second)); (err == nil) != c.ok || !c.ok && !errors.Is(err, sasl.ErrNoMechanism) {
				t.Errorf("Login returned %v", err)
			}
		})
	}
	t.Run("PLAIN in clear text", func(t *testing.T) {
		cfg := configFor(newServer(t, testserver.Options{TLS: testserver.TLSNone, Mechanisms: []string{"PLAIN"}}), "alice")
		cfg.AllowPlain, cfg.TLSPolicy = true, xmpp.InsecureTLSAllowed
		if err := newStream(t, cfg).Login(within(t, 5*time.Second)); !errors.Is(err, sasl.ErrNoMechanism) {
			t.Errorf("Login returned %v", err)
		}
	})
	t.Run("a list that changes", func(t *testing.T) {
		r := newRawServer(t, func(c *rawConn) { // while nobody logs in
			c.secure(offerSASL("SCRAM-SHA-256"))
			c.say(features(offerSASL("PLAIN")))
			c.wait("</stream:stream>")
		})
		s := newStream(t, r.config())
		if err := s.Connect(within(t, 5*time.Second)); err == nil {
			_ = s.Wait(within(t, 5*time.Second))
			if err := s.AuthenticateWithPassword(within(t, 5*time.Second), secret); err == nil {
				t.Error("logged in")
			}
		}
		if c := r.done()[0]; credentialsIn(c.seen) != "" || !bytes.Contains(c.seen, []byte("<not-authorized")) {
			t.Errorf("the client sent %q", c.seen)
		}
		c, err := attempt(t, "SCRAM-SHA-256", func(c *rawConn, _ *scramSide, _ string) { // as an answer
			c.say(features(offerSASL("PLAIN")))
		})
		if !errors.Is(err, xmpp.ErrUnexpectedElement) || bytes.Contains(c.seen, []byte(b64("\x00alice\x00"+secret))) {
			t.Errorf("Login returned %v", err)
		}
	})
	t.Run("a list that the server disowns", func(t *testing.T) { // XEP-0474
		c, err := attempt(t, "SCRAM-SHA-256", func(c *rawConn, x *scramSide, first string) {
			c.challenge(x.first(first) + ",h=" + b64(strings.Repeat("x", 32)))
		})
		if !errors.Is(err, sasl.ErrDowngrade) || bytes.Contains(c.seen, []byte("<response")) {
			t.Errorf("Login returned %v", err)
		}
	})
}

// attempt logs in with one mechanism up to the first message; play goes on from there.
func attempt(t *testing.T, mech string, play func(c *rawConn, x *scramSide, first string)) (*rawConn, error) {
	t.Helper()
	var got dispatched
	r := newRawServer(t, func(c *rawConn) {
		c.secure(offerSASL(mech))
		name, first := c.auth()
		play(c, newScramSide(name), first)
	})
	failed := make(chan error, 1)
	s := newStream(t, r.config(), got.delegate(), xmpp.Delegate{Auth: notAuth(failed)})
	err := s.Login(within(t, 5*time.Second))
	if err == nil {
		t.Error("logged in")
	} else if told := soon(t, failed, time.Second, "DidNotAuthenticate"); told != err {
		t.Errorf("DidNotAuthenticate got %v, Login returned %v", told, err)
	}
	got.nothing(t, s)
	c := r.done()[0]
	if !c.ended {
		t.Error("the connection was left open")
	}
	return c, err
}

type notAuth chan error

func (notAuth) DidAuthenticate(context.Context, *xmpp.Stream)                     {}
func (c notAuth) DidNotAuthenticate(_ context.Context, _ *xmpp.Stream, err error) { c <- err }

// TestSec_SASL02 plays with the nonce: no proof is sent.
func TestSec_SASL02(t *testing.T) {
	checkGoroutines(t)
	for name, challenge := range map[string]func(nonce string) string{
		"missing":       func(string) string { return "s=AAAA,i=4096" },
		"not ours":      func(n string) string { return "r=x" + n + "y,s=AAAA,i=4096" },
		"nothing added": func(n string) string { return "r=" + n + ",s=AAAA,i=4096" },
		"cut":           func(n string) string { return "r=" + n[:len(n)-1] + ",s=AAAA,i=4096" },
		"twice":         func(n string) string { return "r=" + n + "x,r=" + n + "y,s=AAAA,i=4096" },
	} {
		for _, mech := range []string{"SCRAM-SHA-1", "SCRAM-SHA-512"} {
			t.Run(name+" "+mech, func(t *testing.T) {
				c, err := attempt(t, mech, func(c *rawConn, x *scramSide, first string) {
					x.first(first)
					c.challenge(challenge(x.nonce))
				})
				if !errors.Is(err, sasl.ErrNonce) && !errors.Is(err, sasl.ErrMalformed) {
					t.Errorf("Login returned %v", err)
				}
				if bytes.Contains(c.seen, []byte("<response")) {
					t.Errorf("a proof was sent: %q", c.seen)
				}
			})
		}
	}
}

// TestSec_SASL03 says success without having proved to know the password.
func TestSec_SASL03(t *testing.T) {
	checkGoroutines(t)
	const empty = "<success xmlns='" + nsSASL + "'/>"
	for name, play := range map[string]func(c *rawConn, x *scramSide, first string, proof func() string){
		"a empty after the proof": func(c *rawConn, x *scramSide, first string, proof func() string) { proof(); c.say(empty) },
		"a zero length": func(c *rawConn, x *scramSide, first string, proof func() string) {
			proof()
			c.say("<success xmlns='" + nsSASL + "'>=</success>")
		},
		"b wrong signature":           func(c *rawConn, x *scramSide, first string, proof func() string) { proof(); c.success("v=AAAA") },
		"c at once":                   func(c *rawConn, x *scramSide, first string, proof func() string) { c.say(empty) },
		"d with the first message":    func(c *rawConn, x *scramSide, first string, proof func() string) { c.success(x.first(first)) },
		"e with a signature, at once": func(c *rawConn, x *scramSide, first string, proof func() string) { c.success("v=AAAA") },
		"f wrong, in a challenge": func(c *rawConn, x *scramSide, first string, proof func() string) {
			proof()
			c.challenge("v=AAAA")
			c.say(empty)
		},
		"f twice": func(c *rawConn, x *scramSide, first string, proof func() string) {
			v := proof()
			c.challenge(v)
			c.auth()
			c.challenge(v)
		},
		"g an error": func(c *rawConn, x *scramSide, first string, proof func() string) { proof(); c.success("e=other-error") },
		"g an error, in a challenge": func(c *rawConn, x *scramSide, first string, proof func() string) {
			proof()
			c.challenge("e=other-error")
			c.say(empty)
		},
		"h wrong in the last byte": func(c *rawConn, x *scramSide, first string, proof func() string) { c.success(spoil(proof())) },
		"h without the last byte": func(c *rawConn, x *scramSide, first string, proof func() string) {
			v := proof()
			b, _ := base64.StdEncoding.DecodeString(v[2:])
			c.success("v=" + b64(string(b[:len(b)-1])))
		},
		"i a challenge instead of it": func(c *rawConn, x *scramSide, first string, proof func() string) {
			proof()
			c.challenge("")
			c.say(empty)
		},
		"j success in a wrong element": func(c *rawConn, x *scramSide, first string, proof func() string) {
			v := proof()
			c.say("<success xmlns='urn:wrong'>" + b64(v) + "</success>")
		},
		"k features as if it were": func(c *rawConn, x *scramSide, first string, proof func() string) {
			proof()
			c.say(header + features(offerBind))
		},
	} {
		for mech := range scramHashes {
			t.Run(name+" "+mech, func(t *testing.T) {
				c, err := attempt(t, mech, func(c *rawConn, x *scramSide, first string) {
					play(c, x, first, func() string {
						c.challenge(x.first(first))
						_, final := c.auth()
						return x.final(final)
					})
				})
				if bytes.Contains(c.seen, []byte("<iq")) || bytes.Count(c.seen, []byte("<stream:stream")) > 1 {
					t.Errorf("the client went on: %q", c.seen)
				}
				var ae *xmpp.AuthError
				if !errors.As(err, &ae) || ae.Step != "SASL" {
					t.Errorf("Login returned %v", err)
				}
			})
		}
	}
	for mech := range scramHashes {
		t.Run("f right, in a challenge "+mech, func(t *testing.T) {
			said := make(chan struct{})
			r := newRawServer(t, func(c *rawConn) {
				c.secure(offerSASL(mech))
				c.challenge(c.scram())
				c.auth()
				time.Sleep(20 * time.Millisecond)
				close(said)
				c.say(empty)
				c.bind(boundTo("alice@example.test/r"))
			})
			s := newStream(t, r.config())
			if err := s.Login(within(t, 5*time.Second)); err != nil {
				t.Fatal(err)
			}
			select {
			case <-said:
			default:
				t.Error("logged in before <success/>")
			}
		})
	}
}

// spoil changes one bit of the last byte behind "v=".
func spoil(v string) string {
	b, _ := base64.StdEncoding.DecodeString(v[2:])
	b[len(b)-1] ^= 1
	return "v=" + b64(string(b))
}

// TestSec_SASL04 asks for few or many iterations.
func TestSec_SASL04(t *testing.T) {
	checkGoroutines(t)
	for _, i := range []string{"0", "-1", "1", "4095", "1000001", "2147483647", "100000000000000000000", "4096x", "", "4096,i=4096", " 4096"} {
		t.Run(fmt.Sprintf("%q", i), func(t *testing.T) {
			begin := time.Now()
			c, err := attempt(t, "SCRAM-SHA-256", func(c *rawConn, x *scramSide, first string) {
				x.iterations = i
				c.challenge(x.first(first))
			})
			lasted(t, begin, 100*time.Millisecond, "Login")
			if !errors.Is(err, sasl.ErrIterations) && !errors.Is(err, sasl.ErrMalformed) || bytes.Contains(c.seen, []byte("<response")) {
				t.Errorf("Login returned %v", err)
			}
		})
	}
	t.Run("ends with ctx", func(t *testing.T) {
		r := newRawServer(t, func(c *rawConn) {
			c.secure(offerSASL("SCRAM-SHA-512"))
			name, first := c.auth()
			x := newScramSide(name)
			x.iterations = "1000000"
			c.challenge(x.first(first))
		})
		s := newStream(t, r.config())
		ctx, cancel := context.WithCancel(context.Background())
		var once sync.Once
		var cancelled time.Time
		if err := s.Connect(within(t, 5*time.Second)); err != nil {
			t.Fatal(err)
		}
		err := s.Authenticate(ctx, xmpp.PasswordFunc(func(context.Context) ([]byte, error) {
			once.Do(func() { time.AfterFunc(50*time.Millisecond, func() { cancelled = time.Now(); cancel() }) })
			return []byte(secret), nil
		}))
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("Authenticate returned %v", err)
		}
		lasted(t, cancelled, 100*time.Millisecond, "Authenticate after its ctx ended")
		if c := r.done()[0]; bytes.Contains(c.seen, []byte("<response")) || !c.ended {
			t.Error("the client went on")
		}
	})
}

// TestSec_SASL05 sends challenges that are none.
func TestSec_SASL05(t *testing.T) {
	checkGoroutines(t)
	encoded := map[string]string{
		"empty": "", "r": "r", "x": "x", "commas": "=,,,,", "no values": "r=,s=,i=", "NUL": "r=\x00,s=\x00,i=4096",
		"extension": "m=ext,r=%N,s=AAAA,i=4096", "keys twice": "r=%N,s=AAAA,s=AAAA,i=4096", "order": "s=AAAA,r=%N,i=4096", "no salt": "r=%N,s=,i=4096",
		"bad salt": "r=%N,s=!,i=4096", "long": "r=%N,s=AAAA,i=4096,x=" + strings.Repeat("y", 17<<10),
	}
	raw := map[string]string{
		"not base64": "!!!", "base64 with newlines": "cj14\nLHM9", "base64 with spaces": "cj14 LHM9", "unpadded": "cg", "URL alphabet": "_-_-", "stray bits": "cj==",
		"an element": "<x/>", "1 MiB": strings.Repeat("QUFB", 256<<10), "20 KiB": strings.Repeat("QUFB", 5<<10),
	}
	run := func(name string, play func(c *rawConn, x *scramSide, first string)) {
		t.Run(name, func(t *testing.T) {
			begin := time.Now()
			c, _ := attempt(t, "SCRAM-SHA-256", play)
			lasted(t, begin, 500*time.Millisecond, "Login")
			if bytes.Contains(c.seen, []byte("<response")) {
				t.Errorf("the client answered: %q", c.seen)
			}
		})
	}
	for name, data := range encoded {
		run(name, func(c *rawConn, x *scramSide, first string) {
			x.first(first)
			c.challenge(strings.ReplaceAll(data, "%N", x.nonce+"S"))
		})
	}
	for name, text := range raw {
		run(name, func(c *rawConn, x *scramSide, first string) {
			c.say("%s", "<challenge xmlns='"+nsSASL+"'>"+text+"</challenge>")
		})
	}
	run("good, but for a newline in its base64", func(c *rawConn, x *scramSide, first string) {
		text := b64(x.first(first))
		c.say("%s", "<challenge xmlns='"+nsSASL+"'>"+text[:8]+"\n"+text[8:]+"</challenge>")
	})
	for name, challenge := range map[string]string{"for ever": "again", "17 KiB": strings.Repeat("x", 17<<10)} {
		t.Run(name, func(t *testing.T) { // with a mechanism that has no limits of its own
			r := newRawServer(t, func(c *rawConn) {
				c.secure(offerSASL("X-PATIENT"))
				for c.auth(); ; c.auth() {
					c.challenge(challenge)
				}
			})
			cfg := r.config()
			cfg.Credentials = xmpp.Mechanisms(nil, sasl.Mechanism{Name: "X-PATIENT", New: func(sasl.Params) (sasl.Client, error) { return patient{}, nil }})
			if err := newStream(t, cfg).Login(within(t, 5*time.Second)); err == nil {
				t.Error("logged in")
			}
			most := map[string]int{"for ever": 10}[name]
			if n := bytes.Count(r.done()[0].seen, []byte("</response>")); n > most || n < most-1 { // the last may still have been queued
				t.Errorf("the client answered %d times, want %d", n, most)
			}
		})
	}
}

// patient is a mechanism that answers whatever it is asked.
type patient struct{}

func (patient) Start(context.Context) ([]byte, error)        { return []byte("x"), nil }
func (patient) Next(context.Context, []byte) ([]byte, error) { return []byte("y"), nil }
func (patient) Success(context.Context, []byte) error        { return nil }
