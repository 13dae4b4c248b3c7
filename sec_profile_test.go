package xmpp_test

import (
	"bytes"
	"encoding/base64"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

const (
	nsSASL2   = "urn:xmpp:sasl:2"
	nsFAST    = "urn:xmpp:fast:0"
	nsBind2   = "urn:xmpp:bind:0"
	nsUpgrade = "urn:xmpp:sasl:upgrade:0"
)

// profile is one of the two forms that SASL has on the wire. A hostile script is played in both.
type profile struct{ sasl2 bool }

var rfc6120, xep0388 = profile{}, profile{sasl2: true}

// eachProfile runs a test with both.
func eachProfile(t *testing.T, f func(t *testing.T, p profile)) {
	t.Helper()
	for _, p := range []profile{rfc6120, xep0388} {
		t.Run(p.String(), func(t *testing.T) { f(t, p) })
	}
}

func (p profile) String() string {
	if p.sasl2 {
		return "SASL2"
	}
	return "SASL"
}

func (p profile) ns() string {
	if p.sasl2 {
		return nsSASL2
	}
	return nsSASL
}

// begin is the name of the element that begins an exchange.
func (p profile) begin() string {
	if p.sasl2 {
		return "authenticate"
	}
	return "auth"
}

// offer is the feature.
func (p profile) offer(mechanisms ...string) string {
	if p.sasl2 {
		return offerSASL2("", mechanisms...)
	}
	return offerSASL(mechanisms...)
}

// offerSASL2 is the feature of XEP-0388; more is what else is in it.
func offerSASL2(more string, mechanisms ...string) string {
	return "<authentication xmlns='" + nsSASL2 + "'><mechanism>" + strings.Join(mechanisms, "</mechanism><mechanism>") + "</mechanism>" + more + "</authentication>"
}

// offerFAST is what is offered inside, of tokens.
func offerFAST(mechanisms ...string) string {
	return "<inline><fast xmlns='" + nsFAST + "'><mechanism>" + strings.Join(mechanisms, "</mechanism><mechanism>") + "</mechanism></fast></inline>"
}

func authorized(jid string) string {
	return "<authorization-identifier>" + jid + "</authorization-identifier>"
}

// encoded is success with text in place of base64; "" for nothing at all.
func (p profile) encoded(text string) string {
	if !p.sasl2 {
		return "<success xmlns='" + nsSASL + "'>" + text + "</success>"
	}
	if text != "" {
		text = "<additional-data>" + text + "</additional-data>"
	}
	return "<success xmlns='" + nsSASL2 + "'>" + text + authorized("alice@example.test") + "</success>"
}

func (p profile) success(data string) string { return p.encoded(b64(data)) }

func (p profile) challenge(text string) string {
	return "<challenge xmlns='" + p.ns() + "'>" + text + "</challenge>"
}

// failure has a condition, written with its namespace, which is the same in both.
func (p profile) failure(inner string) string {
	return "<failure xmlns='" + p.ns() + "'>" + inner + "</failure>"
}

func condition(name string) string { return "<" + name + " xmlns='" + nsSASL + "'/>" }

// after is what the server says when success was said and the client may bind.
func (c *rawConn) after(children ...string) {
	if c.profile.sasl2 {
		c.say(features(children...))
	} else {
		c.open(children...)
	}
}

var (
	mechanismOf = regexp.MustCompile(`<(?:auth|authenticate) xmlns='[^']*' mechanism='([^']*)'`)
	payloadOf   = regexp.MustCompile(`<(?:auth|response|initial-response)(?: [^>]*)?>([^<]*)`)
)

// request waits for the beginning of an exchange. xml is all of it.
func (c *rawConn) request() (mechanism, data, xml string) {
	xml = c.wait("</" + c.profile.begin() + ">")
	i := strings.LastIndex(xml, "<"+c.profile.begin()+" xmlns='"+c.profile.ns()+"'")
	if i < 0 {
		runtime.Goexit()
	}
	xml = xml[i:] + "</" + c.profile.begin() + ">"
	m := mechanismOf.FindStringSubmatch(xml)
	if m == nil {
		runtime.Goexit()
	}
	return m[1], payload(xml), xml
}

func payload(xml string) string {
	m := payloadOf.FindStringSubmatch(xml)
	if m == nil {
		return ""
	}
	b, _ := base64.StdEncoding.DecodeString(m[1])
	return string(b)
}

// response waits for the answer to a challenge.
func (c *rawConn) response() string {
	xml := c.wait("</response>")
	i := strings.LastIndex(xml, "<response xmlns='"+c.profile.ns()+"'")
	if i < 0 {
		runtime.Goexit()
	}
	return payload(xml[i:])
}

// auth waits for the beginning of the first exchange, and after it for a response.
func (c *rawConn) auth() (mechanism, data string) {
	if bytes.Contains(c.seen[:c.off], []byte("</"+c.profile.begin()+">")) {
		return "", c.response()
	}
	mechanism, data, _ = c.request()
	return mechanism, data
}

func (c *rawConn) challenge(data string) { c.say("%s", c.profile.challenge(b64(data))) }

func (c *rawConn) success(data string) { c.say("%s", c.profile.success(data)) }

// scram performs a whole exchange and returns the server's last message, which success takes.
func (c *rawConn) scram() string {
	mech, first := c.auth()
	return c.prove(mech, first)
}

// prove goes on with an exchange of SCRAM.
func (c *rawConn) prove(mech, first string) string {
	x := newScramSide(mech)
	c.challenge(x.first(first))
	return x.final(c.response())
}
