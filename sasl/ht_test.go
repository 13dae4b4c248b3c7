package sasl

import (
	"crypto/hmac"
	"crypto/sha3"
	"crypto/sha512"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"hash"
	"slices"
	"strings"
	"testing"
)

func mustHT(t testing.TB, name string) Mechanism {
	t.Helper()
	m, ok := HT(name)
	if !ok {
		t.Fatalf("HT does not know %s", name)
	}
	return m
}

func TestHTVectors(t *testing.T) {
	const token = "WXZzciBwYmFmdmZnZiBqdmd1IGp2eXFhcmZm"
	data := make([]byte, 32)
	for i := range data {
		data[i] = byte(i)
	}
	for _, tt := range []struct{ name, initiator, responder string }{
		{"HT-SHA-256-NONE", "dXNlcgCQl3h0YaGE4PqE7ADBOBGQtsTRao7ERTx7KsXn/Pk17Q==", "TlE0CWMUdIY7mGyfPoweJ8op0derntQJfnr9YAe/nGI="},
		{"HT-SHA-256-EXPR", "dXNlcgAMV0VXav7qcRlgVJGGoxplyfMoIF7ji2aCWz1Mhys5XA==", "EmBXmzTVWuuk5DBipBLbYJoKcVOr0hiw8UhEXE6DUp8="},
	} {
		p := Params{Credentials: creds("user", token), Binding: func(typ string) ([]byte, error) {
			if typ != TLSExporter {
				return nil, ErrBinding
			}
			return data, nil
		}}
		c := newClient(t, mustHT(t, tt.name), p)
		if got := b64(start(t, c)); got != tt.initiator {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.initiator)
		}
		proof, _ := base64.StdEncoding.DecodeString(tt.responder)
		if err := c.Success(t.Context(), proof); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if err := c.Success(t.Context(), proof); !errors.Is(err, ErrUnexpected) {
			t.Errorf("%s: second success: got %v, want ErrUnexpected", tt.name, err)
		}
	}
}

// TestHT: each name has its own hash and its own type of binding, and the token goes in as it is.
func TestHT(t *testing.T) {
	hashOf := map[string]func() hash.Hash{"SHA-256": hashes["SCRAM-SHA-256"], "SHA-512": sha512.New, "SHA3-256": func() hash.Hash { return sha3.New256() }}
	bound := map[string]string{"NONE": "", "EXPR": "data of tls-exporter", "UNIQ": "data of tls-unique", "ENDP": "data of tls-server-end-point"}
	for hn, h := range hashOf {
		for bn, data := range bound {
			m := mustHT(t, "HT-"+hn+"-"+bn)
			if m.Name != "HT-"+hn+"-"+bn || m.Binding != (data != "") {
				t.Errorf("%s: got %s, binding %v", hn+bn, m.Name, m.Binding)
			}
			p := params("user", oddToken)
			p.BindingType = "x-other" // not read
			c := newClient(t, m, p)
			if got, want := string(start(t, c)), "user\x00"+string(hmacOf(h, []byte(oddToken), "Initiator"+data)); got != want {
				t.Errorf("%s: got %x, want %x", m.Name, got, want)
			}
			if err := c.Success(t.Context(), hmacOf(h, []byte(oddToken), "Responder"+data)); err != nil {
				t.Errorf("%s: %v", m.Name, err)
			}
		}
	}
	for _, name := range []string{"", "HT", "HT-", "HT--", "HT-SHA-256", "HT-SHA-256-", "HT-SHA-1-NONE", "HT-SHA-256-none", "ht-SHA-256-NONE",
		"HT-SHA-256-NONE-", "SCRAM-SHA-256", "HT-SHA-256-TLS", "HT-NONE"} {
		if m, ok := HT(name); ok || m.New != nil {
			t.Errorf("HT knows %q", name)
		}
	}
	for name, change := range map[string]func(*Params){
		"no binding": func(p *Params) { p.Binding = func(string) ([]byte, error) { return nil, fail(ErrBinding, "x") } },
		"no data":    func(p *Params) { p.Binding = func(string) ([]byte, error) { return nil, nil } },
	} {
		p := params("user", "t")
		p.Credentials = untouched(t)
		change(&p)
		if got, err := newClient(t, mustHT(t, "HT-SHA-256-EXPR"), p).Start(t.Context()); got != nil || !errors.Is(err, ErrBinding) {
			t.Errorf("%s: got %x, %v, want ErrBinding", name, got, err)
		}
	}
	if _, err := mustHT(t, "HT-SHA-256-EXPR").New(Params{}); !errors.Is(err, ErrBinding) {
		t.Errorf("no TLS: got %v, want ErrBinding", err)
	}
	for _, cred := range []Credentials{{}, creds("user", ""), creds("a\x00b", "t"), {Username: "user"}} {
		if got, err := newClient(t, mustHT(t, "HT-SHA-256-NONE"), Params{Credentials: cred}).Start(t.Context()); got != nil || !errors.Is(err, ErrCredentials) {
			t.Errorf("%v: got %x, %v, want ErrCredentials", cred, got, err)
		}
	}
}

