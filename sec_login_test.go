package xmpp_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testserver"
	"github.com/go-xmppframework/xmpp/sasl"
	"github.com/go-xmppframework/xmpp/stanza"
)

// TestSec_SASL06 reads the channel binding flag in every situation, and puts a man in the middle.
func TestSec_SASL06(t *testing.T) {
	checkGoroutines(t)
	ed := testserver.DefaultAuthority().Sub(testserver.CertOptions{IsCA: true, Ed25519: true}).Issue(testserver.CertOptions{DNSNames: []string{rawDomain}})
	plus, both := []string{"SCRAM-SHA-256-PLUS"}, []string{"SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"}
	for _, c := range []struct {
		name    string
		offer   []string
		types   []string // nil: no list
		version uint16
		ed25519 bool
		mech    string // "" if there is no login
		flag    string
	}{
		{"no -PLUS", []string{"SCRAM-SHA-256"}, nil, tls.VersionTLS13, false, "SCRAM-SHA-256", "y"},
		{"no -PLUS, a list all the same", []string{"SCRAM-SHA-256"}, []string{"tls-exporter"}, tls.VersionTLS13, false, "SCRAM-SHA-256", "y"},
		{"exporter", both, []string{"tls-exporter"}, tls.VersionTLS13, false, "SCRAM-SHA-256-PLUS", "p=tls-exporter"},
		{"exporter before end point", both, []string{"tls-server-end-point", "tls-exporter"}, tls.VersionTLS13, false, "SCRAM-SHA-256-PLUS", "p=tls-exporter"},
		{"end point", both, []string{"tls-server-end-point"}, tls.VersionTLS13, false, "SCRAM-SHA-256-PLUS", "p=tls-server-end-point"},
		{"only tls-unique on 1.3", both, []string{"tls-unique"}, tls.VersionTLS13, false, "SCRAM-SHA-256", "n"},
		{"only tls-unique on 1.3, -PLUS alone", plus, []string{"tls-unique"}, tls.VersionTLS13, false, "", ""},
		{"no list on 1.3", both, nil, tls.VersionTLS13, false, "SCRAM-SHA-256", "n"},
		{"an empty list", both, []string{}, tls.VersionTLS13, false, "SCRAM-SHA-256", "n"},
		{"an unknown type", both, []string{"tls-future"}, tls.VersionTLS13, false, "SCRAM-SHA-256", "n"},
		{"no list on 1.2", both, nil, tls.VersionTLS12, false, "SCRAM-SHA-256-PLUS", "p=tls-unique"},
		{"tls-unique on 1.2", both, []string{"tls-unique"}, tls.VersionTLS12, false, "SCRAM-SHA-256-PLUS", "p=tls-unique"},
		{"Ed25519, only end point", both, []string{"tls-server-end-point"}, tls.VersionTLS13, true, "SCRAM-SHA-256", "n"},
		{"Ed25519, exporter", both, []string{"tls-server-end-point", "tls-exporter"}, tls.VersionTLS13, true, "SCRAM-SHA-256-PLUS", "p=tls-exporter"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var mech, first atomic.Value
			r := newRawServer(t, func(rc *rawConn) {
				rc.starttls()
				cfg := serverTLS()
				cfg.MinVersion, cfg.MaxVersion = c.version, c.version
				if c.ed25519 {
					cfg.Certificates = []tls.Certificate{ed}
				}
				rc.upgrade(cfg)
				f := offerSASL(c.offer...)
				if c.types != nil {
					f += offerBindings(c.types...)
				}
				rc.open(f)
				m, msg := rc.auth()
				mech.Store(m)
				first.Store(msg)
				x := newScramSide(m)
				rc.challenge(x.first(msg))
				_, final := rc.auth()
				rc.success(x.final(final))
				rc.bind(boundTo("alice@example.test/r"))
			})
			s := newStream(t, r.config())
			err := s.Login(within(t, 5*time.Second))
			if c.mech == "" {
				if !errors.Is(err, sasl.ErrNoMechanism) || mech.Load() != nil {
					t.Errorf("Login returned %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if mech.Load() != c.mech || !strings.HasPrefix(first.Load().(string), c.flag+",") {
				t.Errorf("the client sent %v %q, want %s %q", mech.Load(), first.Load(), c.mech, c.flag)
			}
		})
	}
	for _, mechs := range [][]string{nil, {"SCRAM-SHA-1-PLUS"}, {"SCRAM-SHA-256"}} {
		t.Run(fmt.Sprint("man in the middle ", mechs), func(t *testing.T) {
			srv := newServer(t, testserver.Options{Mechanisms: mechs})
			cfg := configFor(srv, "alice")
			cfg.Host, cfg.DirectTLS = "server.invalid", true
			cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				up, err := srv.Dial(ctx, network, addr)
				if err != nil {
					return nil, err
				}
				client, middle := testserver.Pipe(0, "client", "middle")
				// Somebody whom the client's authorities trust, by mistake.
				go relay(tls.Server(middle, serverTLS()), tls.Client(up, &tls.Config{InsecureSkipVerify: true}))
				return client, nil
			}
			s := newStream(t, cfg)
			err := s.Login(within(t, 5*time.Second))
			if binds := mechs == nil || strings.HasSuffix(mechs[0], "-PLUS"); (err != nil) != binds {
				t.Errorf("Login returned %v", err)
			}
			var ae *xmpp.AuthError
			if err != nil && (!errors.As(err, &ae) || ae.Condition != "not-authorized") {
				t.Errorf("Login returned %v", err)
			}
		})
	}
}

