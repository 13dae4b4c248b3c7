package xmpp_test

import (
	"bytes"
	"context"
	"crypto/pbkdf2"
	"crypto/sha512"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/sasl"
)

const task512 = "UPGR-SCRAM-SHA-512"

// offerUpgrade is SCRAM-SHA-256 with channel binding, and the upgrade of it.
func offerUpgrade(mechanism string) string {
	f := offerSASL2("<upgrade xmlns='"+nsUpgrade+"'>"+task512+"</upgrade>", mechanism)
	if strings.HasSuffix(mechanism, "-PLUS") {
		f += offerBindings("tls-exporter")
	}
	return f
}

// goOn is <continue/>; no data without proof.
func goOn(proof string, tasks ...string) string {
	data := ""
	if proof != "" {
		data = "<additional-data>" + b64(proof) + "</additional-data>"
	}
	return "<continue xmlns='" + nsSASL2 + "'>" + data + "<tasks><task>" + strings.Join(tasks, "</task><task>") + "</task></tasks></continue>"
}

func taskData(iterations, salt string) string {
	return "<task-data xmlns='" + nsSASL2 + "'><salt xmlns='urn:xmpp:scram-upgrade:0' iterations='" + iterations + "'>" + salt + "</salt></task-data>"
}

// TestSec_SASL09 wants tasks done, where nothing may be done.
func TestSec_SASL09(t *testing.T) {
	checkGoroutines(t)
	salt := b64("0123456789abcdef")
	const next = "<next xmlns='" + nsSASL2 + "' task='" + task512 + "'/>"
	type script struct {
		mech string
		next bool  // the client may ask for the data of its task
		is   error // nil: any
		play func(c *rawConn, proof func() string)
	}
	scripts := map[string]script{
		"nothing was asked": {"SCRAM-SHA-256", false, nil, func(c *rawConn, proof func() string) {
			c.say(goOn(proof(), task512))
			c.say(taskData("4096", salt))
		}},
		"with a wrong signature": {"SCRAM-SHA-256-PLUS", false, sasl.ErrServerSignature, func(c *rawConn, proof func() string) {
			c.say(goOn(spoil(proof()), task512))
			c.say(taskData("1", salt))
		}},
		"without a signature": {"SCRAM-SHA-256-PLUS", false, sasl.ErrServerSignature, func(c *rawConn, proof func() string) {
			proof()
			c.say(goOn("", task512))
			c.say(taskData("4096", salt))
		}},
		"at once": {"SCRAM-SHA-256-PLUS", false, nil, func(c *rawConn, proof func() string) {
			c.say(goOn("", task512))
			c.say(taskData("4096", salt))
		}},
		"at once, with a signature": {"SCRAM-SHA-256-PLUS", false, nil, func(c *rawConn, proof func() string) {
			c.say(goOn("v=AAAA", task512))
			c.say(taskData("4096", salt))
		}},
		"data twice": {"SCRAM-SHA-256-PLUS", false, sasl.ErrMalformed, func(c *rawConn, proof func() string) {
			data := "<additional-data>" + b64(proof()) + "</additional-data>"
			c.say("%s", strings.Replace(goOn("", task512), "<tasks>", data+data+"<tasks>", 1))
		}},
		"data without continue": {"SCRAM-SHA-256-PLUS", false, xmpp.ErrUnexpectedElement, func(c *rawConn, proof func() string) {
			proof()
			c.say(taskData("4096", salt))
		}},
		"an unknown task":   {"SCRAM-SHA-256-PLUS", false, nil, func(c *rawConn, proof func() string) { c.say(goOn(proof(), "X-MAKE-COFFEE")) }},
		"another upgrade":   {"SCRAM-SHA-256-PLUS", false, nil, func(c *rawConn, proof func() string) { c.say(goOn(proof(), "UPGR-SCRAM-SHA-1")) }},
		"no task":           {"SCRAM-SHA-256-PLUS", false, nil, func(c *rawConn, proof func() string) { c.say(goOn(proof())) }},
		"markup for a task": {"SCRAM-SHA-256-PLUS", false, nil, func(c *rawConn, proof func() string) { c.say(goOn(proof(), task512+"'/&gt;&lt;x")) }},
		"another namespace": {"SCRAM-SHA-256-PLUS", false, xmpp.ErrUnexpectedElement, func(c *rawConn, proof func() string) {
			c.say("%s", strings.Replace(goOn(proof(), task512), nsSASL2, "urn:x", 1))
		}},
		"a challenge after it": {"SCRAM-SHA-256-PLUS", true, xmpp.ErrUnexpectedElement, func(c *rawConn, proof func() string) {
			c.say(goOn(proof(), task512))
			c.wait(next)
			c.challenge("r=x,s=AAAA,i=4096")
		}},
		"success in place of the data": {"SCRAM-SHA-256-PLUS", true, xmpp.ErrUnexpectedElement, func(c *rawConn, proof func() string) {
			c.say(goOn(proof(), task512))
			c.wait(next)
			c.say(c.profile.encoded(""))
		}},
		"a failure in place of the data": {"SCRAM-SHA-256-PLUS", true, nil, func(c *rawConn, proof func() string) {
			c.say(goOn(proof(), task512))
			c.wait(next)
			c.say(c.profile.failure(condition("not-authorized")))
		}},
	}
	for _, i := range []string{"", "0", "-1", "1", "4095", "1000001", "1000000000", "100000000000000000000", "4096x", "4096.0", "0x2000"} {
		scripts["iterations "+i] = script{"SCRAM-SHA-256-PLUS", true, sasl.ErrIterations, func(c *rawConn, proof func() string) {
			c.say(goOn(proof(), task512))
			c.wait(next)
			c.say(taskData(i, salt))
		}}
	}
	for name, data := range map[string]string{
		"no salt": "<x/>", "empty": "", "empty salt": "<salt xmlns='urn:xmpp:scram-upgrade:0' iterations='4096'/>",
		"salt elsewhere": "<salt iterations='4096'>" + salt + "</salt>", "no base64": "<salt xmlns='urn:xmpp:scram-upgrade:0' iterations='4096'>!</salt>",
		"long salt":            "<salt xmlns='urn:xmpp:scram-upgrade:0' iterations='4096'>" + b64(strings.Repeat("x", 17<<10)) + "</salt>",
		"iterations of others": "<salt xmlns='urn:xmpp:scram-upgrade:0' xmlns:q='urn:x' q:iterations='4096'>" + salt + "</salt>",
	} {
		scripts["data with "+name] = script{"SCRAM-SHA-256-PLUS", true, nil, func(c *rawConn, proof func() string) {
			c.say(goOn(proof(), task512))
			c.wait(next)
			c.say("%s", "<task-data xmlns='"+nsSASL2+"'>"+data+"</task-data>")
		}}
	}
	for name, s := range scripts {
		t.Run(name, func(t *testing.T) {
			begin := time.Now()
			c, err := hostile(t, nil, func(c *rawConn) {
				c.profile = xep0388
				c.secure(offerUpgrade(s.mech))
				mech, first, xml := c.request()
				if asks := strings.Contains(xml, task512); asks != strings.HasSuffix(s.mech, "-PLUS") {
					t.Errorf("with %s the client sent %s", s.mech, xml)
				}
				s.play(c, func() string { return c.prove(mech, first) })
			})
			lasted(t, begin, time.Second, "Login")
			var ae *xmpp.AuthError
			if !errors.As(err, &ae) || ae.Step != "SASL" || s.is != nil && !errors.Is(err, s.is) {
				t.Errorf("Login returned %v", err)
			}
			if bytes.Contains(c.seen, []byte("<task-data")) || bytes.Contains(c.seen, []byte("<hash")) {
				t.Errorf("the client has done it: %q", c.seen)
			}
			if n := bytes.Count(c.seen, []byte("<next")); n > 1 || n == 1 && !s.next {
				t.Errorf("the client asked for the task: %q", c.seen)
			}
			if n := bytes.Count(c.seen, []byte("<authenticate ")); n != 1 {
				t.Errorf("%d attempts", n)
			}
		})
	}
	t.Run("the derivation ends with ctx", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		r := newRawServer(t, func(c *rawConn) {
			c.profile = xep0388
			c.secure(offerUpgrade("SCRAM-SHA-256-PLUS"))
			c.say(goOn(c.scram(), task512))
			c.wait(next)
			c.say(taskData("1000000", salt))
			time.AfterFunc(50*time.Millisecond, cancel)
		})
		begin := time.Now()
		if err := newStream(t, r.config()).Login(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Login returned %v", err)
		}
		lasted(t, begin, time.Second, "Login")
		if c := r.done()[0]; bytes.Contains(c.seen, []byte("<hash")) || !c.ended {
			t.Error("the client went on")
		}
	})
	for name, late := range map[string]bool{"the task is done": false, "the signature in a challenge": true} {
		for after, ok := range map[string]bool{"success": true, "success with data": false, "the task again": false, "a failure": false, "a challenge": false} {
			t.Run(name+", then "+after, func(t *testing.T) {
				r := newRawServer(t, func(c *rawConn) {
					c.profile = xep0388
					c.secure(offerUpgrade("SCRAM-SHA-256-PLUS"))
					proof := c.scram()
					if late {
						c.challenge(proof)
						if c.response() != "" {
							t.Error("data in answer to the signature")
						}
						c.say(goOn("", task512))
					} else {
						c.say(goOn(proof, task512))
					}
					c.wait(next)
					c.say(taskData("5000", salt))
					c.wait("<hash xmlns='urn:xmpp:scram-upgrade:0'>")
					want, _ := pbkdf2.Key(sha512.New, secret, []byte("0123456789abcdef"), 5000, sha512.Size)
					if got := c.wait("</hash></task-data>"); got != b64(string(want)) {
						t.Errorf("the client computed %s", got)
					}
					switch after {
					case "success":
						c.say(c.profile.encoded(""))
					case "success with data":
						c.success(proof)
					case "the task again":
						c.say(goOn("", task512))
					case "a failure":
						c.say(c.profile.failure(condition("not-authorized")))
					case "a challenge":
						c.challenge("x")
					}
					c.bind(boundTo("alice@example.test/r"))
				})
				s := newStream(t, r.config())
				if err := s.Connect(within(t, 5*time.Second)); err != nil {
					t.Fatal(err)
				}
				if err := s.AuthenticateWithPassword(within(t, 5*time.Second), secret); (err == nil) != ok {
					t.Errorf("Authenticate returned %v", err)
				}
				if !ok && !s.IsDisconnected() {
					t.Error("still connected: another attempt would be made with what is known of the account")
				}
				_ = s.Close(within(t, time.Second))
				if n := bytes.Count(r.done()[0].seen, []byte("<hash")); n != 1 {
					t.Errorf("it was sent %d times", n)
				}
			})
		}
	}
}

