package sasl

import (
	"crypto/tls"
	"errors"
	"slices"
	"strings"
	"testing"
)

func allTypes(string) bool { return true }

// offer is a modern server on TLS 1.3.
func offer(mechs ...string) Offer {
	return Offer{Mechanisms: mechs, BindingTypes: []string{TLSServerEndPoint, TLSExporter}, TLSVersion: tls.VersionTLS13, Available: allTypes}
}

func names(cs []Choice) string {
	var out []string
	for _, c := range cs {
		n := c.Mechanism.Name
		if c.BindingType != "" {
			n += "/" + c.BindingType
		}
		out = append(out, n)
	}
	return strings.Join(out, " ")
}

var everything = []string{"PLAIN", "ANONYMOUS", "SCRAM-SHA-1", "SCRAM-SHA-1-PLUS", "X-OAUTH2", "DIGEST-MD5",
	"SCRAM-SHA-512", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-512-PLUS"}

// TestSec_SASL01: the part of the mechanism downgrade that is decided by one list; pins over several logins are the stream's.
func TestSec_SASL01(t *testing.T) {
	const scrams = "SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1"
	const plus = "SCRAM-SHA-512-PLUS/tls-exporter SCRAM-SHA-256-PLUS/tls-exporter SCRAM-SHA-1-PLUS/tls-exporter"
	noTLS := Offer{Mechanisms: everything}
	with := func(o Offer, change func(*Offer)) Offer { change(&o); return o }
	for _, tt := range []struct {
		name  string
		offer Offer
		p     Policy
		want  string // "" is ErrNoMechanism
	}{
		{"all, by strength", offer(everything...), Policy{AllowPlain: true}, plus + " " + scrams + " PLAIN"},
		{"PLAIN not allowed", offer(everything...), Policy{}, plus + " " + scrams},
		{"only PLAIN, not allowed", offer("PLAIN"), Policy{}, ""},
		{"only PLAIN, allowed", offer("PLAIN"), Policy{AllowPlain: true}, "PLAIN"},
		{"only PLAIN, no TLS", Offer{Mechanisms: []string{"PLAIN"}}, Policy{AllowPlain: true}, ""},
		{"no TLS", noTLS, Policy{AllowPlain: true}, scrams},
		{"no TLS, binding said to be there", with(noTLS, func(o *Offer) { o.Available = allTypes; o.BindingTypes = bindingTypes }), Policy{}, scrams},
		{"only SHA-1", offer("SCRAM-SHA-1"), Policy{}, "SCRAM-SHA-1"},
		{"only SHA-1, minimum SHA-256", offer("SCRAM-SHA-1"), Policy{Minimum: "SCRAM-SHA-256"}, ""},
		{"-PLUS removed, minimum -PLUS", offer("SCRAM-SHA-512", "SCRAM-SHA-1"), Policy{Minimum: "SCRAM-SHA-1-PLUS"}, ""},
		{"only PLAIN, minimum SCRAM", offer("PLAIN"), Policy{AllowPlain: true, Minimum: "SCRAM-SHA-1"}, ""},
		{"minimum in the middle", offer(everything...), Policy{AllowPlain: true, Minimum: "SCRAM-SHA-256"}, plus + " SCRAM-SHA-512 SCRAM-SHA-256"},
		{"minimum PLAIN does not allow it", offer(everything...), Policy{Minimum: "PLAIN"}, plus + " " + scrams},
		{"misspelt minimum", offer(everything...), Policy{AllowPlain: true, Minimum: "SCRAM-SHA256"}, ""},
		{"minimum in lower case", offer(everything...), Policy{AllowPlain: true, Minimum: "scram-sha-256"}, ""},
		{"nothing", offer(), Policy{AllowPlain: true}, ""},
		{"nothing known", offer("GSSAPI", "scram-sha-1", "SCRAM-SHA-1 ", ""), Policy{AllowPlain: true}, ""},
		{"offered twice", offer("SCRAM-SHA-1", "SCRAM-SHA-1"), Policy{}, "SCRAM-SHA-1"},
		{"ANONYMOUS is not a default", offer("ANONYMOUS"), Policy{AllowPlain: true}, ""},
		{"binding not possible here", with(offer(everything...), func(o *Offer) { o.Available = func(string) bool { return false } }), Policy{}, scrams},
		{"binding not known here", with(offer(everything...), func(o *Offer) { o.Available = nil }), Policy{}, scrams},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Select(Default(), tt.offer, tt.p)
			if names(got) != tt.want || (err != nil) != (tt.want == "") {
				t.Fatalf("got %q, %v, want %q", names(got), err, tt.want)
			}
			if err != nil {
				var nm *NoMechanismError
				if !errors.Is(err, ErrNoMechanism) || !errors.As(err, &nm) {
					t.Fatalf("got %T %v, want a *NoMechanismError", err, err)
				}
				if len(nm.Refused) != len(Default()) || !slices.Equal(nm.Offered, tt.offer.Mechanisms) {
					t.Errorf("refused %v, offered %v", nm.Refused, nm.Offered)
				}
			}
			for _, c := range got {
				if want := slices.Contains(tt.offer.Mechanisms, "SCRAM-SHA-1-PLUS"); c.ServerOffersPlus != want {
					t.Errorf("%s: ServerOffersPlus %v, want %v", c.Mechanism.Name, c.ServerOffersPlus, want)
				}
			}
		})
	}

	// The order does not depend on the order of either list.
	mechs, o := Default(), slices.Clone(everything)
	slices.Reverse(mechs)
	slices.Reverse(o)
	got, err := Select(mechs, offer(o...), Policy{AllowPlain: true})
	if want := plus + " " + scrams + " PLAIN"; err != nil || names(got) != want {
		t.Errorf("reversed: got %q, %v, want %q", names(got), err, want)
	}

	// The text of the error is made of the server's words, quoted and cut.
	_, err = Select(Default(), offer(slices.Repeat([]string{"EVIL\x1b[2J" + strings.Repeat("x", 9999)}, 999)...), Policy{})
	if text := err.Error(); len(text) > 4096 || strings.Contains(text, "\x1b") {
		t.Errorf("error of %d bytes: %.200q", len(text), text)
	}
}