// relay passes bytes on until one side ends.
func relay(a, b net.Conn) {
	done := make(chan struct{})
	go func() { _, _ = io.Copy(a, b); a.Close(); b.Close(); close(done) }()
	_, _ = io.Copy(b, a)
	a.Close()
	b.Close()
	<-done
}

// TestSec_SASL10 logs in with odd names and passwords.
func TestSec_SASL10(t *testing.T) {
	checkGoroutines(t)
	long := strings.Repeat("0123456789", 1024)
	for _, c := range []struct {
		user, stored, given string
		ok                  bool
	}{
		{"a,b=c", "pw", "pw", true},
		{"a=2cb", "pw", "pw", true},
		{"=2c", "pw", "pw", true},
		{"müller", "pässwörd", "pa\u0308sswo\u0308rd", true}, // combining, the same after NFC
		{"alice", "a\u00a0b", "a b", true},                   // every space is a space
		{"alice", "Ａ", "A", false},                           // OpaqueString keeps the width
		{"alice", long, long, true},
		{"alice", "pw", "", false},
		{"alice", "pw", "pw\x00", false},
		{"alice", "pw", "p\xffw", false},
		{"alice", "pw", "Pw", false},
	} {
		for _, mech := range []string{"SCRAM-SHA-256", "PLAIN"} {
			t.Run(fmt.Sprintf("%s %.20q %s", c.user, c.given, mech), func(t *testing.T) {
				srv := newServer(t, testserver.Options{Mechanisms: []string{mech}})
				if err := srv.AddAccount(c.user, c.stored); err != nil {
					t.Fatal(err)
				}
				cfg := configFor(srv, "alice")
				j, err := xmpp.NewJID(c.user, srv.Domain().String(), "")
				if err != nil {
					t.Fatal(err)
				}
				cfg.JID, cfg.AllowPlain, cfg.Credentials = j, true, xmpp.Password(c.given)
				s := newStream(t, cfg)
				if err := s.Login(within(t, 5*time.Second)); (err == nil) != c.ok {
					t.Errorf("Login returned %v", err)
				}
			})
		}
	}
}

// TestSec_SASL12 refuses the login: one attempt, and a text that is safe to show.
func TestSec_SASL12(t *testing.T) {
	checkGoroutines(t)
	eachProfile(t, testSASL12)
}

