package sasl

import (
	"crypto/sha1"
	"errors"
	"testing"
)

func TestOfferHash(t *testing.T) {
	// XEP-0474 §6.3.
	o := Offer{Mechanisms: []string{"SCRAM-SHA-1-PLUS", "SCRAM-SHA-1"}, BindingTypes: []string{TLSServerEndPoint, TLSExporter}}
	if got, want := offerHash(sha1.New, o), "G6k/rBLDqgOhRRaCuuatSDFkJ08="; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if o.Mechanisms[0] != "SCRAM-SHA-1-PLUS" {
		t.Error("the caller's list was sorted")
	}
	none := o
	none.BindingTypes = nil
	empty := o
	empty.BindingTypes = []string{}
	if offerHash(sha1.New, none) == offerHash(sha1.New, empty) {
		t.Error("no list and an empty list have the same hash")
	}
}

// TestSSDP: a list that was changed on the way is noticed before the proof is made; a server without XEP-0474 is not suspected.
func TestSSDP(t *testing.T) {
	sent := Offer{Mechanisms: []string{"SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "PLAIN"}, BindingTypes: []string{TLSExporter}, TLSVersion: 0x0304}
	for _, m := range scramMechanisms() {
		s := newServer(m.Name, "pencil")
		s.binding = fixedBinding
		h := ",h=" + offerHash(s.hash(), sent)
		for _, tt := range []struct {
			name, ext string
			change    func(*Params)
			want      error
		}{
			{"same", h, func(*Params) {}, nil},
			{"other order", h, func(p *Params) { p.Offer.Mechanisms = []string{"PLAIN", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"} }, nil},
			{"-PLUS removed", h, func(p *Params) { p.Offer.Mechanisms = []string{"SCRAM-SHA-256", "PLAIN"} }, ErrDowngrade},
			{"SCRAM added", h, func(p *Params) { p.Offer.Mechanisms = append(p.Offer.Mechanisms, "SCRAM-SHA-1") }, ErrDowngrade},
			{"types removed", h, func(p *Params) { p.Offer.BindingTypes = nil }, ErrDowngrade},
			{"types changed", h, func(p *Params) { p.Offer.BindingTypes = []string{TLSServerEndPoint} }, ErrDowngrade},
			{"not base64", ",h=*", func(*Params) {}, ErrDowngrade},
			{"no offer given", ",h=AAAA", func(p *Params) { p.Offer = nil }, nil},
			{"no hash", ",x=1", func(p *Params) { p.Offer.Mechanisms = nil }, nil},
			{"TLS version", h + ",t=0304", func(*Params) {}, nil},
			{"other TLS version", h + ",t=0303", func(*Params) {}, ErrDowngrade},
			{"TLS version without hash", ",t=0303", func(*Params) {}, nil},
		} {
			p := params("user", "pencil")
			o := sent
			p.Offer = &o
			tt.change(&p)
			if tt.want != nil {
				p.Credentials = untouched(t)
			}
			s.ext = tt.ext
			if err := exchange(t.Context(), newClient(t, m, p), s, false); !errors.Is(err, tt.want) {
				t.Errorf("%s, %s: got %v, want %v", m.Name, tt.name, err, tt.want)
			}
		}
	}
}
