package sasl

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
)

// TestSec_SASL10: user names and passwords as text.
func TestSec_SASL10(t *testing.T) {
	t.Run("password", func(t *testing.T) {
		long := strings.Repeat("0123456789", 1024)
		for _, tt := range []struct{ name, in, want string }{ // want "" is refused
			// RFC 8265 §4.3.
			{"12", "correct horse battery staple", "correct horse battery staple"},
			{"13", "Correct Horse Battery Staple", "Correct Horse Battery Staple"},
			{"14", "πßå", "πßå"},
			{"15", "Jack of ♦s", "Jack of ♦s"},
			{"16", "foo\u1680bar", "foo bar"},
			{"17", "", ""},
			{"18", "my cat is a \x09by", ""},
			// RFC 4013 §3, as OpaqueString has it: nothing is mapped away, nothing is folded.
			{"soft hyphen", "I\u00adX", ""},
			{"lower case", "user", "user"},
			{"upper case", "USER", "USER"},
			{"feminine ordinal", "\u00aa", "\u00aa"},
			{"roman numeral", "\u2168", "\u2168"},
			{"control", "\u0007", ""},
			{"right to left", "\u06271", "\u06271"},

			{"fullwidth", "ｐｅｎｃｉｌ", "ｐｅｎｃｉｌ"},
			{"normalised", "e\u0301", "é"},
			{"no-break space", "a\u00a0b", "a b"},
			{"ASCII", " !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", " !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"},
			{"10 KiB", long, long},
			{"10 KiB not ASCII", "é" + long, "é" + long},
			{"NUL", "pen\x00cil", ""},
			{"only NUL", "\x00", ""},
			{"not UTF-8", "pen\xffcil", ""},
			{"DEL", "pen\x7fcil", ""},
			{"unassigned", "\U000e0fff", ""},
		} {
			in := []byte(tt.in)
			got, err := preparePassword(in)
			if string(got) != tt.want || (err != nil) != (tt.want == "") {
				t.Errorf("%s: got %.80q, %v, want %.80q", tt.name, got, err, tt.want)
			}
			if err != nil && !errors.Is(err, ErrCredentials) {
				t.Errorf("%s: got %v, want ErrCredentials", tt.name, err)
			}
			// What the callback returned stays as it was, whatever becomes of the copy.
			clear(got)
			if string(in) != tt.in {
				t.Errorf("%s: the callback's slice was changed", tt.name)
			}
		}
	})

	t.Run("every mechanism refuses", func(t *testing.T) {
		for _, m := range append(scramMechanisms(), Plain()) {
			for _, pw := range []string{"", "a\x00b", "\xff", "I\u00adX"} {
				if err := login(t, m, creds("user", pw)); !errors.Is(err, ErrCredentials) {
					t.Errorf("%s, password %q: got %v, want ErrCredentials", m.Name, pw, err)
				}
			}
			for _, user := range []string{"", "a\x00b", "\xff", "a\nb", "a\u0085b"} {
				if err := login(t, m, creds(user, "pencil")); !errors.Is(err, ErrCredentials) {
					t.Errorf("%s, user %q: got %v, want ErrCredentials", m.Name, user, err)
				}
			}
			for _, authzid := range []string{"a\x00b", "\xff"} {
				c := creds("user", "pencil")
				c.Authzid = authzid
				if err := login(t, m, c); !errors.Is(err, ErrCredentials) {
					t.Errorf("%s, authzid %q: got %v, want ErrCredentials", m.Name, authzid, err)
				}
			}
			if err := login(t, m, Credentials{Username: "user"}); !errors.Is(err, ErrCredentials) {
				t.Errorf("%s, no callback: got %v, want ErrCredentials", m.Name, err)
			}
			boom := errors.New("boom")
			if err := login(t, m, Credentials{Username: "user", Password: func(context.Context) ([]byte, error) { return nil, boom }}); !errors.Is(err, boom) {
				t.Errorf("%s, failing callback: got %v, want %v", m.Name, err, boom)
			}
		}
	})

	t.Run("user", func(t *testing.T) {
		for _, tt := range []struct{ in, plain, scram string }{
			{"user", "user", "user"},
			{"a,b=c", "a,b=c", "a=2Cb=3Dc"},
			{"=2C", "=2C", "=3D2C"},
			{"=3D,", "=3D,", "=3D3D=2C"},
			{"juliet@example.com", "juliet@example.com", "juliet@example.com"},
			// RFC 8265 §3.5.
			{"fußball", "fußball", "fußball"}, {"π", "π", "π"}, {"Σ", "Σ", "Σ"}, {"ς", "ς", "ς"},
			{"ｊuliet", "juliet", "juliet"}, // width is mapped
			{"e\u0301", "é", "é"},
			// Refused by the profile, so sent as given.
			{"foo bar", "foo bar", "foo bar"}, {"henryⅣ", "henryⅣ", "henryⅣ"}, {"\u2168", "\u2168", "\u2168"},
			{"I\u00adX", "I\u00adX", "I\u00adX"}, {"∞", "∞", "∞"},
		} {
			p := params(tt.in, "pencil")
			msg := string(start(t, newClient(t, ScramSHA256(), p)))
			if got, _, _ := strings.Cut(strings.TrimPrefix(msg, "n,,n="), ",r="); got != tt.scram {
				t.Errorf("SCRAM, %q: got %q, want %q", tt.in, got, tt.scram)
			}
			if got, want := string(start(t, newClient(t, Plain(), p))), "\x00"+tt.plain+"\x00pencil"; got != want {
				t.Errorf("PLAIN, %q: got %q, want %q", tt.in, got, want)
			}
		}
	})
}

