package xmpp_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testserver"
	"github.com/go-xmppframework/xmpp/sasl"
)

// TestSec_SASL11Server is about a server that does not know the token: it is told nothing more.
func TestSec_SASL11Server(t *testing.T) {
	checkGoroutines(t)
	data := func(s string) string { return "<additional-data>" + b64(s) + "</additional-data>" }
	right := func(c *rawConn) string { return tokenProof(oldToken, "Responder", c.exporter()) }
	success := func(inner string) string {
		return "<success xmlns='" + nsSASL2 + "'>" + inner + authorized("alice@example.test") + "</success>" + features(offerBind)
	}
	for name, c := range map[string]struct {
		answer func(c *rawConn, sent string) string
		is     error // nil: any
	}{
		"no proof":            {func(*rawConn, string) string { return success("") }, sasl.ErrServerSignature},
		"an empty one":        {func(*rawConn, string) string { return success("<additional-data/>") }, sasl.ErrServerSignature},
		"a wrong one":         {func(c *rawConn, _ string) string { return success(data(tokenProof("x", "Responder", c.exporter()))) }, sasl.ErrServerSignature},
		"of no connection":    {func(*rawConn, string) string { return success(data(tokenProof(oldToken, "Responder", nil))) }, sasl.ErrServerSignature},
		"cut":                 {func(c *rawConn, _ string) string { return success(data(right(c)[:31])) }, sasl.ErrServerSignature},
		"longer":              {func(c *rawConn, _ string) string { return success(data(right(c) + "x")) }, sasl.ErrServerSignature},
		"the client's own":    {func(_ *rawConn, sent string) string { return success(data(strings.TrimPrefix(sent, "alice\x00"))) }, sasl.ErrServerSignature},
		"what it sent":        {func(_ *rawConn, sent string) string { return success(data(sent)) }, sasl.ErrServerSignature},
		"twice":               {func(c *rawConn, _ string) string { return success(data(right(c)) + data(right(c))) }, sasl.ErrMalformed},
		"not base64":          {func(*rawConn, string) string { return success("<additional-data>!</additional-data>") }, sasl.ErrMalformed},
		"in a challenge":      {func(c *rawConn, _ string) string { return c.profile.challenge(b64(right(c))) + success("") }, nil},
		"a challenge":         {func(c *rawConn, _ string) string { return c.profile.challenge(b64("r=x,s=AAAA,i=4096")) }, nil},
		"tasks":               {func(c *rawConn, _ string) string { return goOn(right(c), task512) + taskData("4096", "AAAA") }, nil},
		"tasks, not proved":   {func(*rawConn, string) string { return goOn("", task512) + taskData("4096", "AAAA") }, sasl.ErrServerSignature},
		"success of RFC 6120": {func(c *rawConn, _ string) string { return rfc6120.success(right(c)) }, xmpp.ErrUnexpectedElement},
		"another account": {func(c *rawConn, _ string) string {
			return strings.Replace(success(data(right(c))), "alice@", "bob@", 1)
		}, xmpp.ErrUnexpectedElement},
	} {
		t.Run(name, func(t *testing.T) {
			store, asked := withToken(), 0
			log := &logRecords{level: xmpp.LevelTrace}
			rc, err := hostile(t, func(cfg *xmpp.Config) {
				cfg.Logins, cfg.Logger, cfg.Credentials = store, slog.New(log), counted(secret, &asked)
			}, func(rc *rawConn) {
				rc.profile = xep0388
				rc.secure(offerSASL2(offerFAST(exprToken, noneToken), "SCRAM-SHA-256", "PLAIN"))
				mech, sent, xml := rc.request()
				if mech != exprToken || sent != "alice\x00"+tokenProof(oldToken, "Initiator", rc.exporter()) || !strings.Contains(xml, "count='8'") && !strings.Contains(xml, `count="8"`) {
					t.Errorf("the client sent %s", xml)
				}
				rc.say("%s", c.answer(rc, sent))
				rc.request()
				t.Error("another attempt")
			})
			if c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("Login returned %v", err)
			}
			if asked != 0 || bytes.Contains(rc.seen, []byte("<response")) || bytes.Contains(rc.seen, []byte("<next")) {
				t.Errorf("the password was asked for %d times; the client sent %q", asked, rc.seen)
			}
			if r := store.of("alice"); r.TokenCount != 8 {
				t.Errorf("the count that is stored is %d", r.TokenCount)
			}
			for _, text := range []string{log.all(), err.Error(), fmt.Sprintf("%+v", err)} {
				if what := tokenIn(text); what != "" {
					t.Errorf("%q holds %q", text, what)
				}
			}
		})
	}
	t.Run("a token that was not asked for", func(t *testing.T) {
		r := newRawServer(t, func(c *rawConn) {
			c.profile = xep0388
			c.secure(offerSASL2("", "SCRAM-SHA-256"))
			c.say("%s", strings.Replace(c.profile.success(c.scram()), "</success>", "<token xmlns='"+nsFAST+"' token='planted' expiry='2999-01-01T00:00:00Z'/></success>", 1))
			c.bind(boundTo("alice@example.test/r"))
		})
		cfg := r.config()
		store := new(logins)
		cfg.Logins = store
		s := login(t, cfg)
		if r := store.of("alice"); r.Token != "" || r.Strongest != "SCRAM-SHA-256" {
			t.Errorf("stored is %s", r)
		}
		_ = s.Close(within(t, time.Second))
	})
}

