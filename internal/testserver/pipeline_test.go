package testserver

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/go-xmppframework/xmpp/jid"
	"github.com/go-xmppframework/xmpp/sasl"
)

// TestPipelining: what a client sends without waiting is handled as if it had waited.
func TestPipelining(t *testing.T) {
	plain := "\x00juliet\x00secret"
	t.Run("SASL2", func(t *testing.T) {
		srv := newServer(t, Options{SASL2: true})
		c := dial(t, srv)
		c.write(headerAs(srv, "juliet") + "<starttls xmlns='" + nsTLS + "'/>")
		c.readFeatures()
		c.want("<proceed xmlns='" + nsTLS + "'/>")
		c.secure(nil)
		c.write(headerAs(srv, "juliet") +
			authenticate("PLAIN", plain, "<bind xmlns='"+nsBind2+"'><tag>T</tag><enable xmlns='"+nsSM+"'/></bind>") +
			"<presence/>")
		c.readFeatures()
		v := c.want("<success xmlns='" + nsSASL2 + "'><authorization-identifier>{jid}</authorization-identifier>" +
			"<bound xmlns='" + nsBind2 + "'><enabled xmlns='" + nsSM + "'/></bound></success>")
		c.jid = jid.MustParse(v["jid"])
		if got, want := c.wantFeatures(), []string{"sm", "sub", "ver"}; !slices.Equal(got, want) {
			t.Errorf("features: got %v, want %v", got, want)
		}
		c.want("<presence from='" + v["jid"] + "' to='" + v["jid"] + "'/>")
		if st, _ := srv.SMState(c.jid); st.Handled != 1 || len(st.Unacked) != 1 {
			t.Errorf("%+v", st)
		}
	})
	t.Run("SASL", func(t *testing.T) {
		srv := newServer(t, Options{})
		c := dial(t, srv)
		c.open()
		c.startTLS(nil)
		c.write(headerAs(srv, "") + "<auth xmlns='" + nsSASL + "' mechanism='PLAIN'>" + encode(plain) + "</auth>" +
			headerAs(srv, "") + "<iq type='set' id='b'><bind xmlns='" + nsBind + "'><resource>x</resource></bind></iq><enable xmlns='" + nsSM + "'/><presence/>")
		c.readFeatures()
		c.want("<success xmlns='" + nsSASL + "'/>")
		c.dec.Restart()
		c.readFeatures()
		c.want("<iq type='result' id='b'><bind xmlns='" + nsBind + "'><jid>juliet@example.test/x</jid></bind></iq>")
		c.want("<enabled xmlns='" + nsSM + "'/>")
		c.want("<presence from='juliet@example.test/x' to='juliet@example.test/x'/>")
	})
	t.Run("behind STARTTLS", func(t *testing.T) {
		srv := newServer(t, Options{})
		c := dial(t, srv)
		c.write(headerAs(srv, "") + "<starttls xmlns='" + nsTLS + "'/><presence/>")
		c.readFeatures()
		c.want("<proceed xmlns='" + nsTLS + "'/>")
		c.want("<stream:error><policy-violation xmlns='" + nsStreamErrors + "'/><text xmlns='" + nsStreamErrors + "' xml:lang='en'>*</text></stream:error>")
	})
}

