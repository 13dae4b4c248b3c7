package sasl

import (
	"crypto/tls"
	"errors"
	"slices"
	"testing"
)

// TestSec_SASL01Lists: on SASL2 the list of mechanisms and that of channel binding types vouch for each other (XEP-0440 §3).
// On the older SASL servers send one without the other, and logins there have to go on.
func TestSec_SASL01Lists(t *testing.T) {
	const scram, plus = "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"
	only := func(types ...string) func(string) bool {
		return func(typ string) bool { return slices.Contains(types, typ) }
	}
	none := []string{}
	for _, tt := range []struct {
		name      string
		mechs     []string
		types     []string
		version   uint16
		available func(string) bool
		abort     bool   // on SASL2
		want      string // else
	}{
		{"all well", []string{scram, plus}, []string{TLSExporter}, tls.VersionTLS13, allTypes, false, plus + "/tls-exporter " + scram},
		{"neither", []string{scram}, nil, tls.VersionTLS13, allTypes, false, scram},
		{"-PLUS without list", []string{scram, plus}, nil, tls.VersionTLS13, only(TLSExporter, TLSServerEndPoint), true, scram},
		{"-PLUS without list, TLS 1.2", []string{scram, plus}, nil, tls.VersionTLS12, only(TLSUnique, TLSServerEndPoint), true, plus + "/tls-unique " + scram},
		{"list without -PLUS", []string{scram}, []string{TLSExporter}, tls.VersionTLS13, allTypes, true, scram},
		{"empty list without -PLUS", []string{scram}, none, tls.VersionTLS13, allTypes, true, scram},
		{"list without -PLUS, PLAIN", []string{"PLAIN"}, []string{TLSExporter}, tls.VersionTLS13, allTypes, true, "PLAIN"},
		{"no type in common", []string{scram, plus}, []string{TLSUnique}, tls.VersionTLS13, only(TLSExporter, TLSServerEndPoint), true, scram},
		{"unknown types", []string{scram, plus}, []string{"tls-next"}, tls.VersionTLS13, allTypes, true, scram},
		{"empty list", []string{scram, plus}, none, tls.VersionTLS13, allTypes, true, scram},
		{"the one that all have, no use here", []string{scram, plus}, []string{TLSUnique, TLSServerEndPoint}, tls.VersionTLS13, only(TLSExporter), false, scram},
		{"the one that all have", []string{scram, plus}, []string{TLSServerEndPoint}, tls.VersionTLS13, allTypes, false, plus + "/tls-server-end-point " + scram},
		// A client that cannot bind has no say in it.
		{"nothing to bind with", []string{scram, plus}, nil, tls.VersionTLS13, only(), false, scram},
		{"nothing known to bind with", []string{scram, plus}, nil, tls.VersionTLS13, nil, false, scram},
		{"no TLS", []string{scram, plus}, nil, 0, allTypes, false, scram},
	} {
		o := Offer{Mechanisms: tt.mechs, BindingTypes: tt.types, TLSVersion: tt.version, Available: tt.available}
		p := Policy{AllowPlain: true}
		if got, err := Select(Default(), o, p); err != nil || names(got) != tt.want {
			t.Errorf("%s, SASL: got %q, %v, want %q", tt.name, names(got), err, tt.want)
		}
		o.SASL2 = true
		got, err := Select(Default(), o, p)
		var de *DowngradeError
		switch {
		case tt.abort:
			if got != nil || !errors.Is(err, ErrDowngrade) || !errors.As(err, &de) || de.Reason == "" {
				t.Errorf("%s: got %q, %v, want a *DowngradeError", tt.name, names(got), err)
			}
		case err != nil || names(got) != tt.want:
			t.Errorf("%s: got %q, %v, want %q", tt.name, names(got), err, tt.want)
		}
		// An application without -PLUS mechanisms does not bind.
		if _, err := Select([]Mechanism{External(), ScramSHA256(), Plain()}, o, p); errors.Is(err, ErrDowngrade) {
			t.Errorf("%s, mechanisms without binding: got %v", tt.name, err)
		}
	}
}
