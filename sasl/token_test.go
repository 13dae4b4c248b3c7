package sasl

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// oddToken would not come through the profile OpaqueString as it is, and is no UTF-8 at its end.
const oddToken = "\u212b\u00a0\u3000t\xff\xfe"

func TestXOAuth2(t *testing.T) {
	for _, tt := range []struct {
		cred Credentials
		want string
		err  error
	}{
		{creds("juliet", "t0ken"), "\x00juliet\x00t0ken", nil},
		{creds("juliet", oddToken), "\x00juliet\x00" + oddToken, nil},
		{Credentials{Username: "juliet", Authzid: "romeo@x", Password: creds("", "t").Password}, "romeo@x\x00juliet\x00t", nil},
		{creds("juliet", "a\x00b"), "", ErrCredentials},
		{creds("juliet", ""), "", ErrCredentials},
		{creds("", "t"), "", ErrCredentials},
		{Credentials{Username: "juliet", Authzid: "a\x00b", Password: creds("", "t").Password}, "", ErrCredentials},
		{Credentials{Username: "juliet"}, "", ErrCredentials},
		{Credentials{Username: "juliet", Password: func(context.Context) ([]byte, error) { return nil, context.Canceled }}, "", context.Canceled},
	} {
		c := newClient(t, XOAuth2(), Params{Credentials: tt.cred})
		got, err := c.Start(t.Context())
		if string(got) != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%v: got %q, %v, want %q, %v", tt.cred, got, err, tt.want, tt.err)
		}
		if err := c.Success(t.Context(), nil); !errors.Is(err, tt.err) {
			t.Errorf("%v: success: got %v, want %v", tt.cred, err, tt.err)
		}
	}
	oneMessage(t, func() Client { return newClient(t, XOAuth2(), params("juliet", "t")) })
}

// TestTokenCallback: the callback's slice stays the caller's, as with passwords.
func TestTokenCallback(t *testing.T) {
	for _, m := range []Mechanism{XOAuth2(), OAuthBearer(), mustHT(t, "HT-SHA-256-EXPR")} {
		given := []byte("t0ken")
		p := params("juliet", "")
		p.Credentials.Password = func(context.Context) ([]byte, error) { return given, nil }
		c := newClient(t, m, p)
		msg := start(t, c)
		if string(given) != "t0ken" {
			t.Errorf("%s: the callback's slice was changed to %q", m.Name, given)
		}
		if shown := strings.Contains(string(msg), "t0ken"); shown == strings.HasPrefix(m.Name, "HT-") {
			t.Errorf("%s: token shown: %v", m.Name, shown)
		}
	}
}
