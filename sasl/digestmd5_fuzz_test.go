package sasl

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
)

// FuzzDigestMD5 plays a server that does not know the password.
// Each line of the script is a message: it begins with "c" for a challenge or "s" for success, and the rest is the data.
// "$R" in it stands for the right rspauth, so that the way to success is reached too;
// the oracle computes it by itself from what was said, and nothing else may make a login.
// The first argument goes through quotes and back.
func FuzzDigestMD5(f *testing.F) {
	const first = `cnonce="a\"b\\c,d",qop="auth",algorithm=md5-sess,charset=utf-8`
	for _, seed := range []string{
		first + "\nc$R\ns", first + "\ns$R", first + "\ns", "s", "s$R", first + "\nc$R\nc$R", first + "\ncx\ns$R", first + "\n" + first + "\ns$R",
		first + ",realm=\"r\",realm=\"example.org\"\nc$R\ns", first + ",realm=a,b\nc$R\ns", `cnonce="x",algorithm=md5-sess` + "\nc$R\ns",
		first + "\ncx=1, $R ,y=2\ns", first + "\nc$R,$R\ns", `cqop="auth-conf"` + first[1:], first + "\nsrspauth=\"\"", first + "\nc$R\nsx",
	} {
		f.Add(`a"b\c,d`, seed)
		f.Add("\x00é\xff\\", seed)
	}
	// The same in each run and worker, because the fuzzer repeats what it finds interesting; it never sees the password.
	const password = "0b6c5f1f2a8e4d3c"

	f.Fuzz(func(t *testing.T, text, script string) {
		ds, err := parseDirectives([]byte("x=" + quoteDigest(text) + `,y="z"`))
		control := strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f })
		switch long := len(quoteDigest(text))+8 >= maxDigest; {
		case control || long:
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("%q: got %q, %v", text, ds, err)
			}
		case err != nil || !slices.Equal(ds, []directive{{"x", text}, {"y", "z"}}):
			t.Fatalf("%q: got %q, %v", text, ds, err)
		}

		p := digestParams("user", password)
		p.Rand = strings.NewReader("eighteen bytes ....")
		c := newClient(t, DigestMD5(), p)
		startDigest(t, c)
		right := ""
		failed, verified := false, false
		for i, line := range strings.Split(script, "\n") {
			if i == 10 || line == "" {
				break
			}
			data := []byte(strings.ReplaceAll(line[1:], "$R", right))
			if line[0] == 's' {
				if err := c.Success(t.Context(), data); err != nil {
					failed = true
					continue
				}
				if failed || right == "" || !verified && !bytes.Contains(data, []byte(right)) {
					t.Fatalf("authenticated with %q, right is %q", data, right)
				}
				if err := c.Success(t.Context(), data); err == nil {
					t.Fatal("authenticated twice")
				}
				return
			}
			response, err := c.Next(t.Context(), data)
			if (response == nil) != (err != nil) {
				t.Fatalf("response %q with error %v", response, err)
			}
			if bytes.Contains(response, []byte(password)) {
				t.Fatal("password in a response")
			}
			if err == nil && failed {
				t.Fatal("a challenge was answered after a failure")
			}
			failed = failed || err != nil
			switch {
			case failed:
			case right == "":
				right = rightDigest(t, response, password)
			default:
				if verified = bytes.Contains(data, []byte(right)); !verified {
					t.Fatalf("verified %q, right is %q", data, right)
				}
			}
		}
	})
}

// rightDigest computes what a server with the password would send.
func rightDigest(t *testing.T, response []byte, password string) string {
	ds, err := parseDirectives(response)
	if err != nil {
		if len(response) >= maxDigest {
			return "none"
		}
		t.Fatalf("response %q: %v", response, err)
	}
	got := maps.Collect(func(yield func(string, string) bool) {
		for _, d := range ds {
			if !yield(d.name, d.value) {
				return
			}
		}
	})
	sum := func(parts ...string) string { d := md5.Sum([]byte(strings.Join(parts, ":"))); return string(d[:]) }
	ha1 := hex.EncodeToString([]byte(sum(sum(got["username"], got["realm"], password), got["nonce"], got["cnonce"])))
	digest := func(a2 string) string {
		ha2 := hex.EncodeToString([]byte(sum(a2, got["digest-uri"])))
		return hex.EncodeToString([]byte(sum(ha1, got["nonce"], got["nc"], got["cnonce"], got["qop"], ha2)))
	}
	if got["response"] != digest("AUTHENTICATE") {
		t.Fatalf("response %q does not verify", response)
	}
	return "rspauth=" + digest("")
}
