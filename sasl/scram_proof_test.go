package sasl

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
)

// untouched gives credentials whose password must not be asked for.
func untouched(t *testing.T) Credentials {
	return Credentials{Username: "user", Password: func(context.Context) ([]byte, error) {
		t.Error("password was asked for")
		return nil, errors.New("password was asked for") // rather than derive with what a broken check let through
	}}
}

// TestSec_SASL02: a bad nonce fails before any key is derived.
func TestSec_SASL02(t *testing.T) {
	for _, m := range scramMechanisms() {
		for _, tt := range []struct {
			name, challenge string // $ is the client's nonce
			want            error
		}{
			{"missing", "s=c2FsdA==,i=4096", ErrMalformed},
			{"empty", "r=,s=c2FsdA==,i=4096", ErrMalformed},
			{"not ours", "r=abc$,s=c2FsdA==,i=4096", ErrNonce},
			{"ours cut", "r=abc,s=c2FsdA==,i=4096", ErrNonce},
			{"no part of the server", "r=$,s=c2FsdA==,i=4096", ErrNonce},
			{"twice", "r=$x,r=$x,s=c2FsdA==,i=4096", ErrMalformed},
			{"twice, at the end", "r=$x,s=c2FsdA==,i=4096,r=$y", ErrMalformed},
			{"space", "r=$ x,s=c2FsdA==,i=4096", ErrMalformed},
			{"not ASCII", "r=$é,s=c2FsdA==,i=4096", ErrMalformed},
			{"DEL", "r=$\x7f,s=c2FsdA==,i=4096", ErrMalformed},
		} {
			t.Run(m.Name+"/"+tt.name, func(t *testing.T) {
				p := params("", "")
				p.Credentials = untouched(t)
				c := newClient(t, m, p)
				if _, err := c.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				msg := strings.ReplaceAll(tt.challenge, "$", c.(*scram).nonce)
				got, err := c.Next(t.Context(), []byte(msg))
				if got != nil || !errors.Is(err, tt.want) {
					t.Errorf("got %q, %v, want nil, %v", got, err, tt.want)
				}
			})
		}
	}
}

