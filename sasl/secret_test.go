package sasl

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"hash"
	"log/slog"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
)

// exportedTypes reads the names from the sources, so that a new type cannot be forgotten below.
func exportedTypes(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	var out []string
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if s, ok := n.(*ast.TypeSpec); ok && s.Name.IsExported() {
				out = append(out, s.Name.Name)
			}
			return true
		})
	}
	return out
}

// renderings are the ways in which bytes may show up in a text.
func renderings(secret []byte) []string {
	list := fmt.Sprint(secret)
	gosyntax := fmt.Sprintf("%#v", secret)
	return []string{string(secret), b64(secret), hex.EncodeToString(secret), strings.ToUpper(hex.EncodeToString(secret)),
		list[1 : len(list)-1], gosyntax[len("[]byte{") : len(gosyntax)-1]}
}

// texts prints a value in every way that code is likely to.
func texts(v any) map[string]string {
	out := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		out[verb] = fmt.Sprintf(verb, v)
		out["nested "+verb] = fmt.Sprintf(verb, struct {
			V any
			S []any
		}{v, []any{v}})
		// fmt calls no methods on what is in unexported fields.
		out["hidden "+verb] = fmt.Sprintf(verb, struct {
			v any
			s []any
		}{v, []any{v}})
	}
	if j, err := json.Marshal(v); err == nil {
		out["JSON"] = string(j)
	}
	if s, ok := v.(fmt.Stringer); ok {
		out["String"] = s.String()
	}
	if s, ok := v.(fmt.GoStringer); ok {
		out["GoString"] = s.GoString()
	}
	if e, ok := v.(error); ok {
		out["Error"] = e.Error()
	}
	for name, h := range map[string]func(*bytes.Buffer) slog.Handler{
		"slog text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		"slog JSON": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
	} {
		var b bytes.Buffer
		slog.New(h(&b)).Info("x", "v", v)
		out[name] = b.String()
	}
	return out
}