func testSASL12(t *testing.T, p profile) {
	for name, c := range map[string]struct{ xml, condition string }{
		"not-authorized":       {condition("not-authorized"), "not-authorized"},
		"account-disabled":     {condition("account-disabled"), "account-disabled"},
		"unknown condition":    {condition("something-new"), "something-new"},
		"no condition":         {"", "not-authorized"},
		"foreign condition":    {"<x xmlns='urn:x'/>", "not-authorized"},
		"temporary":            {condition("temporary-auth-failure"), "temporary-auth-failure"},
		"60 KiB of text":       {condition("not-authorized") + "<text>" + strings.Repeat("tü", 20<<10) + "</text>", "not-authorized"},
		"control characters":   {condition("not-authorized") + "<text>a\n2026 level=ERROR&#x9b;31m\u202eb&#x7f;</text>", "not-authorized"},
		"1 MiB of text":        {condition("not-authorized") + "<text>" + strings.Repeat("x", 1<<20) + "</text>", ""},
		"long, odd condition":  {condition("a" + strings.Repeat("ü", 400)), "a" + strings.Repeat("ü", 400)},
		"a mechanism too weak": {condition("mechanism-too-weak"), "mechanism-too-weak"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRawServer(t, func(rc *rawConn) {
				rc.profile = p
				rc.secure(p.offer("SCRAM-SHA-256"))
				for {
					rc.request()
					rc.say("%s", p.failure(c.xml))
				}
			})
			var log logBuffer
			cfg := r.config()
			cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: xmpp.LevelTrace}))
			s := newStream(t, cfg)
			err := s.Login(within(t, 5*time.Second))
			if err == nil {
				t.Fatal("logged in")
			}
			time.Sleep(10 * time.Millisecond)
			if !s.IsDisconnected() {
				t.Error("still connected after Login")
			}
			if conns := r.done(); len(conns) != 1 || bytes.Count(conns[0].seen, []byte("<"+p.begin()+" ")) != 1 {
				t.Errorf("%d connections, or more than one attempt", len(conns))
			}
			text := err.Error()
			if strings.Contains(text, "\n") {
				t.Errorf("more than one line: %.200q", text)
			}
			for _, s := range []string{text, log.String()} {
				if len(s) > 8<<10 || strings.ContainsAny(strings.TrimSuffix(s, "\n"), "\u009b\x7f\u202e") || strings.Contains(s, "\n2026") {
					t.Errorf("not safe to show, %d bytes: %.200q", len(s), s)
				}
			}
			var ae *xmpp.AuthError
			if !errors.As(err, &ae) || string(ae.Condition) != c.condition || len(ae.Text) > 1024 {
				t.Errorf("Login returned %.200v", err)
			}
		})
	}
	for name, want := range map[string]string{
		"not-authorized": "SCRAM-SHA-256", "temporary-auth-failure": "SCRAM-SHA-256", "account-disabled": "SCRAM-SHA-256",
		"mechanism-too-weak": "SCRAM-SHA-256,SCRAM-SHA-1,PLAIN", "invalid-mechanism": "SCRAM-SHA-256,SCRAM-SHA-1,PLAIN",
	} {
		t.Run("no other mechanism for "+name, func(t *testing.T) { // unless this one is not to be used
			var tried []string
			r := newRawServer(t, func(rc *rawConn) {
				rc.profile = p
				rc.secure(p.offer("PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256"))
				for {
					mech, _, _ := rc.request()
					tried = append(tried, mech)
					rc.say("%s", p.failure(condition(name)))
				}
			})
			if err := newStream(t, r.config()).Login(within(t, 5*time.Second)); err == nil {
				t.Error("logged in")
			}
			r.done()
			if got := strings.Join(tried, ","); got != want {
				t.Errorf("tried %s, want %s", got, want)
			}
		})
	}
}

// TestSec_SASL14 binds to what was not asked for.
func TestSec_SASL14(t *testing.T) {
	checkGoroutines(t)
	result := func(inner string) string { return "<iq type='result' id='%s'>" + inner + "</iq>" }
	for name, c := range map[string]struct {
		answer, bound string
	}{
		"wrong id":            {strings.Replace(boundTo("alice@example.test/r"), "%s", "x%s", 1), ""},
		"no id":               {strings.Replace(boundTo("alice@example.test/r"), " id='%s'", "", 1), ""},
		"no jid":              {result("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"), ""},
		"no bind":             {result(""), ""},
		"another user":        {boundTo("bob@example.test/r"), ""},
		"another domain":      {boundTo("alice@evil.test/r"), ""},
		"bare":                {boundTo("alice@example.test"), ""},
		"no address":          {boundTo("@@"), ""},
		"empty":               {boundTo(""), ""},
		"two":                 {boundTo("alice@example.test/r", "alice@example.test/s"), ""},
		"foreign jid":         {result("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid xmlns='urn:x'>alice@example.test/r</jid></bind>"), ""},
		"foreign bind":        {result("<bind xmlns='urn:x'><jid>alice@example.test/r</jid></bind>"), ""},
		"from a stranger":     {strings.Replace(boundTo("alice@example.test/r"), "<iq ", "<iq from='evil@example.test' ", 1), ""},
		"type get":            {strings.Replace(boundTo("alice@example.test/r"), "result", "get", 1), ""},
		"type bogus":          {strings.Replace(boundTo("alice@example.test/r"), "result", "bogus", 1), ""},
		"an error":            {"<iq type='error' id='%s'><error type='cancel'><not-allowed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>", ""},
		"an error without it": {"<iq type='error' id='%s'/>", ""},
		"another resource":    {boundTo("alice@example.test/chosen"), "alice@example.test/chosen"},
		"another case":        {boundTo("Alice@EXAMPLE.test/r"), "alice@example.test/r"},
	} {
		t.Run(name, func(t *testing.T) {
			var got dispatched
			r := newRawServer(t, func(rc *rawConn) {
				rc.secure(offerSASL("SCRAM-SHA-256"))
				rc.success(rc.scram())
				rc.bind(c.answer)
			})
			cfg := r.config()
			cfg.JID = xmpp.MustParseJID("alice@example.test/wanted")
			s := newStream(t, cfg, got.delegate())
			err := s.Login(within(t, 5*time.Second))
			if c.bound != "" {
				if err != nil || s.MyJID().String() != c.bound {
					t.Errorf("Login returned %v, bound to %s", err, s.MyJID())
				}
				return
			}
			var ae *xmpp.AuthError
			if !errors.As(err, &ae) || ae.Step != "bind" || s.IsAuthenticated() {
				t.Errorf("Login returned %v", err)
			}
			got.nothing(t, s)
		})
	}
	t.Run("ANONYMOUS", func(t *testing.T) {
		r := newRawServer(t, func(rc *rawConn) {
			rc.secure(offerSASL("ANONYMOUS"))
			rc.auth()
			rc.success("")
			rc.bind(boundTo("random@anon.example.test/r"))
		})
		cfg := r.config()
		cfg.JID, cfg.Credentials = xmpp.MustParseJID(rawDomain), xmpp.Anonymous()
		s := newStream(t, cfg)
		if err := s.Login(within(t, 5*time.Second)); err != nil || s.MyJID().String() != "random@anon.example.test/r" {
			t.Errorf("Login returned %v, bound to %s", err, s.MyJID())
		}
	})
}