// TestSec_SASL03: only the verified signature makes a login.
func TestSec_SASL03(t *testing.T) {
	flip := func(v []byte) []byte {
		raw, _ := base64.StdEncoding.DecodeString(string(v[2:]))
		raw[len(raw)-1] ^= 1
		return []byte("v=" + b64(raw))
	}
	for _, m := range scramMechanisms() {
		for _, tt := range []struct {
			name string
			run  func(c Client, s *server) error // the error of the step that must fail
			want error
		}{
			{"a empty success", func(c Client, s *server) error {
				s.finish(t, c)
				return c.Success(t.Context(), nil)
			}, ErrServerSignature},
			{"a zero-length success", func(c Client, s *server) error {
				s.finish(t, c)
				return c.Success(t.Context(), []byte{})
			}, ErrServerSignature},
			{"b wrong signature", func(c Client, s *server) error {
				s.finish(t, c)
				return c.Success(t.Context(), []byte("v=AAAA"))
			}, ErrServerSignature},
			{"b wrong signature in a challenge", func(c Client, s *server) error {
				s.finish(t, c)
				_, err := c.Next(t.Context(), []byte("v=AAAA"))
				return err
			}, ErrServerSignature},
			{"c success first", func(c Client, s *server) error {
				start(t, c)
				return c.Success(t.Context(), nil)
			}, ErrUnexpected},
			{"c success before all", func(c Client, s *server) error {
				return c.Success(t.Context(), nil)
			}, ErrUnexpected},
			{"d success with server-first", func(c Client, s *server) error {
				ch, _ := s.challenge(start(t, c))
				return c.Success(t.Context(), ch)
			}, ErrUnexpected},
			{"d server-first for the signature", func(c Client, s *server) error {
				s.finish(t, c)
				return c.Success(t.Context(), []byte(s.first))
			}, ErrMalformed},
			{"e signature as first reply", func(c Client, s *server) error {
				start(t, c)
				return c.Success(t.Context(), []byte("v=AAAA"))
			}, ErrUnexpected},
			{"e signature as first challenge", func(c Client, s *server) error {
				start(t, c)
				_, err := c.Next(t.Context(), []byte("v=AAAA"))
				return err
			}, ErrMalformed},
			{"f signature in a challenge", func(c Client, s *server) error {
				v := s.finish(t, c)
				if got, err := c.Next(t.Context(), v); err != nil || got == nil || len(got) != 0 {
					t.Errorf("Next: got %q, %v, want an empty answer", got, err)
				}
				if c.(*scram).state == mutualDone {
					t.Error("done before success")
				}
				return c.Success(t.Context(), nil)
			}, nil},
			{"f signature in a challenge and data", func(c Client, s *server) error {
				v := s.finish(t, c)
				c.Next(t.Context(), v)
				return c.Success(t.Context(), v)
			}, ErrUnexpected},
			{"f a challenge more", func(c Client, s *server) error {
				v := s.finish(t, c)
				c.Next(t.Context(), v)
				_, err := c.Next(t.Context(), v)
				return err
			}, ErrUnexpected},
			{"g error", func(c Client, s *server) error {
				s.finish(t, c)
				return c.Success(t.Context(), []byte("e=other-error"))
			}, ErrServerError},
			{"g error as first challenge", func(c Client, s *server) error {
				start(t, c)
				_, err := c.Next(t.Context(), []byte("e=unknown-user"))
				return err
			}, ErrServerError},
			{"g error and signature", func(c Client, s *server) error {
				v := s.finish(t, c)
				return c.Success(t.Context(), append([]byte("e=x,"), v...))
			}, ErrServerError},
			{"h last bit", func(c Client, s *server) error {
				return c.Success(t.Context(), flip(s.finish(t, c)))
			}, ErrServerSignature},
			{"h cut", func(c Client, s *server) error {
				v := s.finish(t, c)
				raw, _ := base64.StdEncoding.DecodeString(string(v[2:]))
				return c.Success(t.Context(), []byte("v="+b64(raw[:len(raw)-1])))
			}, ErrServerSignature},
			{"right", func(c Client, s *server) error {
				return c.Success(t.Context(), s.finish(t, c))
			}, nil},
			{"right, with an extension", func(c Client, s *server) error {
				return c.Success(t.Context(), append(s.finish(t, c), ",x=1"...))
			}, nil},
		} {
			t.Run(m.Name+"/"+tt.name, func(t *testing.T) {
				c := newClient(t, m, params("user", "pencil"))
				s := newServer(m.Name, "pencil")
				s.binding = fixedBinding
				err := tt.run(c, s)
				if !errors.Is(err, tt.want) {
					t.Fatalf("got %v, want %v", err, tt.want)
				}
				if tt.want == nil {
					return
				}
				// Nothing brings a failed attempt back.
				if _, again := c.Next(t.Context(), []byte("v=AAAA")); again == nil || !errors.Is(again, err) {
					t.Errorf("Next after the failure: got %v, want %v", again, err)
				}
				if again := c.Success(t.Context(), nil); again == nil || !errors.Is(again, err) {
					t.Errorf("Success after the failure: got %v, want %v", again, err)
				}
				if _, again := c.Start(t.Context()); again == nil {
					t.Error("Start after the failure: no error")
				}
			})
		}
	}
	c := newClient(t, ScramSHA1(), params("user", "pencil"))
	start(t, c)
	if _, err := c.Start(t.Context()); !errors.Is(err, ErrUnexpected) {
		t.Errorf("second Start: got %v, want ErrUnexpected", err)
	}
	c = newClient(t, ScramSHA1(), params("user", "pencil"))
	if _, err := c.Next(t.Context(), nil); !errors.Is(err, ErrUnexpected) {
		t.Errorf("Next before Start: got %v, want ErrUnexpected", err)
	}
	var se *ServerError
	c = newClient(t, ScramSHA1(), params("user", "pencil"))
	newServer("SCRAM-SHA-1", "pencil").finish(t, c)
	if err := c.Success(t.Context(), []byte("e=\x1b[2J"+strings.Repeat("x", 999))); !errors.As(err, &se) {
		t.Errorf("e=: got %v, want a *ServerError", err)
	} else if text := err.Error(); strings.Contains(text, "\x1b") || len(text) > 200 {
		t.Errorf("text of the server is not escaped or not cut: %q", text)
	}
}

func start(t testing.TB, c Client) []byte {
	t.Helper()
	msg, err := c.Start(t.Context())
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	return msg
}

// finish goes up to the server's last message and returns that.
func (s *server) finish(t testing.TB, c Client) []byte {
	t.Helper()
	ch, err := s.challenge(start(t, c))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Next(t.Context(), ch)
	if err != nil {
		t.Fatalf("Next: %v", err)
	}
	v, err := s.final(resp)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