// TestSec_SASL11: the part of FAST that is a mechanism's. The server has to know the token, too,
// and a token that is not bound to the channel is not used unless the application says so.
func TestSec_SASL11(t *testing.T) {
	const token = "secret-token"
	right := hmacOf(hashes["SCRAM-SHA-256"], []byte(token), "Responderdata of tls-exporter")
	flip := func(i int) []byte { b := slices.Clone(right); b[i] ^= 1; return b }
	for name, data := range map[string][]byte{
		"missing": nil, "empty": {}, "first byte": flip(0), "last byte": flip(31), "short": right[:31], "long": append(slices.Clone(right), 0),
		"initiator sent back": hmacOf(hashes["SCRAM-SHA-256"], []byte(token), "Initiatordata of tls-exporter"),
		"other binding":       hmacOf(hashes["SCRAM-SHA-256"], []byte(token), "Responderdata of tls-unique"),
		"no binding":          hmacOf(hashes["SCRAM-SHA-256"], []byte(token), "Responder"),
		"keyless":             hmacOf(hashes["SCRAM-SHA-256"], nil, "Responderdata of tls-exporter"),
	} {
		c := newClient(t, mustHT(t, "HT-SHA-256-EXPR"), params("user", token))
		start(t, c)
		if err := c.Success(t.Context(), data); !errors.Is(err, ErrServerSignature) {
			t.Errorf("%s: got %v, want ErrServerSignature", name, err)
		}
		if err := c.Success(t.Context(), right); !errors.Is(err, ErrServerSignature) {
			t.Errorf("%s, then right: got %v, want ErrServerSignature", name, err)
		}
	}
	c := newClient(t, mustHT(t, "HT-SHA-256-EXPR"), params("user", token))
	if err := c.Success(t.Context(), right); !errors.Is(err, ErrUnexpected) {
		t.Errorf("success before Start: got %v, want ErrUnexpected", err)
	}
	c = newClient(t, mustHT(t, "HT-SHA-256-EXPR"), params("user", token))
	start(t, c)
	if _, err := c.Next(t.Context(), right); !errors.Is(err, ErrUnexpected) {
		t.Errorf("challenge: got %v, want ErrUnexpected", err)
	}
	if err := c.Success(t.Context(), right); !errors.Is(err, ErrUnexpected) {
		t.Errorf("challenge, then success: got %v, want ErrUnexpected", err)
	}

	none := []string{"HT-SHA-256-NONE"}
	for _, p := range []Policy{{}, {AllowPlain: true}, {Minimum: "HT-SHA-256-NONE"}} {
		o := Offer{Mechanisms: none, TLSVersion: tls.VersionTLS13}
		if got, err := SelectHT(o, p); !errors.Is(err, ErrNoMechanism) {
			t.Errorf("%+v: got %q, %v, want ErrNoMechanism", p, names(got), err)
		}
		if got, err := Select([]Mechanism{mustHT(t, none[0])}, o, p); !errors.Is(err, ErrNoMechanism) {
			t.Errorf("%+v by Select: got %q, %v, want ErrNoMechanism", p, names(got), err)
		}
	}
}