// TestSec_SASL09Success puts into the success what does not belong there: nobody is logged in by it.
func TestSec_SASL09Success(t *testing.T) {
	checkGoroutines(t)
	const bound = "<bound xmlns='" + nsBind2 + "'/>"
	for name, c := range map[string]struct {
		inner string
		bind2 bool
	}{
		"nobody is authorized":                {"", false},
		"another account":                     {authorized("bob@example.test"), false},
		"another domain":                      {authorized("alice@evil.test"), false},
		"the domain":                          {authorized("example.test"), false},
		"no address":                          {authorized("@@"), false},
		"two, the first of another":           {authorized("bob@example.test") + authorized("alice@example.test"), false},
		"two, the second of another":          {authorized("alice@example.test") + authorized("bob@example.test"), false},
		"another namespace":                   {"<authorization-identifier xmlns='urn:x'>alice@example.test</authorization-identifier>", false},
		"bound without a resource":            {authorized("alice@example.test") + bound, true},
		"bound as another":                    {authorized("bob@example.test/r") + bound, true},
		"bound, though it was not asked":      {authorized("alice@example.test/r") + bound, false},
		"resumed, though there is none":       {authorized("alice@example.test/r") + "<resumed xmlns='urn:xmpp:sm:3' previd='x' h='0'/>", false},
		"resumed, and the features are known": {authorized("alice@example.test") + "<resumed xmlns='urn:xmpp:sm:3' previd='x' h='0'/>", false},
		"resumed and bound":                   {authorized("alice@example.test/r") + bound + "<resumed xmlns='urn:xmpp:sm:3' previd='x' h='0'/>", true},
		"more data":                           {authorized("alice@example.test") + "<additional-data>AAAA</additional-data>", false},
	} {
		t.Run(name, func(t *testing.T) {
			rc, err := hostile(t, func(cfg *xmpp.Config) {
				cfg.Bind2, cfg.Logins = c.bind2, new(logins)
				cfg.Logins.(*logins).change("alice", func(r *xmpp.LoginRecord) {
					if strings.Contains(name, "known") {
						r.Features = "<features xmlns='http://etherx.jabber.org/streams'>" + offerBind + "</features>"
					}
				})
			}, func(rc *rawConn) {
				rc.profile = xep0388
				rc.secure(offerSASL2("<inline><bind xmlns='"+nsBind2+"'/></inline>", "SCRAM-SHA-256"))
				data := "<additional-data>" + b64(rc.scram()) + "</additional-data>"
				rc.say("%s", "<success xmlns='"+nsSASL2+"'>"+data+c.inner+"</success>")
				if !strings.Contains(c.inner, "<resumed") {
					rc.say(features(offerBind))
				}
				rc.wait("<iq ")
			})
			var ae *xmpp.AuthError
			if !errors.As(err, &ae) || ae.Condition != "" {
				t.Errorf("Login returned %v", err)
			}
			if bytes.Contains(rc.seen, []byte("<iq")) {
				t.Errorf("the client went on: %q", rc.seen)
			}
		})
	}
}