// TestTamper: a test can make the server say anything, under either profile.
func TestTamper(t *testing.T) {
	for _, two := range []bool{false, true} {
		ns, name := nsSASL, "SASL"
		if two {
			ns, name = nsSASL2, "SASL2"
		}
		run := func(o Options) error {
			o.SASL2 = true
			c := sasl2Client(t, newServer(t, o), "juliet")
			if two {
				_, err := c.auth2(sasl.ScramSHA256(), "juliet", "secret", bindRequest)
				return err
			}
			return c.auth(sasl.ScramSHA256(), "juliet", "secret", "")
		}
		t.Run(name+": signature", func(t *testing.T) {
			err := run(Options{SASLTamper: func(mechanism string, last bool, data string) string {
				if mechanism != "SCRAM-SHA-256" {
					t.Errorf("mechanism %s", mechanism)
				}
				if last {
					return "v=" + encode(strings.Repeat("x", 32))
				}
				return data
			}})
			if err == nil || !strings.Contains(err.Error(), "signature") {
				t.Errorf("got %v", err)
			}
		})
		t.Run(name+": early success", func(t *testing.T) {
			err := run(Options{Tamper: func(at Step, xml string) string {
				if at == StepChallenge {
					return "<success xmlns='" + ns + "'/>"
				}
				return xml
			}})
			if err == nil {
				t.Error("no error")
			}
		})
		t.Run(name+": nothing", func(t *testing.T) {
			var at []Step
			if err := run(Options{Tamper: func(step Step, xml string) string {
				at = append(at, step)
				return xml
			}}); err != nil {
				t.Error(err)
			}
			want := []Step{StepHeader, StepFeatures, StepStartTLS, StepSecureHeader, StepSecureFeatures, StepChallenge, StepSuccess}
			if len(at) < len(want) || !slices.Equal(at[:len(want)], want) {
				t.Errorf("steps %v, want %v", at, want)
			}
		})
	}
	t.Run("continue", func(t *testing.T) {
		c := sasl2Client(t, newServer(t, Options{SASL2: true, Tamper: func(at Step, xml string) string {
			return strings.ReplaceAll(xml, "success", "continue")
		}}), "juliet")
		if e, err := c.auth2(sasl.ScramSHA256(), "juliet", "secret", ""); err != nil || !is(e, "continue", nsSASL2) {
			t.Errorf("got %v, %v", e, err)
		}
	})
	t.Run("enabled and resumed", func(t *testing.T) {
		srv := newServer(t, Options{Tamper: func(at Step, xml string) string {
			if at == StepEnable || at == StepResume {
				return "<x xmlns='" + at.String() + "'/>"
			}
			return xml
		}})
		c := login(t, srv, "juliet", "x")
		c.write("<enable xmlns='" + nsSM + "' resume='true'/>")
		c.want("<x xmlns='enable'/>")
		st, _ := srv.SMState(c.jid)
		c.raw.(*Conn).Reset()
		c = secured(t, srv, nil)
		if err := c.auth(sasl.ScramSHA1(), "juliet", "secret", ""); err != nil {
			t.Fatal(err)
		}
		c.open()
		c.write("<resume xmlns='" + nsSM + "' h='0' previd='" + st.ID + "'/>")
		c.want("<x xmlns='resume'/>")
	})
}

// TestSASL2Cut: a cut meets what is inside the success, too.
func TestSASL2Cut(t *testing.T) {
	const inline = "<bind xmlns='" + nsBind2 + "'><tag>T</tag><enable xmlns='" + nsSM + "' resume='true'/></bind>"
	for _, step := range []Step{StepSuccess, StepBind, StepEnable, StepSessionFeatures, StepSecureFeatures, StepChallenge} {
		t.Run(step.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := newServer(t, Options{SASL2: true})
				srv.Cut(step, 1, CutReset, 3)
				c := dial(t, srv)
				c.open()
				c.startTLS(nil)
				c.write(headerAs(srv, "juliet") + "<authenticate xmlns='" + nsSASL2 + "' mechanism='SCRAM-SHA-1'/>")
				if _, err := c.dec.Header(); err != nil {
					t.Fatal(err)
				}
				var err error
				for err == nil {
					e, failure := c.read()
					if err = failure; is(e, "challenge", nsSASL2) {
						c.write("<abort xmlns='" + nsSASL2 + "'/>" + authenticate("PLAIN", "\x00juliet\x00secret", inline))
					}
					if is(e, "features", nsStreams) && path(e, "authentication "+nsSASL2) == nil {
						t.Fatal("logged in")
					}
				}
				synctest.Wait()
				held := false
				for _, session := range srv.Sessions(jid.MustParse("juliet@example.test")) {
					st, _ := srv.SMState(session.JID())
					held = st.Held
				}
				if want := step != StepSecureFeatures && step != StepChallenge; held != want {
					t.Errorf("held: %v, want %v", held, want)
				}
			})
		})
	}
	t.Run("resume", func(t *testing.T) {
		srv := newServer(t, Options{SASL2: true})
		c := sasl2Client(t, srv, "juliet")
		e := c.login2("juliet", inline)
		resume := "<resume xmlns='" + nsSM + "' h='0' previd='" + attr(path(e, "bound "+nsBind2, "enabled "+nsSM), "id") + "'/>"
		c.raw.(*Conn).Reset()
		srv.Cut(StepResume, 1, CutReset, 0)
		c = sasl2Client(t, srv, "juliet")
		c.write(authenticate("PLAIN", "\x00juliet\x00secret", resume))
		if e, err := c.read(); err == nil {
			t.Errorf("got %s", pretty(e))
		}
		c = sasl2Client(t, srv, "juliet")
		if e = c.login2("juliet", resume); path(e, "resumed "+nsSM) == nil {
			t.Errorf("got %s", pretty(e))
		}
	})
}

