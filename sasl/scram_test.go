package sasl

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestSCRAMVectors(t *testing.T) {
	cb := make([]byte, 32)
	for i := range cb {
		cb[i] = byte(i)
	}
	const (
		n256   = "rOprNGfwEbeRWgbNEkqO"
		first2 = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
		r256   = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
		tdp    = "r=12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6a09117a6-ac50-4f2f-93f1-93799c2bddf6,s=QSXCR+Q6sek8bf92,i=4096,h=G6k/rBLDqgOhRRaCuuatSDFkJ08=,t=0304"
	)
	for _, tt := range []struct {
		name             string
		mech             Mechanism
		user, password   string
		cnonce           string
		cb               []byte
		clientFirst      string
		serverFirst      string
		clientFinal, fin string
	}{
		{
			"RFC 5802", ScramSHA1(), "user", "pencil", "fyko+d2lbbFgONRv9qkxdawL", nil,
			"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
			"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
			"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
			"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
		}, {
			"RFC 7677", ScramSHA256(), "user", "pencil", n256, nil,
			"n,,n=user,r=" + n256, first2,
			"c=biws," + r256 + ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
			"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
		}, {
			"SHA-512", ScramSHA512(), "user", "pencil", n256, nil,
			"n,,n=user,r=" + n256, first2,
			"c=biws," + r256 + ",p=gMGXRcevScNtxZ6/8lQYpGtnsNAc3mGcmNomv+xnoOMw+3R2xNJdMNnzMlTN8PPC6wdp6dybEmDYXYTxwnYPJQ==",
			"v=ZQnYEgWQMFmmsM8aQMF0nDDCy/AgCzkwk8CmMZYcMg0vSVlKDanekLtifDSeVGT4+5ZxXnJq199RVG2rR7N7Zw==",
		}, {
			"SHA-256-PLUS", ScramSHA256Plus(), "user", "pencil", n256, cb,
			"p=tls-exporter,,n=user,r=" + n256, first2,
			"c=cD10bHMtZXhwb3J0ZXIsLAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f," + r256 + ",p=QC6CS20quADQRb3mT99YUH+n3VJxUvzuK0K0E1Vrs2M=",
			"v=2GiAgapEppLVlUXbxUDksL3VgYHzuqiK5tR4mhJGgvs=",
		}, {
			"RFC 6120 juliet", ScramSHA1(), "juliet", "r0m30myr0m30", "oMsTAAwAAAAMAAAANP0TAAAAAABPU0AA", nil,
			"n,,n=juliet,r=oMsTAAwAAAAMAAAANP0TAAAAAABPU0AA",
			"r=oMsTAAwAAAAMAAAANP0TAAAAAABPU0AAe124695b-69a9-4de6-9c30-b51b3808c59e,s=NjhkYTM0MDgtNGY0Zi00NjdmLTkxMmUtNDlmNTNmNDNkMDMz,i=4096",
			"c=biws,r=oMsTAAwAAAAMAAAANP0TAAAAAABPU0AAe124695b-69a9-4de6-9c30-b51b3808c59e,p=UA57tM/SvpATBkH2FXs0WDXvJYw=",
			"v=pNNDFVEQxuXxCoSEiW8GEZ+1RSo=",
		}, {
			// Extensions after i= are under the signatures.
			"XEP-0515", ScramSHA1Plus(), "user", "pencil", "12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6", []byte("THIS IS FAKE CB DATA"),
			"p=tls-exporter,,n=user,r=12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6", tdp,
			"c=cD10bHMtZXhwb3J0ZXIsLFRISVMgSVMgRkFLRSBDQiBEQVRB,r=12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6a09117a6-ac50-4f2f-93f1-93799c2bddf6,p=KHUfN8dSy1K95crT4D5y1ItLJfs=",
			"v=3w34ZIMVRkx2f2Ozb3/ecRPVdv4=",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := Params{Credentials: creds(tt.user, tt.password), ServerOffersPlus: true, BindingType: TLSExporter,
				Binding: func(string) ([]byte, error) { return tt.cb, nil },
				Offer: &Offer{Mechanisms: []string{"SCRAM-SHA-1-PLUS", "SCRAM-SHA-1"},
					BindingTypes: []string{TLSServerEndPoint, TLSExporter}, TLSVersion: 0x0304}}
			c := newClient(t, tt.mech, p).(*scram)
			c.nonce = tt.cnonce
			got, err := c.Start(t.Context())
			if err != nil || string(got) != tt.clientFirst {
				t.Fatalf("client-first: got %q, %v, want %q", got, err, tt.clientFirst)
			}
			got, err = c.Next(t.Context(), []byte(tt.serverFirst))
			if err != nil || string(got) != tt.clientFinal {
				t.Fatalf("client-final: got %q, %v, want %q", got, err, tt.clientFinal)
			}
			if err := c.Success(t.Context(), []byte(tt.fin)); err != nil {
				t.Fatalf("Success: %v", err)
			}
		})
	}
}

