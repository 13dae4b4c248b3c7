package sasl

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// digestServer is the other side of one DIGEST-MD5 exchange, written from RFC 2831 without the code under test.
type digestServer struct {
	password string   // in the character set of the exchange
	realms   []string // raw
	ext      string   // appended to the challenge
	uri      string   // the one that is right
	got      map[string]string
}

func (s *digestServer) challenge() string {
	b := `nonce="a\"b\\c,d",qop="auth-int, auth",algorithm=md5-sess` + s.ext
	for _, r := range s.realms {
		b += `,realm="` + strings.ReplaceAll(strings.ReplaceAll(r, `\`, `\\`), `"`, `\"`) + `"`
	}
	return b
}

const digestNonce = `a"b\c,d`

// respond checks the response and returns the response-auth. It reads what is in quotes byte by byte.
func (s *digestServer) respond(msg []byte) (string, error) {
	s.got = map[string]string{}
	for rest := string(msg); rest != ""; {
		name, after, ok := strings.Cut(rest, "=")
		if !ok {
			return "", fmt.Errorf("no value: %q", rest)
		}
		value := ""
		if strings.HasPrefix(after, `"`) {
			i := 1
			for ; i < len(after) && after[i] != '"'; i++ {
				if after[i] == '\\' {
					i++
				}
				value += after[i : i+1]
			}
			after = after[i+1:]
		} else {
			i := strings.IndexByte(after+",", ',')
			value, after = after[:i], after[i:]
		}
		if _, twice := s.got[name]; twice || value == "" && name != "realm" {
			return "", fmt.Errorf("bad %s in %q", name, msg)
		}
		s.got[name] = value
		rest = strings.TrimPrefix(after, ",")
	}
	if s.got["nonce"] != digestNonce || s.got["nc"] != "00000001" || s.got["qop"] != "auth" || s.got["digest-uri"] != s.uri || len(s.got["cnonce"]) < 24 {
		return "", fmt.Errorf("got %q", s.got)
	}
	if s.got["response"] != s.digest("AUTHENTICATE:"+s.uri) {
		return "", errors.New("not-authorized")
	}
	return "rspauth=" + s.digest(":"+s.uri), nil
}

func (s *digestServer) digest(a2 string) string {
	h := func(x string) string { d := md5.Sum([]byte(x)); return string(d[:]) }
	x := func(x string) string { return hex.EncodeToString([]byte(x)) }
	a1 := h(s.got["username"]+":"+s.got["realm"]+":"+s.password) + ":" + digestNonce + ":" + s.got["cnonce"]
	if a, ok := s.got["authzid"]; ok {
		a1 += ":" + a
	}
	return x(h(x(h(a1)) + ":" + digestNonce + ":" + s.got["nc"] + ":" + s.got["cnonce"] + ":" + s.got["qop"] + ":" + x(h(a2))))
}

func digestParams(user, password string) Params {
	return Params{Credentials: creds(user, password), Domain: "example.org"}
}

// digestLogin runs a whole login; inSuccess sends rspauth with success.
func digestLogin(ctx context.Context, p Params, s *digestServer, inSuccess bool) error {
	c, err := DigestMD5().New(p)
	if err != nil {
		return err
	}
	if msg, err := c.Start(ctx); err != nil || msg != nil {
		return fmt.Errorf("Start: %q, %w", msg, err)
	}
	msg, err := c.Next(ctx, []byte(s.challenge()))
	if err != nil {
		return fmt.Errorf("Next: %w", err)
	}
	proof, err := s.respond(msg)
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	if inSuccess {
		return c.Success(ctx, []byte(proof))
	}
	if msg, err = c.Next(ctx, []byte(proof)); err != nil || msg == nil || len(msg) != 0 {
		return fmt.Errorf("answer to rspauth: %q, %w", msg, err)
	}
	return c.Success(ctx, nil)
}

// TestDigestMD5Vector is the example of RFC 2831 §4.
func TestDigestMD5Vector(t *testing.T) {
	p := Params{Credentials: creds("chris", "secret"), Domain: "elwood.innosoft.com", Service: "imap"}
	c, err := newDigestMD5(p)
	if err != nil {
		t.Fatal(err)
	}
	c.cnonce = "OA6MHXh6VqTrRk"
	if _, err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := c.Next(t.Context(), []byte(`realm="elwood.innosoft.com",nonce="OA6MG9tEQGm2hh",qop="auth",algorithm=md5-sess,charset=utf-8`))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{`charset=utf-8`, `username="chris"`, `realm="elwood.innosoft.com"`, `nonce="OA6MG9tEQGm2hh"`, `nc=00000001`, `cnonce="OA6MHXh6VqTrRk"`,
		`digest-uri="imap/elwood.innosoft.com"`, `response=d388dad90d4bbd760a152321f2143af7`, `qop=auth`}
	if parts := strings.Split(string(got), ","); len(parts) != len(want) || slices.ContainsFunc(want, func(w string) bool { return !slices.Contains(parts, w) }) {
		t.Errorf("got %s, want %s in any order", got, want)
	}
	if got, err := c.Next(t.Context(), []byte("rspauth=ea40f60335c427b5527b84dbabcdfffd")); err != nil || got == nil || len(got) != 0 {
		t.Errorf("got %q, %v, want an empty answer", got, err)
	}
	if err := c.Success(t.Context(), nil); err != nil {
		t.Error(err)
	}
	if err := c.Success(t.Context(), nil); !errors.Is(err, ErrUnexpected) {
		t.Errorf("second success: got %v", err)
	}
}

func TestDigestMD5(t *testing.T) {
	for _, tt := range []struct {
		name           string
		user, password string
		s              digestServer
		realm          string
		username       string // as sent
	}{
		{"as ejabberd", "juliet", "pw", digestServer{password: "pw", ext: ",charset=utf-8"}, "example.org", "juliet"},
		{"one realm", "juliet", "pw", digestServer{password: "pw", realms: []string{"other.example"}}, "other.example", "juliet"},
		{"empty realm", "juliet", "pw", digestServer{password: "pw", realms: []string{""}}, "", "juliet"},
		{"two realms, one of them the domain", "juliet", "pw", digestServer{password: "pw", realms: []string{"a", "example.org"}}, "example.org", "juliet"},
		{"two others", "juliet", "pw", digestServer{password: "pw", realms: []string{"a", "b"}}, "a", "juliet"},
		{"characters to quote", `j"u\l,t`, `p"w\,`, digestServer{password: `p"w\,`, realms: []string{`r"e\a,m`}}, `r"e\a,m`, `j"u\l,t`},
		{"UTF-8", "jülïet", "pässwörd", digestServer{password: "pässwörd", ext: `,charset="UTF-8"`, realms: []string{"réalm"}}, "réalm", "jülïet"},
		{"beyond Latin", "жулиет", "пароль", digestServer{password: "пароль", ext: ",charset=utf-8"}, "example.org", "жулиет"},
		{"ISO 8859-1", "jülïet", "pässwörd", digestServer{password: "p\xe4ssw\xf6rd", realms: []string{"r\xe9alm"}}, "r\xe9alm", "j\xfcl\xefet"},
		{"other directives", "juliet", "pw", digestServer{password: "pw", ext: `,stale=false,maxbuf=65536,cipher="rc4,des",x=1,x=2`}, "example.org", "juliet"},
	} {
		for _, authzid := range []string{"", `r"omeo@example.org`} {
			for _, inSuccess := range []bool{false, true} {
				p := digestParams(tt.user, tt.password)
				p.Credentials.Authzid = authzid
				s := tt.s
				s.uri = "xmpp/example.org"
				if err := digestLogin(t.Context(), p, &s, inSuccess); err != nil {
					t.Errorf("%s: %v", tt.name, err)
				}
				_, charset := s.got["charset"]
				if s.got["realm"] != tt.realm || s.got["username"] != tt.username || s.got["authzid"] != authzid || charset != strings.Contains(s.ext, "charset") {
					t.Errorf("%s: got %q", tt.name, s.got)
				}
			}
		}
	}
	s := digestServer{password: "other", uri: "xmpp/example.org"}
	if err := digestLogin(t.Context(), digestParams("juliet", "pw"), &s, false); err == nil {
		t.Error("the server of the test takes any password")
	}

	for name, p := range map[string]Params{
		"no domain":       {Credentials: creds("a", "b")},
		"odd domain":      {Domain: "a\x00b"},
		"odd service":     {Domain: "a", Service: "\n"},
		"domain no UTF-8": {Domain: "\xff"},
	} {
		if c, err := DigestMD5().New(p); err == nil || c != nil {
			t.Errorf("%s: got %v, %v, want an error", name, c, err)
		}
	}
	p := digestParams("a", "b")
	p.Rand = strings.NewReader("short")
	if _, err := newClient(t, DigestMD5(), p).Start(t.Context()); err == nil {
		t.Error("a short source of randomness was taken")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := newClient(t, DigestMD5(), digestParams("a", "b")).Start(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("Start: got %v, want Canceled", err)
	}
	c := newClient(t, DigestMD5(), digestParams("a", "b"))
	startDigest(t, c)
	if _, err := c.Next(ended, []byte(s.challenge())); !errors.Is(err, context.Canceled) {
		t.Errorf("Next: got %v, want Canceled", err)
	}
	nonces := map[string]bool{}
	for range 100 {
		c := newClient(t, DigestMD5(), digestParams("a", "b"))
		startDigest(t, c)
		nonces[c.(*digestMD5).cnonce] = true
	}
	if len(nonces) != 100 {
		t.Errorf("%d nonces in 100 attempts", len(nonces))
	}
}

func startDigest(t testing.TB, c Client) {
	t.Helper()
	if msg, err := c.Start(t.Context()); msg != nil || err != nil {
		t.Fatalf("Start: got %q, %v, want nil", msg, err)
	}
}

// TestSec_SASL08: what a hostile server says in DIGEST-MD5 ends the attempt before the password is asked for,
// and nothing but the right rspauth makes a login.
func TestSec_SASL08(t *testing.T) {
	if slices.ContainsFunc(Default(), func(m Mechanism) bool { return m.Name == "DIGEST-MD5" }) {
		t.Error("DIGEST-MD5 is on by default")
	}
	const good = `nonce="n",qop="auth",algorithm=md5-sess,charset=utf-8`
	for name, challenge := range map[string]string{
		"empty": "", "commas": ",,, ,", "no nonce": `qop="auth",algorithm=md5-sess`, "empty nonce": `nonce="",algorithm=md5-sess`,
		"two nonces":       `nonce="a",nonce="b",algorithm=md5-sess`,
		"auth-conf only":   `nonce="n",qop="auth-conf",algorithm=md5-sess`,
		"no qop of ours":   `nonce="n",qop="auth-int,auth-conf,xauth",algorithm=md5-sess`,
		"empty qop":        `nonce="n",qop="",algorithm=md5-sess`,
		"two qops":         `nonce="n",qop="auth-conf",qop="auth",algorithm=md5-sess`,
		"comma in realm":   good + `,realm=a,b`,
		"comma and equals": good + `,realm=a,b=`,
		"space in realm":   good + `,realm=a b`,
		"no algorithm":     `nonce="n",qop="auth"`,
		"algorithm md5":    `nonce="n",qop="auth",algorithm=md5`,
		"other charset":    `nonce="n",algorithm=md5-sess,charset=utf-16`,
		"two charsets":     good + `,charset=utf-8`,
		"realm no UTF-8":   good + ",realm=\"\xff\"",
		"open quotes":      good + `,realm="a`,
		"open escape":      good + `,realm="a\`,
		"NUL":              good + ",realm=\"a\x00\"",
		"NUL, escaped":     good + ",realm=\"a\\\x00\"",
		"line break":       good + ",realm=\"a\r\nb\"",
		"NUL outside":      good + ",\x00=1",
		"no comma":         `nonce="n"qop="auth",algorithm=md5-sess`,
		"no value":         good + ",realm=", "no name": good + `,="x"`, "no equals": good + ",realm",
		"rspauth at once":    "rspauth=00000000000000000000000000000000",
		"long":               good + `,x="` + strings.Repeat("x", 2048) + `"`,
		"a million commas":   strings.Repeat(",", 1<<20),
		"SCRAM":              "r=abc,s=c2FsdA==,i=4096",
		"semicolon":          `nonce="n";qop="auth";algorithm=md5-sess`,
		"nonce not ASCII":    "nonce=é,algorithm=md5-sess",
		"unquoted with base": "nonce=ab==,algorithm=md5-sess",
	} {
		p := digestParams("juliet", "")
		p.Credentials = untouched(t)
		c := newClient(t, DigestMD5(), p)
		startDigest(t, c)
		if got, err := c.Next(t.Context(), []byte(challenge)); got != nil || !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %q, %v, want ErrMalformed", name, got, err)
		}
		if got, err := c.Next(t.Context(), []byte(good)); got != nil || !errors.Is(err, ErrMalformed) {
			t.Errorf("%s, then a good one: got %q, %v, want ErrMalformed", name, got, err)
		}
		if err := c.Success(t.Context(), nil); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s, then success: got %v, want ErrMalformed", name, err)
		}
	}

	t.Run("no charset", func(t *testing.T) {
		for _, cred := range []Credentials{creds("жулиет", "pw"), creds("juliet", "пароль")} {
			p := digestParams("", "")
			p.Credentials = cred
			c := newClient(t, DigestMD5(), p)
			startDigest(t, c)
			got, err := c.Next(t.Context(), []byte(`nonce="n",algorithm=md5-sess`))
			if got != nil || !errors.Is(err, ErrCredentials) || strings.Contains(err.Error(), "пароль") {
				t.Errorf("%v: got %q, %v, want ErrCredentials", cred, got, err)
			}
		}
		p := digestParams("juliet", "pw")
		p.Domain = "пример.example"
		c := newClient(t, DigestMD5(), p)
		startDigest(t, c)
		if got, err := c.Next(t.Context(), []byte(`nonce="n",algorithm=md5-sess`)); got != nil || !errors.Is(err, ErrCredentials) {
			t.Errorf("domain: got %q, %v, want ErrCredentials", got, err)
		}
	})

	t.Run("rspauth", func(t *testing.T) {
		answered := func() (Client, string) {
			s := &digestServer{password: "pw", uri: "xmpp/example.org"}
			c := newClient(t, DigestMD5(), digestParams("juliet", "pw"))
			startDigest(t, c)
			msg, err := c.Next(t.Context(), []byte(s.challenge()))
			if err != nil {
				t.Fatal(err)
			}
			proof, err := s.respond(msg)
			if err != nil {
				t.Fatal(err)
			}
			return c, proof
		}
		last := func(s string) string { // wrong in its last digit
			if strings.HasSuffix(s, "0") {
				return s[:len(s)-1] + "1"
			}
			return s[:len(s)-1] + "0"
		}
		for name, bad := range map[string]func(proof string) string{
			"absent":          func(string) string { return "x=1" },
			"last digit":      last,
			"short":           func(s string) string { return s[:len(s)-1] },
			"long":            func(s string) string { return s + "0" },
			"upper case":      strings.ToUpper,
			"zeros":           func(string) string { return "rspauth=00000000000000000000000000000000" },
			"empty value":     func(string) string { return `rspauth=""` },
			"twice":           func(s string) string { return s + "," + s },
			"wrong and right": func(s string) string { return last(s) + "," + s },
			"bare":            func(s string) string { return strings.TrimPrefix(s, "rspauth=") },
			"quotes open":     func(s string) string { return strings.Replace(s, "=", `="`, 1) },
			"a new challenge": func(string) string { return good },
		} {
			for _, inSuccess := range []bool{false, true} {
				c, proof := answered()
				var got []byte
				var err error
				if inSuccess {
					err = c.Success(t.Context(), []byte(bad(proof)))
				} else {
					got, err = c.Next(t.Context(), []byte(bad(proof)))
				}
				// "RSPAUTH" is the same name; the digits are what is wrong then.
				if got != nil || !errors.Is(err, ErrServerSignature) && !errors.Is(err, ErrMalformed) {
					t.Errorf("%s, in success %v: got %q, %v", name, inSuccess, got, err)
				}
				if err := c.Success(t.Context(), []byte(proof)); err == nil {
					t.Errorf("%s, then right: authenticated", name)
				}
			}
		}
		for name, step := range map[string]func() error{
			"success without it": func() error { c, _ := answered(); return c.Success(t.Context(), nil) },
			"empty challenge, then success": func() error {
				c, _ := answered()
				c.Next(t.Context(), nil)
				return c.Success(t.Context(), nil)
			},
			"success first": func() error { return newClient(t, DigestMD5(), digestParams("a", "b")).Success(t.Context(), nil) },
			"success before a challenge": func() error {
				c := newClient(t, DigestMD5(), digestParams("a", "b"))
				startDigest(t, c)
				return c.Success(t.Context(), nil)
			},
			"data after it": func() error {
				c, proof := answered()
				c.Next(t.Context(), []byte(proof))
				return c.Success(t.Context(), []byte(proof))
			},
			"challenge after it": func() error {
				c, proof := answered()
				c.Next(t.Context(), []byte(proof))
				_, err := c.Next(t.Context(), []byte(proof))
				return err
			},
			"second start": func() error { c, _ := answered(); _, err := c.Start(t.Context()); return err },
			"no start": func() error {
				_, err := newClient(t, DigestMD5(), digestParams("a", "b")).Next(t.Context(), []byte(good))
				return err
			},
		} {
			err := step()
			if strings.HasPrefix(name, "success without") && !errors.Is(err, ErrServerSignature) {
				t.Errorf("%s: got %v, want ErrServerSignature", name, err)
			}
			if !errors.Is(err, ErrServerSignature) && !errors.Is(err, ErrUnexpected) && !errors.Is(err, ErrMalformed) {
				t.Errorf("%s: got %v", name, err)
			}
		}
	})
}

func TestDigestQuote(t *testing.T) {
	for x, want := range map[string]string{"": `""`, "a": `"a"`, `a"b\c`: `"a\"b\\c"`, ",= é": `",= é"`} {
		if got := quoteDigest(x); got != want {
			t.Errorf("%q: got %s, want %s", x, got, want)
		}
	}
	got, err := parseDirectives([]byte(" , A=b , c = \"d\\e,\" ,\r\n\tf=\"\","))
	if want := []directive{{"a", "b"}, {"c", "de,"}, {"f", ""}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}
