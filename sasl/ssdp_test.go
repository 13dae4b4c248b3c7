package sasl

import (
	"crypto/sha1"
	"errors"
	"strings"
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

// The exchanges of XEP-0474 §6.3 and XEP-0515, which have the server's message, the binding and the password in common.
func TestSSDPVectors(t *testing.T) {
	const cnonce = "12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6"
	const nonce = cnonce + "a09117a6-ac50-4f2f-93f1-93799c2bddf6"
	const first = "r=" + nonce + ",s=QSXCR+Q6sek8bf92,i=4096,h=G6k/rBLDqgOhRRaCuuatSDFkJ08="
	const without = "c=cD10bHMtZXhwb3J0ZXIsLFRISVMgSVMgRkFLRSBDQiBEQVRB,r=" + nonce
	p := Params{
		Credentials: creds("user", "pencil"), BindingType: TLSExporter, ServerOffersPlus: true,
		Binding: func(string) ([]byte, error) { return []byte("THIS IS FAKE CB DATA"), nil },
		Offer:   &Offer{Mechanisms: []string{"SCRAM-SHA-1", "SCRAM-SHA-1-PLUS"}, BindingTypes: []string{TLSExporter, TLSServerEndPoint}, TLSVersion: 0x0304},
	}
	begin := func(p Params) *scram {
		c := newClient(t, ScramSHA1Plus(), p).(*scram)
		c.nonce = cnonce
		if got, err := c.Start(t.Context()); err != nil || string(got) != "p=tls-exporter,,n=user,r="+cnonce {
			t.Fatalf("got %q, %v", got, err)
		}
		return c
	}
	c := begin(p)
	if got, err := c.Next(t.Context(), []byte(first+",t=0304")); err != nil || string(got) != without+",p=KHUfN8dSy1K95crT4D5y1ItLJfs=" {
		t.Errorf("XEP-0515: got %q, %v", got, err)
	}
	if err := c.Success(t.Context(), []byte("v=3w34ZIMVRkx2f2Ozb3/ecRPVdv4=")); err != nil {
		t.Errorf("XEP-0515: %v", err)
	}
	other := p
	other.Offer = &Offer{Mechanisms: p.Offer.Mechanisms, BindingTypes: p.Offer.BindingTypes, TLSVersion: 0x0303}
	if got, err := begin(other).Next(t.Context(), []byte(first+",t=0304")); got != nil || !errors.Is(err, ErrDowngrade) {
		t.Errorf("XEP-0515 on TLS 1.2: got %q, %v, want ErrDowngrade", got, err)
	}

	// That of XEP-0474 has an extension in the client's last message, which is left over there and not sent here:
	// the messages before it are checked as they are, and the rest with the keys that they lead to.
	p.Keys = &KeyCache{}
	c = begin(p)
	if got, err := c.Next(t.Context(), []byte(first)); err != nil || !strings.HasPrefix(string(got), without+",p=") {
		t.Fatalf("XEP-0474: got %q, %v", got, err)
	}
	auth := c.bare + "," + first + "," + without + ",x=19C6532F-1CF4-4A27-A18D-DC9CEA41BBB3"
	stored := sha1.Sum(c.keys.client)
	proof := hmacOf(sha1.New, stored[:], auth)
	for i := range proof {
		proof[i] ^= c.keys.client[i]
	}
	if got, want := b64(proof), "M/SIDjT+dfcxUh89jZEypRvFxB4="; got != want {
		t.Errorf("XEP-0474 p: got %s, want %s", got, want)
	}
	if got, want := b64(hmacOf(sha1.New, c.keys.server, auth)), "MQrMPvv7yv4x4Cq4W4Ih25EqS2c="; got != want {
		t.Errorf("XEP-0474 v: got %s, want %s", got, want)
	}
}

// TestSSDP: a list that was changed on the way is noticed before the proof is made; a server without XEP-0474 is not suspected.
func TestSSDP(t *testing.T) {
	sent := Offer{Mechanisms: []string{"SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "PLAIN"}, BindingTypes: []string{TLSExporter}, TLSVersion: 0x0304}
	for _, m := range scramMechanisms() {
		s := newServer(m.Name, "pencil")
		s.binding = fixedBinding
		h := ",h=" + offerHash(s.hash(), sent)
		old := func(list string) string {
			d := s.hash()()
			d.Write([]byte(list))
			return ",d=" + b64(d.Sum(nil))
		}
		const mechs = "PLAIN,SCRAM-SHA-256,SCRAM-SHA-256-PLUS"
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
			{"TLS version in capitals", h + ",t=030A", func(p *Params) { p.Offer.TLSVersion = 0x030a }, ErrDowngrade},
			{"version 0.3", old(mechs + "|tls-exporter"), func(*Params) {}, nil},
			{"version 0.3 without types", old(mechs), func(*Params) {}, nil},
			{"version 0.3, -PLUS removed", old(mechs + "|tls-exporter"), func(p *Params) { p.Offer.Mechanisms = []string{"SCRAM-SHA-256", "PLAIN"} }, ErrDowngrade},
			{"version 0.3, types changed", old(mechs + "|tls-exporter"), func(p *Params) { p.Offer.BindingTypes = []string{TLSServerEndPoint} }, ErrDowngrade},
			{"version 0.3, not base64", ",d=*", func(*Params) {}, ErrDowngrade},
			{"both, the new one wrong", ",h=AAAA" + old(mechs), func(*Params) {}, ErrDowngrade},
			{"both, the old one wrong", h + ",d=AAAA", func(*Params) {}, ErrDowngrade},
		} {
			p := params("user", "pencil")
			o := sent
			p.Offer = &o
			tt.change(&p)
			if tt.want != nil {
				p.Credentials = untouched(t)
			}
			s.ext = tt.ext
			if err := exchange(t.Context(), newClient(t, m, p), s, false); !errors.Is(err, tt.want) || err != nil && !errors.As(err, new(*DowngradeError)) {
				t.Errorf("%s, %s: got %v, want %v", m.Name, tt.name, err, tt.want)
			}
		}
	}
}