// TestSCRAMExchange runs every mechanism with every binding type and both places of the signature against the server above.
func TestSCRAMExchange(t *testing.T) {
	for _, m := range scramMechanisms() {
		types := []string{""}
		if m.Binding {
			types = bindingTypes
		}
		for _, typ := range types {
			for _, inChallenge := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/challenge=%v", m.Name, typ, inChallenge), func(t *testing.T) {
					p := params("a,b=c", "päss wörd")
					p.BindingType = typ
					p.Credentials.Authzid = "x=y,z@example.org"
					s := newServer(m.Name, "päss wörd")
					s.binding, s.offersPlus, s.ext = fixedBinding, true, ",x=an=extension,y=2"
					if err := exchange(t.Context(), newClient(t, m, p), s, inChallenge); err != nil {
						t.Fatal(err)
					}
					if s.user != "a,b=c" || s.authzid != "x=y,z@example.org" {
						t.Errorf("server saw %q, %q", s.user, s.authzid)
					}

					s = newServer(m.Name, "another")
					s.binding = fixedBinding
					err := exchange(t.Context(), newClient(t, m, p), s, inChallenge)
					if !errors.Is(err, ErrServerError) {
						t.Errorf("wrong password: got %v, want ErrServerError", err)
					}
				})
			}
		}
	}
}

// TestSCRAMFlag: y only where channel binding could be done here and the server lists none of it.
func TestSCRAMFlag(t *testing.T) {
	none := func(string) ([]byte, error) { return nil, ErrBinding }
	for _, tt := range []struct {
		name    string
		binding func(string) ([]byte, error)
		plus    bool
		want    string
	}{
		{"no TLS", nil, false, "n,,"},
		{"no TLS, offered", nil, true, "n,,"},
		{"no type here", none, false, "n,,"},
		{"not offered", fixedBinding, false, "y,,"},
		{"offered, no usable type", fixedBinding, true, "n,,"},
	} {
		p := Params{Credentials: creds("user", "pencil"), Binding: tt.binding, ServerOffersPlus: tt.plus}
		got, err := newClient(t, ScramSHA256(), p).Start(t.Context())
		if err != nil || !strings.HasPrefix(string(got), tt.want) {
			t.Errorf("%s: got %q, %v, want %q first", tt.name, got, err, tt.want)
		}
	}
}

func TestSCRAMConfig(t *testing.T) {
	for name, change := range map[string]func(*Params){
		"minimum below 4096":      func(p *Params) { p.MinIterations = 4095 },
		"negative minimum":        func(p *Params) { p.MinIterations = -1 },
		"maximum below minimum":   func(p *Params) { p.MinIterations, p.MaxIterations = 10000, 9999 },
		"negative maximum":        func(p *Params) { p.MaxIterations = -1 },
		"no binding":              func(p *Params) { p.Binding = nil },
		"no binding type":         func(p *Params) { p.BindingType = "" },
		"comma in a binding type": func(p *Params) { p.BindingType = "tls,a=x" },
	} {
		p := params("user", "pencil")
		change(&p)
		if c, err := ScramSHA1Plus().New(p); err == nil || c != nil {
			t.Errorf("%s: got %v, %v, want nil and an error", name, c, err)
		}
	}
	p := params("user", "pencil")
	p.Binding = func(string) ([]byte, error) { return nil, ErrBinding }
	if _, err := newClient(t, ScramSHA1Plus(), p).Start(t.Context()); !errors.Is(err, ErrBinding) {
		t.Errorf("binding that fails: got %v, want ErrBinding", err)
	}
	p.Binding = func(string) ([]byte, error) { return nil, nil }
	if _, err := newClient(t, ScramSHA1Plus(), p).Start(t.Context()); !errors.Is(err, ErrBinding) {
		t.Errorf("binding without data: got %v, want ErrBinding", err)
	}
}