// TestSec_SASL15: no exported type prints a secret, and what the library held of it is overwritten.
func TestSec_SASL15(t *testing.T) {
	const password = "correct-horse-battery"
	t.Run("printing", func(t *testing.T) {
		s := newServer("SCRAM-SHA-256", password)
		s.keys()
		salted, err := hi(t.Context(), sha256.New, []byte(password), []byte(s.salt), 4096)
		if err != nil {
			t.Fatal(err)
		}
		secrets := [][]byte{[]byte(password), salted, hmacOf(sha256.New, salted, "Client Key"), s.key}

		cache := &KeyCache{}
		p := params("user", password)
		p.Keys, p.Offer = cache, &Offer{Mechanisms: []string{"PLAIN"}}
		begun, mid, done := newClient(t, ScramSHA256(), p), newClient(t, ScramSHA256(), p), newClient(t, ScramSHA256(), p)
		start(t, begun)
		newServer("SCRAM-SHA-256", password).finish(t, mid)
		if err := exchange(t.Context(), done, newServer("SCRAM-SHA-256", password), false); err != nil {
			t.Fatal(err)
		}
		if len(cache.entries) != 1 || mid.(*scram).keys == nil {
			t.Fatal("the test has no keys to find")
		}
		pl := newClient(t, Plain(), p)
		start(t, pl)
		_, selectErr := Select(Default(), Offer{}, Policy{})
		failed := newClient(t, ScramSHA256(), params("user", password+"\x00"))
		start(t, failed)
		_, passwordErr := failed.Next(t.Context(), []byte("r="+failed.(*scram).nonce+"x,s=c2FsdA==,i=4096"))

		// One of each other mechanism, begun; HT and DIGEST-MD5 hold what follows from the secret.
		p.Domain = "example.org"
		var others []any
		for _, m := range []Mechanism{External(), OAuthBearer(), XOAuth2(), DigestMD5(), mustHT(t, "HT-SHA-256-EXPR"), mustHT(t, "HT-SHA-512-NONE")} {
			c := newClient(t, m, p)
			if _, err := c.Start(t.Context()); err != nil {
				t.Fatalf("%s: %v", m.Name, err)
			}
			others = append(others, c)
		}
		if _, err := others[3].(Client).Next(t.Context(), []byte(`nonce="n",algorithm=md5-sess`)); err != nil {
			t.Fatal(err)
		}
		ha1 := others[3].(*digestMD5).ha1([]byte("user"), []byte("example.org"), []byte(password), "n")
		secrets = append(secrets, ha1, hmacOf(sha256.New, []byte(password), "Responderdata of tls-exporter"))
		if !bytes.Equal(secrets[len(secrets)-1], others[4].(*ht).want.message) {
			t.Fatal("the test has no responder's message to find")
		}

		values := map[string][]any{
			"Mechanism":        {ScramSHA256(), Plain(), OAuthBearer(), mustHT(t, "HT-SHA-256-EXPR")},
			"Client":           append(others, begun, mid, done, pl, newClient(t, Anonymous(), p)),
			"Params":           {p, &p},
			"Credentials":      {p.Credentials, &p.Credentials},
			"Offer":            {*p.Offer, p.Offer},
			"Policy":           {Policy{Minimum: "PLAIN"}},
			"Choice":           {Choice{Mechanism: ScramSHA256()}},
			"Refusal":          {Refusal{}},
			"NoMechanismError": {selectErr, passwordErr},
			"ServerError":      {&ServerError{Value: "x"}},
			"OAuthError":       {&OAuthError{Status: "x"}},
			"DowngradeError":   {&DowngradeError{Reason: "x"}},
			"KeyCache":         {cache, struct{ Keys *KeyCache }{cache}, reflect.ValueOf(cache).Elem().Interface()},
		}
		for _, name := range exportedTypes(t) {
			if len(values[name]) == 0 {
				t.Errorf("no value of the exported type %s is tested", name)
			}
		}
		for name, vs := range values {
			for i, v := range vs {
				for how, text := range texts(v) {
					for k, secret := range secrets {
						for _, r := range renderings(secret) {
							if strings.Contains(text, r) {
								t.Errorf("%s %d: %s prints secret %d: %s", name, i, how, k, text)
							}
						}
					}
				}
			}
		}
		if got := p.Credentials.String(); !strings.Contains(got, "user") {
			t.Errorf("String does not name the account: %s", got)
		}
	})

	t.Run("wiping", func(t *testing.T) {
		cache := &KeyCache{}
		p := params("user", password)
		p.Keys = cache
		c := newClient(t, ScramSHA256(), p).(*scram)
		s := newServer("SCRAM-SHA-256", password)
		v := s.finish(t, c)
		ck, sk := c.keys.client, c.keys.server
		notZero(t, "client's keys before success", ck, sk)
		if len(cache.entries) != 0 {
			t.Error("keys are cached before the server proved itself")
		}
		if err := c.Success(t.Context(), v); err != nil {
			t.Fatal(err)
		}
		zero(t, "client's keys after success", ck, sk)
		kept := cache.entries[0].keys
		notZero(t, "cached keys", kept.client, kept.server)
		cache.Wipe()
		zero(t, "cached keys after Wipe", kept.client, kept.server)
		if len(cache.entries) != 0 {
			t.Error("Wipe left entries")
		}
		(*KeyCache)(nil).Wipe()
		(*KeyCache)(nil).Forget("user")

		// After a failure.
		c = newClient(t, ScramSHA256(), p).(*scram)
		newServer("SCRAM-SHA-256", password).finish(t, c)
		ck, sk = c.keys.client, c.keys.server
		if err := c.Success(t.Context(), nil); err == nil {
			t.Fatal("no error")
		}
		zero(t, "client's keys after a failure", ck, sk)

		// Without a cache nothing is held while the server's answer is awaited.
		p.Keys = nil
		c = newClient(t, ScramSHA256(), p).(*scram)
		newServer("SCRAM-SHA-256", password).finish(t, c)
		if c.keys != nil {
			t.Error("keys are held without a cache")
		}
	})

	t.Run("own copy of the password", func(t *testing.T) {
		// HMAC writes a key longer than the hash's block to the hash as it is, which lets a hash see our copy.
		long := strings.Repeat(password, 10)
		for _, in := range []string{long, "é" + long} {
			var seen [][]byte
			given := []byte(in)
			p := params("user", "")
			p.Credentials.Password = func(context.Context) ([]byte, error) { return given, nil }
			c, err := newScram("SCRAM-SHA-256", func() hash.Hash { return &spy{sha256.New(), &seen} }, false, p)
			if err != nil {
				t.Fatal(err)
			}
			newServer("SCRAM-SHA-256", in).finish(t, c)
			if len(seen) == 0 {
				t.Fatal("the spy saw no password")
			}
			for _, b := range seen {
				zero(t, "copy of the password", b)
			}
			if string(given) != in {
				t.Error("the callback's slice was changed")
			}
		}
	})
}