// tokenIn looks for the token in the forms that it may take.
func tokenIn(text string) string {
	list := fmt.Sprint([]byte(oldToken))
	for _, s := range []string{oldToken, b64(oldToken), fmt.Sprintf("%x", oldToken), list[1 : len(list)-1]} {
		if strings.Contains(text, s) {
			return s
		}
	}
	return ""
}

// TestSec_SASL11Secret prints what knows a token.
func TestSec_SASL11Secret(t *testing.T) {
	checkGoroutines(t)
	r := withToken().of("alice")
	s := newStream(t, xmpp.Config{JID: xmpp.MustParseJID("alice@" + rawDomain), Credentials: xmpp.Password(secret), Logins: withToken()})
	for name, v := range map[string]any{"LoginRecord": r, "*LoginRecord": &r, "Config": xmpp.Config{Logins: withToken()}, "Stream": s} {
		texts := map[string]string{}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			if _, ok := v.(xmpp.Config); !ok || strings.HasSuffix(verb, "v") { // with others fmt goes through the pointer to a storage
				texts[verb] = fmt.Sprintf(verb, v)
			}
		}
		var b bytes.Buffer
		slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "v", v)
		slog.New(slog.NewTextHandler(&b, nil)).Info("x", "v", v)
		texts["slog"] = b.String()
		for verb, text := range texts {
			if what := tokenIn(text); what != "" {
				t.Errorf("%s as %s holds %q: %s", name, verb, what, text)
			}
		}
	}
	if b, err := json.Marshal(r); err != nil || tokenIn(string(b)) == "" {
		t.Error("a storage cannot write it:", err)
	}
	for _, fail := range []bool{false, true} { // in logs of logins that go well, or do not
		srv, h := server2(t, testserver.Options{})
		cfg := config2(srv)
		log := &logRecords{level: xmpp.LevelTrace}
		cfg.Logger = slog.New(log)
		var tokens []string
		for range 3 {
			login(t, cfg).Disconnect()
			tokens = append(tokens, cfg.Logins.(*logins).of("alice").Token)
			if fail {
				_ = srv.RevokeTokens("alice")
			}
		}
		for _, line := range h.take() {
			if data := payload(line); strings.HasPrefix(data, "alice\x00") {
				tokens = append(tokens, b64(data), b64(strings.TrimPrefix(data, "alice\x00")))
			}
		}
		text := log.all()
		for _, token := range tokens {
			if len(token) < 20 || strings.Contains(text, token) || strings.Contains(text, b64(token)) {
				t.Errorf("the log holds %q", token)
			}
		}
		if len(tokens) < 5 || !strings.Contains(text, "authenticate") && !strings.Contains(text, "logged in") {
			t.Error("this test sees nothing")
		}
	}
}