// login goes as far as the password.
func login(t *testing.T, m Mechanism, cred Credentials) error {
	p := params("", "")
	p.Credentials = cred
	c := newClient(t, m, p)
	if _, err := c.Start(t.Context()); err != nil || m.Name == "PLAIN" {
		return err
	}
	got, err := c.Next(t.Context(), []byte("r="+c.(*scram).nonce+"x,s=c2FsdA==,i=4096"))
	if err != nil && got != nil {
		t.Errorf("%s: a response %q beside the error", m.Name, got)
	}
	return err
}

func TestPlain(t *testing.T) {
	p := params("juliet", "r0m30")
	p.Credentials.Authzid = "romeo@example.net"
	c := newClient(t, Plain(), p)
	if err := newClient(t, Plain(), p).Success(t.Context(), nil); !errors.Is(err, ErrUnexpected) {
		t.Errorf("success before Start: got %v, want ErrUnexpected", err)
	}
	if got, want := start(t, c), "romeo@example.net\x00juliet\x00r0m30"; string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := c.Success(t.Context(), nil); err != nil {
		t.Errorf("Success: %v", err)
	}
	oneMessage(t, func() Client { return newClient(t, Plain(), p) })
}

func TestAnonymous(t *testing.T) {
	c := newClient(t, Anonymous(), Params{})
	if got := start(t, c); got == nil || len(got) != 0 {
		t.Errorf("got %#v, want empty and not nil", got)
	}
	if err := c.Success(t.Context(), []byte{}); err != nil {
		t.Errorf("Success: %v", err)
	}
	if err := newClient(t, Anonymous(), Params{}).Success(t.Context(), nil); !errors.Is(err, ErrUnexpected) {
		t.Errorf("success before Start: got %v, want ErrUnexpected", err)
	}
	oneMessage(t, func() Client { return newClient(t, Anonymous(), Params{}) })
}

// oneMessage: a challenge, data with success, or a second start end the attempt.
func oneMessage(t *testing.T, fresh func() Client) {
	t.Helper()
	for name, step := range map[string]func(Client) error{
		"challenge": func(c Client) error { _, err := c.Next(t.Context(), nil); return err },
		"data":      func(c Client) error { return c.Success(t.Context(), []byte("x")) },
		"start":     func(c Client) error { _, err := c.Start(t.Context()); return err },
	} {
		c := fresh()
		start(t, c)
		if err := step(c); !errors.Is(err, ErrUnexpected) {
			t.Errorf("%s: got %v, want ErrUnexpected", name, err)
		}
		if err := c.Success(t.Context(), nil); !errors.Is(err, ErrUnexpected) {
			t.Errorf("success after %s: got %v, want ErrUnexpected", name, err)
		}
		if got, err := c.Start(t.Context()); err == nil || bytes.Contains(got, []byte("r0m30")) {
			t.Errorf("start after %s: got %q, %v, want an error", name, got, err)
		}
	}
}