func TestRank(t *testing.T) {
	order := []string{"unknown", "ANONYMOUS", "PLAIN", "X-OAUTH2", "DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512",
		"SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-512-PLUS", "EXTERNAL"}
	for i := range len(order) - 1 {
		if Rank(order[i]) >= Rank(order[i+1]) {
			t.Errorf("Rank(%s) = %d, not below Rank(%s) = %d", order[i], Rank(order[i]), order[i+1], Rank(order[i+1]))
		}
	}
	if got := Rank("unknown"); got != 0 {
		t.Errorf("Rank(unknown) = %d, want 0", got)
	}
}

// TestSelectCustom: a mechanism that Rank does not know stands where the application puts it.
func TestSelectCustom(t *testing.T) {
	custom := Mechanism{Name: "X-MINE", New: func(Params) (Client, error) { return nil, nil }}
	o := offer("X-MINE", "SCRAM-SHA-256", "PLAIN")
	first := append([]Mechanism{custom}, Default()...)
	last := append(Default(), custom)
	for _, tt := range []struct {
		name  string
		mechs []Mechanism
		p     Policy
		want  string
	}{
		{"in front", first, Policy{AllowPlain: true}, "X-MINE SCRAM-SHA-256 PLAIN"},
		{"in the middle", []Mechanism{ScramSHA256(), custom, Plain()}, Policy{AllowPlain: true}, "SCRAM-SHA-256 X-MINE PLAIN"},
		{"at the end", last, Policy{AllowPlain: true}, "SCRAM-SHA-256 PLAIN X-MINE"},
		{"in front, minimum", first, Policy{Minimum: "SCRAM-SHA-512"}, "X-MINE"},
		{"at the end, minimum", last, Policy{Minimum: "ANONYMOUS"}, "SCRAM-SHA-256"},
		{"is the minimum", first, Policy{AllowPlain: true, Minimum: "X-MINE"}, "X-MINE"},
		{"is the minimum, at the end", last, Policy{AllowPlain: true, Minimum: "X-MINE"}, "SCRAM-SHA-256 PLAIN X-MINE"},
		{"is the minimum, not there", Default(), Policy{AllowPlain: true, Minimum: "X-MINE"}, ""},
	} {
		got, err := Select(tt.mechs, o, tt.p)
		if names(got) != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%s: got %q, %v, want %q", tt.name, names(got), err, tt.want)
		}
	}
	custom.NeedsTLS = true
	if got, err := Select([]Mechanism{custom}, Offer{Mechanisms: []string{"X-MINE"}}, Policy{}); err == nil {
		t.Errorf("without TLS: got %q, want an error", names(got))
	}
	custom.New = nil
	if got, err := Select([]Mechanism{custom}, o, Policy{}); err == nil {
		t.Errorf("without New: got %q, want an error", names(got))
	}
}