// TestSec_SASL15 prints everything that knows the password.
func TestSec_SASL15(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	cfg := configFor(srv, "alice")
	s := login(t, cfg)
	wrong := configFor(srv, "alice")
	wrong.Credentials = xmpp.Password(secret + "x")
	refused := newStream(t, wrong).Login(within(t, 5*time.Second))
	hidden := errors.New("no password today")
	wrong.Credentials = xmpp.PasswordFunc(func(context.Context) ([]byte, error) { return []byte(secret), hidden })
	none := newStream(t, wrong).Login(within(t, 5*time.Second))
	if refused == nil || !errors.Is(none, hidden) {
		t.Fatalf("Login returned %v and %v", refused, none)
	}
	if got := fmt.Sprintf("%v|%+v|%#v|%d", s, s, s, s); got != strings.Repeat(s.String()+"|", 3)+s.String() || !strings.Contains(got, "alice@") {
		t.Errorf("a stream prints itself as %s", got)
	}
	creds := cfg.Credentials.SASL(cfg.JID)
	closed := login(t, cfg)
	if err := closed.Close(within(t, 5*time.Second)); err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]any{
		"Config": cfg, "*Config": &cfg, "Stream": s /* at work: the race detector looks on */, "closed Stream": closed, "Credentials": cfg.Credentials, "with a name": xmpp.WithUsername(cfg.Credentials, "other"),
		"anonymous": xmpp.Anonymous(), "mechanisms": xmpp.Mechanisms(func(context.Context) ([]byte, error) { return []byte(secret), nil }, sasl.Default()...),
		"sasl.Credentials": creds, "a refused login": refused, "a login that failed": none,
		"PanicError": &xmpp.PanicError{Delegate: "x", Value: cfg}, "IQ": stanza.NewIQ(stanza.Get, xmpp.JID{}, nil),
	} {
		texts := map[string]string{}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			texts[verb] = fmt.Sprintf(verb, v)
			if v != any(s) { // inside something else fmt reads it without asking, which only a stream at rest allows
				texts["inside "+verb] = fmt.Sprintf(verb, struct{ v any }{v})
			}
		}
		if j, err := json.Marshal(v); err == nil {
			texts["JSON"] = string(j)
		} else {
			texts["JSON error"] = err.Error()
		}
		var b bytes.Buffer
		slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "v", v)
		slog.New(slog.NewTextHandler(&b, nil)).Info("x", "v", v)
		texts["slog"] = b.String()
		for verb, text := range texts {
			if what := secretIn(text); what != "" {
				t.Errorf("%s as %s holds %q", name, verb, what)
			}
		}
	}
}

// secretIn looks for the password in the forms that it takes on its way.
func secretIn(text string) string {
	list := fmt.Sprint([]byte(secret))
	for _, s := range []string{secret, b64(secret), b64("\x00alice\x00" + secret), fmt.Sprintf("%x", secret), list[1 : len(list)-1]} {
		if strings.Contains(text, s) {
			return s
		}
	}
	return ""
}
