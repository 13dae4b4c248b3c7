package sasl

import (
	"errors"
	"strings"
	"testing"
)

func TestOAuthBearer(t *testing.T) {
	with := func(f func(*Params)) Params {
		p := Params{Credentials: creds("user", "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==")}
		f(&p)
		return p
	}
	const auth = "auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01"
	for _, tt := range []struct {
		name string
		p    Params
		want string
	}{
		// RFC 7628 §4.1, as the client of one mail server would have it.
		{"RFC 7628", with(func(p *Params) { p.Domain, p.Host, p.Port = "example.com", "server.example.com", 143 }),
			"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01" + auth},
		{"no host", with(func(p *Params) { p.Domain = "example.com" }), "n,a=user@example.com,\x01" + auth},
		{"identity of its own", with(func(p *Params) { p.Domain, p.Credentials.Authzid = "example.com", "a,b=c@d" }), "n,a=a=2Cb=3Dc@d,\x01" + auth},
		{"nothing known", with(func(*Params) {}), "n,,\x01" + auth},
		{"token alone", with(func(p *Params) { p.Domain, p.Credentials.Username = "example.com", "" }), "n,,\x01" + auth},
	} {
		c := newClient(t, OAuthBearer(), tt.p)
		got, err := c.Start(t.Context())
		if string(got) != tt.want || err != nil {
			t.Errorf("%s: got %q, %v, want %q", tt.name, got, err, tt.want)
		}
		if err := c.Success(t.Context(), nil); err != nil || Explain(c) != nil {
			t.Errorf("%s: success: %v, %v", tt.name, err, Explain(c))
		}
	}
	for _, tt := range []struct {
		name string
		p    Params
	}{
		{"separator in the token", with(func(p *Params) { p.Credentials = creds("user", "a\x01host=evil") })},
		{"space in the token", with(func(p *Params) { p.Credentials = creds("user", "a b") })},
		{"beyond ASCII", with(func(p *Params) { p.Credentials = creds("user", "é") })},
		{"empty token", with(func(p *Params) { p.Credentials = creds("user", "") })},
		{"separator in the identity", with(func(p *Params) { p.Credentials.Authzid = "a\x01auth=Bearer x" })},
		{"separator in the user name", with(func(p *Params) { p.Domain, p.Credentials.Username = "d", "a\x01b" })},
		{"separator in the domain", with(func(p *Params) { p.Domain = "d\x01" })},
		{"separator in the host", with(func(p *Params) { p.Host = "h\x01" })},
	} {
		c := newClient(t, OAuthBearer(), tt.p)
		if got, err := c.Start(t.Context()); !errors.Is(err, ErrCredentials) || got != nil {
			t.Errorf("%s: got %q, %v, want ErrCredentials", tt.name, got, err)
		}
	}
	fresh := func() Client { return newClient(t, OAuthBearer(), with(func(*Params) {})) }
	for name, step := range map[string]func(Client) error{
		"challenge before Start": func(c Client) error { _, err := c.Next(t.Context(), []byte(`{"status":"x"}`)); return err },
		"success before Start":   func(c Client) error { return c.Success(t.Context(), nil) },
		"data with success":      func(c Client) error { start(t, c); return c.Success(t.Context(), []byte("x")) },
		"second start":           func(c Client) error { start(t, c); _, err := c.Start(t.Context()); return err },
	} {
		if err := step(fresh()); !errors.Is(err, ErrUnexpected) {
			t.Errorf("%s: got %v, want ErrUnexpected", name, err)
		}
	}
}

// TestOAuthError: the server's reasons are answered with one byte, after which nothing is a login.
func TestOAuthError(t *testing.T) {
	fresh := func() Client {
		c := newClient(t, OAuthBearer(), params("user", "t0ken"))
		start(t, c)
		return c
	}
	// RFC 7628 §4.3.
	const reasons = `{"status":"invalid_token","scope":"example_scope","openid-configuration":"https://example.com/.well-known/openid-configuration"}`
	want := OAuthError{"invalid_token", "example_scope", "https://example.com/.well-known/openid-configuration"}
	refuse := func(c Client) {
		t.Helper()
		if got, err := c.Next(t.Context(), []byte(reasons)); string(got) != "\x01" || err != nil {
			t.Fatalf("got %q, %v, want one byte", got, err)
		}
	}
	c := fresh()
	if err := Explain(c); err != nil {
		t.Errorf("nothing said yet: got %v", err)
	}
	refuse(c)
	for name, err := range map[string]error{"Explain": Explain(c), "Success": c.Success(t.Context(), nil)} {
		var oe *OAuthError
		if !errors.As(err, &oe) || *oe != want || !errors.Is(err, ErrServerError) {
			t.Errorf("%s: got %v, want %v", name, err, &want)
		}
	}
	c = fresh()
	refuse(c)
	if got, err := c.Next(t.Context(), []byte(reasons)); got != nil || !errors.Is(err, ErrServerError) {
		t.Errorf("second challenge: got %q, %v", got, err)
	}
	for _, other := range []Client{newClient(t, Plain(), Params{}), newClient(t, ScramSHA1(), Params{}), nil} {
		if err := Explain(other); err != nil {
			t.Errorf("%v: got %v", other, err)
		}
	}

	c = fresh()
	if _, err := c.Next(t.Context(), []byte(`{"status":"`+strings.Repeat("x", 1024)+`"}`)); err != nil {
		t.Errorf("1024 bytes: %v", err)
	}
	if got := Explain(c).Error(); len(got) > 200 {
		t.Errorf("text of %d bytes", len(got))
	}
	for name, msg := range map[string]string{
		"empty": "", "no JSON": "invalid_token", "array": "[]", "no status": `{"scope":"x"}`, "wrong type": `{"status":1}`,
		"long status": `{"status":"` + strings.Repeat("x", 1025) + `"}`, "long scope": `{"status":"x","scope":"` + strings.Repeat("x", 1025) + `"}`,
		"long message": `{"status":"x"}` + strings.Repeat(" ", 16<<10), "two values": `{"status":"x"}{}`,
		"deep": strings.Repeat("[", 16<<10),
	} {
		c := fresh()
		if got, err := c.Next(t.Context(), []byte(msg)); got != nil || !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %q, %v, want ErrMalformed", name, got, err)
		}
		if err := c.Success(t.Context(), nil); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: then success: got %v", name, err)
		}
	}
	hostile := &OAuthError{Status: "\x1b[2J", Scope: strings.Repeat("s", 999), OpenIDConfiguration: "x"}
	if got := hostile.Error(); strings.Contains(got, "\x1b") || len(got) > 400 {
		t.Errorf("text: %q", got)
	}
}
