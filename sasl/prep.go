package sasl

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/secure/precis"
)

// password asks for the password and prepares it with OpaqueString (RFC 8265 §4.2).
// There is no second try with the older SASLprep, nor with the bytes as they are:
// a profile that depends on the text would make one password work on one server and not on the next.
// The caller overwrites the result, which never shares memory with what the callback returned.
func (c Credentials) password(ctx context.Context) ([]byte, error) {
	if c.Password == nil {
		return nil, fail(ErrCredentials, "no password")
	}
	raw, err := c.Password(ctx)
	if err != nil {
		return nil, fmt.Errorf("sasl: password callback: %w", err)
	}
	return preparePassword(raw)
}

func preparePassword(raw []byte) ([]byte, error) {
	switch {
	case len(raw) == 0:
		return nil, fail(ErrCredentials, "empty password")
	case bytes.IndexByte(raw, 0) >= 0:
		return nil, fail(ErrCredentials, "password holds a NUL")
	case !utf8.Valid(raw):
		return nil, fail(ErrCredentials, "password is not UTF-8")
	}
	if printableASCII(raw) {
		return slices.Clone(raw), nil // the profile would change nothing, and this leaves fewer copies behind
	}
	// The cause is left out: what it says about the text is about a secret.
	p, err := precis.OpaqueString.Bytes(slices.Clone(raw))
	if err != nil {
		return nil, fail(ErrCredentials, "password is refused by the PRECIS profile OpaqueString")
	}
	return p, nil
}

// username prepares the user name, see Credentials.Username.
func (c Credentials) username() (string, error) {
	u := c.Username
	if err := checkName("user name", u); err != nil {
		return "", err
	}
	if u == "" {
		return "", fail(ErrCredentials, "empty user name")
	}
	if p, err := precis.UsernameCasePreserved.String(u); err == nil {
		return p, nil
	}
	return u, nil
}

// checkName refuses what would break a message, or show something else than it is.
func checkName(what, s string) error {
	if !utf8.ValidString(s) {
		return fail(ErrCredentials, what+" is not UTF-8")
	}
	if strings.ContainsFunc(s, unicode.IsControl) {
		return fail(ErrCredentials, what+" holds a control character")
	}
	return nil
}

// saslname escapes the two characters that SCRAM's grammar uses itself (RFC 5802 §5.1).
var saslname = strings.NewReplacer("=", "=3D", ",", "=2C")

func printableASCII(b []byte) bool {
	for _, c := range b {
		if c < 0x20 || c > 0x7e {
			return false
		}
	}
	return true
}