type spy struct {
	hash.Hash
	seen *[][]byte
}

func (s *spy) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte("correct-horse")) {
		*s.seen = append(*s.seen, b)
	}
	return s.Hash.Write(b)
}

func zero(t *testing.T, what string, slices ...[]byte) {
	t.Helper()
	for _, b := range slices {
		if len(b) == 0 || !bytes.Equal(b, make([]byte, len(b))) {
			t.Errorf("%s: got %d bytes %x, want zeros", what, len(b), b)
		}
	}
}

func notZero(t *testing.T, what string, slices ...[]byte) {
	t.Helper()
	for _, b := range slices {
		if bytes.Equal(b, make([]byte, len(b))) {
			t.Errorf("%s: got %d zeros", what, len(b))
		}
	}
}

func TestKeyCache(t *testing.T) {
	cache := &KeyCache{}
	p := params("user", "pencil")
	p.Keys = cache
	asked := 0
	p.Credentials.Password = func(context.Context) ([]byte, error) {
		asked++
		return []byte("pencil"), nil
	}
	run := func(m Mechanism, s *server) error {
		s.binding = fixedBinding
		return exchange(t.Context(), newClient(t, m, p), s, false)
	}
	for i, tt := range []struct {
		what string
		mech Mechanism
		with func(*server)
		want int // times that the password was asked for so far
	}{
		{"first", ScramSHA256(), func(*server) {}, 1},
		{"again", ScramSHA256(), func(*server) {}, 1},
		{"same keys with binding", ScramSHA256Plus(), func(*server) {}, 1},
		{"other hash", ScramSHA512(), func(*server) {}, 2},
		{"other salt", ScramSHA256(), func(s *server) { s.salt = "new" }, 3},
		{"other count", ScramSHA256(), func(s *server) { s.iterations = 4097 }, 4},
		{"the first one is still there", ScramSHA256(), func(*server) {}, 4},
	} {
		s := newServer(tt.mech.Name, "pencil")
		tt.with(s)
		if err := run(tt.mech, s); err != nil || asked != tt.want {
			t.Errorf("%d %s: got %v and %d questions, want %d", i, tt.what, err, asked, tt.want)
		}
	}

	// A server that refuses the keys, or does not know them, costs them their place.
	before := len(cache.entries)
	if err := run(ScramSHA256(), newServer("SCRAM-SHA-256", "changed")); err == nil {
		t.Error("login with an old password")
	}
	if got := len(cache.entries); got != before-1 {
		t.Errorf("%d entries after a refusal, want %d", got, before-1)
	}
	if err := run(ScramSHA256(), newServer("SCRAM-SHA-256", "pencil")); err != nil || asked != 5 {
		t.Errorf("after a refusal: got %v and %d questions, want 5", err, asked)
	}

	cache.Forget("nobody")
	if got := len(cache.entries); got != before {
		t.Errorf("%d entries after Forget of another, want %d", got, before)
	}
	cache.Forget("user")
	if got := len(cache.entries); got != 0 {
		t.Errorf("%d entries after Forget, want 0", got)
	}

	// Bounded, the oldest goes first, and it is overwritten.
	for i := range cacheLimit {
		cache.put(cacheKey{"h", "user", "s", i}, &keyPair{[]byte{1}, []byte{2}})
	}
	oldest := cache.entries[0]
	cache.put(cacheKey{"h", "user", "s", 1}, &keyPair{[]byte{3}, []byte{4}}) // replaces
	if got := len(cache.entries); got != cacheLimit {
		t.Errorf("%d entries, want %d", got, cacheLimit)
	}
	cache.put(cacheKey{"h", "user", "s", 99}, &keyPair{[]byte{1}, []byte{2}})
	if got := cache.get(oldest.key); got != nil || len(cache.entries) != cacheLimit {
		t.Errorf("oldest still there: %v, %d entries", got != nil, len(cache.entries))
	}
	zero(t, "the oldest entry", oldest.keys.client, oldest.keys.server)
	if got := cache.get(cacheKey{"h", "user", "s", 1}); got == nil || got.client[0] != 3 || got.server[0] != 4 {
		t.Errorf("replaced entry: got %v", got)
	}

	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 50 {
				cache.put(cacheKey{"h", "user", "s", i}, &keyPair{[]byte{1}, []byte{2}})
				cache.get(cacheKey{"h", "user", "s", i})
				cache.Forget("user")
				cache.Wipe()
			}
		})
	}
	wg.Wait()
}