func TestSelectHT(t *testing.T) {
	const all = "HT-SHA-256-NONE HT-SHA-512-NONE HT-SHA3-256-ENDP HT-SHA-256-ENDP HT-SHA-256-UNIQ HT-SHA-256-EXPR HT-SHA-512-EXPR HT-SHA-1-EXPR HT-SHA-256-EXPR SCRAM-SHA-512-PLUS X"
	only := func(types ...string) func(string) bool {
		return func(typ string) bool { return slices.Contains(types, typ) }
	}
	const none = "HT-SHA-512-NONE HT-SHA-256-NONE"
	const endp = "HT-SHA3-256-ENDP/tls-server-end-point HT-SHA-256-ENDP/tls-server-end-point"
	const expr = "HT-SHA-512-EXPR/tls-exporter HT-SHA-256-EXPR/tls-exporter"
	for _, tt := range []struct {
		name      string
		offer     string
		version   uint16
		available func(string) bool
		p         Policy
		want      string
	}{
		{"TLS 1.3", all, tls.VersionTLS13, only(TLSExporter, TLSServerEndPoint), Policy{}, expr + " " + endp},
		{"TLS 1.3, NONE allowed", all, tls.VersionTLS13, only(TLSExporter, TLSServerEndPoint), Policy{InsecureUnboundToken: true}, expr + " " + endp + " " + none},
		{"TLS 1.2", all, tls.VersionTLS12, only(TLSUnique, TLSServerEndPoint), Policy{}, "HT-SHA-256-UNIQ/tls-unique " + endp},
		{"everything", all, tls.VersionTLS13, allTypes, Policy{}, expr + " HT-SHA-256-UNIQ/tls-unique " + endp},
		{"nothing to bind with", all, tls.VersionTLS13, nil, Policy{}, ""},
		{"nothing to bind with, NONE allowed", all, tls.VersionTLS13, only(), Policy{InsecureUnboundToken: true}, none},
		{"no TLS", all, 0, allTypes, Policy{InsecureUnboundToken: true}, ""},
		{"a token's mechanism", "HT-SHA-256-ENDP", tls.VersionTLS13, allTypes, Policy{}, "HT-SHA-256-ENDP/tls-server-end-point"},
		{"minimum", all, tls.VersionTLS13, only(TLSExporter), Policy{InsecureUnboundToken: true, Minimum: "SCRAM-SHA-256-PLUS"}, expr},
		{"minimum without binding", all, tls.VersionTLS13, nil, Policy{InsecureUnboundToken: true, Minimum: "SCRAM-SHA-512"}, none},
		{"minimum EXTERNAL", all, tls.VersionTLS13, allTypes, Policy{InsecureUnboundToken: true, Minimum: "EXTERNAL"}, ""},
		{"none offered", "", tls.VersionTLS13, allTypes, Policy{InsecureUnboundToken: true}, ""},
	} {
		for _, sasl2 := range []bool{false, true} {
			o := Offer{Mechanisms: strings.Fields(tt.offer), TLSVersion: tt.version, Available: tt.available, SASL2: sasl2}
			got, err := SelectHT(o, tt.p)
			if names(got) != tt.want || errors.Is(err, ErrNoMechanism) != (tt.want == "") {
				t.Errorf("%s: got %q, %v, want %q", tt.name, names(got), err, tt.want)
			}
		}
	}
	// What was chosen works.
	o := Offer{Mechanisms: []string{"HT-SHA-256-EXPR"}, TLSVersion: tls.VersionTLS13, Available: Available(fixedBinding)}
	got, err := SelectHT(o, Policy{})
	if err != nil {
		t.Fatal(err)
	}
	msg := start(t, newClient(t, got[0].Mechanism, params("user", "t")))
	if want := hmacOf(hashes["SCRAM-SHA-256"], []byte("t"), "Initiatordata of tls-exporter"); !hmac.Equal(msg[5:], want) {
		t.Errorf("got %x, want %x", msg[5:], want)
	}
}

// TestHTWiping: nothing that follows from the token outlives the attempt.
func TestHTWiping(t *testing.T) {
	for _, right := range []bool{true, false} {
		c := newClient(t, mustHT(t, "HT-SHA-256-NONE"), params("user", "t")).(*ht)
		start(t, c)
		want := c.want.message
		notZero(t, "responder's message before the answer", want)
		data := hmacOf(hashes["SCRAM-SHA-256"], []byte("t"), "Responder")
		if !right {
			data[0] ^= 1
		}
		if err := c.Success(t.Context(), data); (err == nil) != right {
			t.Errorf("right %v: got %v", right, err)
		}
		zero(t, "responder's message", want)
	}
}