// TestSASL2Script: scripts can leave the login to the server, and peers can take over behind it.
func TestSASL2Script(t *testing.T) {
	inline := bindRequest[:len(bindRequest)-len("</bind>")] + "<enable xmlns='" + nsSM + "' resume='true'/></bind>"
	for _, first := range []string{"S!login juliet\nS: <message to='{jid}'/>", "S!auth juliet\nS!login juliet\nS: <message to='{jid}'/>"} {
		srv := newServer(t, Options{SASL2: true})
		sc := mustScript(t, srv, first+"\nC: <presence/>\nC!rest")
		c := sasl2Client(t, srv, "juliet")
		e := c.login2("juliet", inline)
		if path(e, "bound "+nsBind2, "failed "+nsSM, "feature-not-implemented "+nsStanzas) == nil {
			t.Errorf("a script counts nothing: %s", pretty(e))
		}
		c.wantFeatures()
		c.want("<message to='" + c.jid.String() + "'/>")
		c.write("<presence/></stream:stream>")
		c.ends(true)
		<-sc.Done()
		if err := sc.Err(); err != nil {
			t.Error(err)
		}
	}
	srv := newServer(t, Options{SASL2: true})
	p, err := srv.Peer("juliet")
	if err != nil {
		t.Fatal(err)
	}
	c := sasl2Client(t, srv, "juliet")
	if e := c.login2("juliet", inline+"<resume xmlns='"+nsSM+"' h='0' previd='x'/>"); path(e, "failed "+nsSM) == nil {
		t.Errorf("got %s", pretty(e))
	}
	c.wantFeatures()
	c.write("<enable xmlns='" + nsSM + "'/>")
	if err := p.Expect("<enable xmlns='" + nsSM + "'/>"); err != nil {
		t.Error(err)
	}
}

// TestSASL2Transcript is the whole of SASL2 by hand, for what no server does.
func TestSASL2Transcript(t *testing.T) {
	srv := newServer(t, Options{TLS: TLSNone})
	sc := mustScript(t, srv, `
		C: <stream:stream to='example.test' from='juliet@example.test'>
		S: <stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='1' from='example.test' version='1.0'>
		S: <stream:features><authentication xmlns='urn:xmpp:sasl:2'><mechanism>SCRAM-SHA-256</mechanism></authentication></stream:features>
		C: <authenticate xmlns='urn:xmpp:sasl:2' mechanism='SCRAM-SHA-256'><initial-response>{first}</initial-response>
		     <user-agent id='*'>*</user-agent></authenticate>
		S: <continue xmlns='urn:xmpp:sasl:2'><tasks><task>X</task></tasks></continue>
		C: <abort xmlns='urn:xmpp:sasl:2'/>
		S: <failure xmlns='urn:xmpp:sasl:2'><aborted xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/></failure>
		C: </stream:stream>`)
	c := dial(t, srv)
	c.openAs("juliet")
	if e, err := c.auth2(sasl.ScramSHA256(), "juliet", "secret", ""); err == nil {
		t.Errorf("a <continue/> before SASL was done is taken: %s", pretty(e))
	}
	c.write("<abort xmlns='" + nsSASL2 + "'/>")
	c.want("<failure xmlns='" + nsSASL2 + "'><aborted xmlns='" + nsSASL + "'/></failure>")
	c.write("</stream:stream>")
	<-sc.Done()
	if err := sc.Err(); err != nil {
		t.Error(err)
	}
}
