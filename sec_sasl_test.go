package xmpp_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/sasl"
)

// attempt logs in with one mechanism up to the first message; play goes on from there.
func attempt(t *testing.T, p profile, mech string, play func(c *rawConn, x *scramSide, first string)) (*rawConn, error) {
	t.Helper()
	return hostile(t, nil, func(c *rawConn) {
		c.profile = p
		c.secure(p.offer(mech))
		name, first := c.auth()
		play(c, newScramSide(name), first)
	})
}

type notAuth chan error

func (notAuth) DidAuthenticate(context.Context, *xmpp.Stream)                     {}
func (c notAuth) DidNotAuthenticate(_ context.Context, _ *xmpp.Stream, err error) { c <- err }

// TestSec_SASL02 plays with the nonce: no proof is sent.
func TestSec_SASL02(t *testing.T) {
	checkGoroutines(t)
	eachProfile(t, testSASL02)
}

func testSASL02(t *testing.T, p profile) {
	for name, challenge := range map[string]func(nonce string) string{
		"missing":       func(string) string { return "s=AAAA,i=4096" },
		"not ours":      func(n string) string { return "r=x" + n + "y,s=AAAA,i=4096" },
		"nothing added": func(n string) string { return "r=" + n + ",s=AAAA,i=4096" },
		"cut":           func(n string) string { return "r=" + n[:len(n)-1] + ",s=AAAA,i=4096" },
		"twice":         func(n string) string { return "r=" + n + "x,r=" + n + "y,s=AAAA,i=4096" },
	} {
		for _, mech := range []string{"SCRAM-SHA-1", "SCRAM-SHA-512"} {
			t.Run(name+" "+mech, func(t *testing.T) {
				c, err := attempt(t, p, mech, func(c *rawConn, x *scramSide, first string) {
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
	eachProfile(t, testSASL03)
}

func testSASL03(t *testing.T, p profile) {
	empty := func(c *rawConn) { c.say("%s", c.profile.encoded("")) }
	for name, play := range map[string]func(c *rawConn, x *scramSide, first string, proof func() string){
		"a empty after the proof": func(c *rawConn, x *scramSide, first string, proof func() string) { proof(); empty(c) },
		"a zero length": func(c *rawConn, x *scramSide, first string, proof func() string) {
			proof()
			c.say("%s", c.profile.encoded("="))
		},
		"b wrong signature":           func(c *rawConn, x *scramSide, first string, proof func() string) { proof(); c.success("v=AAAA") },
		"c at once":                   func(c *rawConn, x *scramSide, first string, proof func() string) { empty(c) },
		"d with the first message":    func(c *rawConn, x *scramSide, first string, proof func() string) { c.success(x.first(first)) },
		"e with a signature, at once": func(c *rawConn, x *scramSide, first string, proof func() string) { c.success("v=AAAA") },
		"f wrong, in a challenge": func(c *rawConn, x *scramSide, first string, proof func() string) {
			proof()
			c.challenge("v=AAAA")
			empty(c)
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
			empty(c)
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
			empty(c)
		},
		"j success in a wrong element": func(c *rawConn, x *scramSide, first string, proof func() string) {
			v := proof()
			c.say("%s", strings.ReplaceAll(c.profile.success(v), c.profile.ns(), "urn:wrong"))
		},
		"k features as if it were": func(c *rawConn, x *scramSide, first string, proof func() string) {
			proof()
			if !c.profile.sasl2 {
				c.say(header)
			}
			c.say(features(offerBind))
		},
		"l success of the other profile": func(c *rawConn, x *scramSide, first string, proof func() string) {
			v := proof()
			c.say("%s", profile{sasl2: !c.profile.sasl2}.success(v))
		},
	} {
		for mech := range scramHashes {
			t.Run(name+" "+mech, func(t *testing.T) {
				c, err := attempt(t, p, mech, func(c *rawConn, x *scramSide, first string) {
					play(c, x, first, func() string {
						c.challenge(x.first(first))
						_, final := c.auth()
						return x.final(final)
					})
					if p.sasl2 {
						c.say(features(offerBind)) // a client that believes it asks for a resource now
					}
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
				c.profile = p
				c.secure(p.offer(mech))
				c.challenge(c.scram())
				c.response()
				time.Sleep(20 * time.Millisecond)
				close(said)
				empty(c)
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
	eachProfile(t, testSASL04)
}

func testSASL04(t *testing.T, p profile) {
	for _, i := range []string{"0", "-1", "1", "4095", "1000001", "2147483647", "100000000000000000000", "4096x", "", "4096,i=4096", " 4096"} {
		t.Run(fmt.Sprintf("%q", i), func(t *testing.T) {
			begin := time.Now()
			c, err := attempt(t, p, "SCRAM-SHA-256", func(c *rawConn, x *scramSide, first string) {
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
			c.profile = p
			c.secure(p.offer("SCRAM-SHA-512"))
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
	eachProfile(t, testSASL05)
}

func testSASL05(t *testing.T, p profile) {
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
			c, _ := attempt(t, p, "SCRAM-SHA-256", play)
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
			c.say("%s", p.challenge(text))
		})
	}
	run("good, but for a newline in its base64", func(c *rawConn, x *scramSide, first string) {
		text := b64(x.first(first))
		c.say("%s", p.challenge(text[:8]+"\n"+text[8:]))
	})
	for name, challenge := range map[string]string{"for ever": "again", "17 KiB": strings.Repeat("x", 17<<10)} {
		t.Run(name, func(t *testing.T) { // with a mechanism that has no limits of its own
			r := newRawServer(t, func(c *rawConn) {
				c.profile = p
				c.secure(p.offer("X-PATIENT"))
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

// TestSec_SASL13 sends stanzas before anybody is logged in.
func TestSec_SASL13(t *testing.T) {
	checkGoroutines(t)
	eachProfile(t, testSASL13)
}

func testSASL13(t *testing.T, p profile) {
	for name, xml := range map[string]string{
		"message":     "<message from='boss@example.test'><body>x</body></message>",
		"presence":    "<presence from='boss@example.test'/>",
		"roster push": "<iq type='set' id='p'><query xmlns='jabber:iq:roster'><item jid='evil@example.test'/></query></iq>",
		"ack":         "<a xmlns='urn:xmpp:sm:3' h='5'/>",
		"enabled":     "<enabled xmlns='urn:xmpp:sm:3' id='x' resume='true'/>",
		"resumed":     "<resumed xmlns='urn:xmpp:sm:3' previd='x' h='0'/>",
		"unknown":     "<x xmlns='urn:x'/>",
		"text":        "hello",
	} {
		for stage, play := range map[string]func(c *rawConn){
			"before features": func(c *rawConn) {
				c.starttls()
				c.upgrade(serverTLS())
				c.wait("version='1.0'>")
				c.say(header + xml + features(p.offer("SCRAM-SHA-256")))
			},
			"after features": func(c *rawConn) {
				c.starttls()
				c.upgrade(serverTLS())
				c.wait("version='1.0'>")
				c.say(header + features(p.offer("SCRAM-SHA-256")) + xml)
			},
			"during SASL": func(c *rawConn) {
				c.secure(p.offer("SCRAM-SHA-256"))
				name, first := c.auth()
				c.say("%s", xml)
				c.challenge(newScramSide(name).first(first))
			},
			"instead of success": func(c *rawConn) { c.secure(p.offer("SCRAM-SHA-256")); v := c.scram(); c.say("%s", xml); c.success(v) },
			"before the new features": func(c *rawConn) {
				c.secure(p.offer("SCRAM-SHA-256"))
				c.success(c.scram())
				if !p.sasl2 {
					c.wait("version='1.0'>")
					c.say(header)
				}
				c.say("%s", xml+features(offerBind))
			},
			"before bind": func(c *rawConn) {
				c.secure(p.offer("SCRAM-SHA-256"))
				c.success(c.scram())
				c.bind(xml + boundTo("alice@example.test/r"))
			},
		} {
			t.Run(name+" "+stage, func(t *testing.T) {
				var got dispatched
				r := newRawServer(t, func(c *rawConn) {
					c.profile = p
					play(c)
				})
				s := newStream(t, r.config(), got.delegate())
				if err := s.Login(within(t, 5*time.Second)); err == nil {
					t.Error("logged in")
				}
				got.nothing(t, s)
				if c := r.done()[0]; !c.ended || !bytes.Contains(c.seen, []byte("<stream:error>")) {
					t.Errorf("connection closed: %t, the client sent %q", c.ended, c.seen)
				}
			})
		}
	}
}
