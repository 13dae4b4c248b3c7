package sasl

import (
	"context"
	"crypto/pbkdf2"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

func TestSaltedPassword(t *testing.T) {
	salt := []byte("\x41\x25\xc2\x47\xe4\x3a\xb1\xe9\x3c\x6d\xff\x76") // RFC 5802 §5
	for name, h := range hashes {
		want, err := pbkdf2.Key(h, "pencil", salt, 4096, h().Size())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := SaltedPassword(t.Context(), name, creds("user", "pencil"), salt, 4096, 0); err != nil || hex.EncodeToString(got) != hex.EncodeToString(want) {
			t.Errorf("%s: got %x, %v, want %x", name, got, err, want)
		}
	}
	// Prepared as a password is for SCRAM.
	a, err := SaltedPassword(t.Context(), "SCRAM-SHA-256", creds("user", "a\u00a0b"), salt, 4096, 0)
	b, err2 := SaltedPassword(t.Context(), "SCRAM-SHA-256", creds("user", "a b"), salt, 4096, 0)
	if err != nil || err2 != nil || string(a) != string(b) {
		t.Errorf("a no-break space: got %x, %v, and %x, %v for a space", a, err, b, err2)
	}

	for _, name := range []string{"", "SCRAM-SHA-256-PLUS", "UPGR-SCRAM-SHA-256", "scram-sha-256", "SCRAM-MD5", "PLAIN", strings.Repeat("x", 9999)} {
		got, err := SaltedPassword(t.Context(), name, untouched(t), salt, 4096, 0)
		if got != nil || !errors.Is(err, ErrNoMechanism) || len(err.Error()) > 200 {
			t.Errorf("%.20q: got %x, %v, want ErrNoMechanism", name, got, err)
		}
	}
	for name, salt := range map[string][]byte{"nil": nil, "empty": {}, "long": make([]byte, 16<<10+1)} {
		if got, err := SaltedPassword(t.Context(), "SCRAM-SHA-256", untouched(t), salt, 4096, 0); got != nil || !errors.Is(err, ErrMalformed) {
			t.Errorf("%s salt: got %x, %v, want ErrMalformed", name, got, err)
		}
	}
	for _, cred := range []Credentials{{}, creds("user", ""), creds("user", "a\x00")} {
		if got, err := SaltedPassword(t.Context(), "SCRAM-SHA-256", cred, salt, 4096, 0); got != nil || !errors.Is(err, ErrCredentials) {
			t.Errorf("%v: got %x, %v, want ErrCredentials", cred, got, err)
		}
	}
}

// TestSec_SASL09: a server that asks for the salted password in an upgrade task cannot ask for one that is cheap to guess at,
// nor for work without end. That the server proved itself before is for whoever carries the messages to see to.
func TestSec_SASL09(t *testing.T) {
	for _, tt := range []struct {
		iterations, limit int
		ok                bool
	}{
		{0, 0, false}, {-1, 0, false}, {1, 0, false}, {4095, 0, false}, {4096, 0, true}, {1_000_001, 0, false}, {math.MaxInt32, 0, false}, {math.MaxInt, 0, false},
		{4096, 4096, true}, {4097, 4096, false}, {4096, 1, false}, {4096, -1, false}, {1, 1, false},
	} {
		cred := creds("user", "pencil")
		if !tt.ok {
			cred = untouched(t)
		}
		got, err := SaltedPassword(t.Context(), "SCRAM-SHA-256", cred, []byte("salt"), tt.iterations, tt.limit)
		if tt.ok && (err != nil || len(got) != 32) || !tt.ok && (got != nil || !errors.Is(err, ErrIterations)) {
			t.Errorf("%d, limit %d: got %x, %v", tt.iterations, tt.limit, got, err)
		}
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := SaltedPassword(ctx, "SCRAM-SHA-256", untouched(t), []byte("salt"), 4096, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("ended before: got %v, want Canceled", err)
	}
	// Minutes of work, ended by the context in the middle of it. Within 100 ms is measured for SCRAM, which has the same loop.
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	got, err := SaltedPassword(ctx, "SCRAM-SHA-512", creds("user", "pencil"), []byte("salt"), math.MaxInt32, math.MaxInt32)
	if got != nil || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("ended in the middle: got %x, %v, want DeadlineExceeded", got, err)
	}
}
