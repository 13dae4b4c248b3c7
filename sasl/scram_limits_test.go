package sasl

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// TestSec_SASL04: the iteration count stays within the limits, and the derivation can be stopped.
func TestSec_SASL04(t *testing.T) {
	for _, m := range scramMechanisms() {
		for _, tt := range []struct {
			i    string
			want error
		}{
			{"i=0", ErrIterations}, {"i=-1", ErrMalformed}, {"i=+4096", ErrMalformed}, {"i=1", ErrIterations},
			{"i=4095", ErrIterations}, {"i=4096", nil}, {"i=1000000", nil}, {"i=1000001", ErrIterations},
			{"i=2147483647", ErrIterations}, {"i=4294971392", ErrIterations}, {"i=100000000000000000000", ErrIterations},
			{"i=18446744073709555712", ErrIterations}, // 4096 modulo 2^64
			{"i=4096x", ErrMalformed}, {"i=0x1000", ErrMalformed}, {"i=04096", ErrMalformed}, {"i=4_096", ErrMalformed},
			{"i=", ErrMalformed}, {"i= 4096", ErrMalformed}, {"x=4096", ErrMalformed}, {"", ErrMalformed},
			{"i=4096,i=4096", ErrMalformed}, {"i=4096,i=1", ErrMalformed},
		} {
			p := params("user", "pencil")
			p.Keys = &KeyCache{}
			n := hashes[strings.TrimSuffix(m.Name, "-PLUS")]().Size()
			for _, i := range []int{4096, 1000000} { // saves the derivation, which TestSCRAMMaximum makes once
				p.Keys.put(cacheKey{strings.TrimSuffix(m.Name, "-PLUS"), "user", "salt", i}, &keyPair{make([]byte, n), make([]byte, n)})
			}
			if tt.want != nil {
				p.Credentials = untouched(t)
			}
			c := newClient(t, m, p)
			start(t, c)
			msg := strings.TrimSuffix("r="+c.(*scram).nonce+"x,s=c2FsdA==,"+tt.i, ",")
			got, err := c.Next(t.Context(), []byte(msg))
			if !errors.Is(err, tt.want) || (got == nil) != (tt.want != nil) {
				t.Errorf("%s %q: got %q, %v, want %v", m.Name, tt.i, got, err, tt.want)
			}
		}
	}
	for name, tt := range map[string]struct {
		lo, hi, i int
		want      error
	}{
		"below own minimum": {20000, 0, 19999, ErrIterations},
		"at own minimum":    {20000, 0, 20000, nil},
		"at own maximum":    {0, 5000, 5000, nil},
		"above own maximum": {0, 5000, 5001, ErrIterations},
	} {
		p := params("user", "pencil")
		p.MinIterations, p.MaxIterations = tt.lo, tt.hi
		s := newServer("SCRAM-SHA-1", "pencil")
		s.iterations = tt.i
		if err := exchange(t.Context(), newClient(t, ScramSHA1(), p), s, false); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", name, err, tt.want)
		}
	}

	for _, m := range []Mechanism{ScramSHA1(), ScramSHA256(), ScramSHA512()} {
		t.Run(m.Name+"/cancel", func(t *testing.T) {
			p := params("user", "pencil")
			p.MaxIterations = 1 << 30 // minutes
			best := time.Hour         // the best of three: a neighbour's load is not what is measured
			for range 3 {
				c := newClient(t, m, p)
				start(t, c)
				ctx, cancel := context.WithCancel(t.Context())
				cancelled := make(chan time.Time, 1)
				time.AfterFunc(10*time.Millisecond, func() {
					cancelled <- time.Now()
					cancel()
				})
				got, err := c.Next(ctx, []byte("r="+c.(*scram).nonce+"x,s=c2FsdA==,i=1000000000"))
				if got != nil || !errors.Is(err, context.Canceled) {
					t.Fatalf("got %q, %v, want context.Canceled", got, err)
				}
				best = min(best, time.Since(<-cancelled))
			}
			if best > 100*time.Millisecond {
				t.Errorf("stopped %v after the cancel, want 100 ms at most", best)
			}
		})
	}
	t.Run("cancelled before", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		p := params("", "")
		p.Credentials = untouched(t)
		c := newClient(t, ScramSHA1(), p)
		start(t, c)
		cancel()
		if _, err := c.Next(ctx, []byte("r="+c.(*scram).nonce+"x,s=c2FsdA==,i=4096")); !errors.Is(err, context.Canceled) {
			t.Errorf("Next: got %v, want context.Canceled", err)
		}
		if _, err := newClient(t, ScramSHA1(), p).Start(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Start: got %v, want context.Canceled", err)
		}
	})
}

// TestSCRAMMaximum derives once with the greatest count that a server may ask for by default.
func TestSCRAMMaximum(t *testing.T) {
	s := newServer("SCRAM-SHA-256", "pencil")
	s.iterations = 1_000_000
	if err := exchange(t.Context(), newClient(t, ScramSHA256(), params("user", "pencil")), s, false); err != nil {
		t.Error(err)
	}
}

// TestSec_SASL05: malformed challenges, in both places where one may come.
func TestSec_SASL05(t *testing.T) {
	long := strings.Repeat("A", 1<<20)
	const ok = "r=$x,s=c2FsdA==,i=4096"
	for name, msg := range map[string]string{
		"empty": "", "r": "r", "x": "x", "commas": "=,,,,", "empty values": "r=,s=,i=", "NUL": "\x00", "NUL in nonce": "r=$\x00x,s=c2FsdA==,i=4096",
		"bad base64": "r=$x,s=c2Fsd*==,i=4096", "unpadded base64": "r=$x,s=c2FsdA,i=4096", "stray bits": "r=$x,s=c2FsdB==,i=4096",
		"newline in base64": "r=$x,s=c2Fs\ndA==,i=4096", "CRLF in base64": "r=$x,s=c2FsdA==\r\n,i=4096", "URL base64": "r=$x,s=-_-_,i=4096",
		"empty salt": "r=$x,s=,i=4096", "padding only": "r=$x,s==,i=4096",
		"1 MiB": long, "1 MiB of extension": ok + ",x=" + long, "1 MiB of commas": strings.Repeat(",", 1<<20), "1 MiB of attributes": ok + strings.Repeat(",x=1", 1<<18),
		"m=ext": "m=ext," + ok, "m=ext at the end": ok + ",m=ext", "duplicate salt": "r=$x,s=c2FsdA==,s=c2FsdA==,i=4096", "duplicate extension": ok + ",x=1,x=2",
		"other order": "s=c2FsdA==,r=$x,i=4096", "trailing comma": ok + ",", "leading comma": "," + ok, "not UTF-8": ok + ",x=\xff",
		"extension without value": ok + ",x=", "extension without =": ok + ",xyz", "extension named by a digit": ok + ",1=x",
		"no iterations": "r=$x,s=c2FsdA==", "no salt": "r=$x,i=4096",
	} {
		t.Run(name, func(t *testing.T) {
			for _, m := range scramMechanisms() {
				p := params("", "")
				p.Credentials = untouched(t)
				best := time.Hour // the best of three: a neighbour's load is not what is measured
				for range 3 {
					c := newClient(t, m, p)
					start(t, c)
					in := []byte(strings.ReplaceAll(msg, "$", c.(*scram).nonce))
					begin := time.Now()
					got, err := c.Next(t.Context(), in)
					best = min(best, time.Since(begin))
					if got != nil || !errors.Is(err, ErrMalformed) {
						t.Fatalf("%s: got %q, %v, want ErrMalformed", m.Name, got, err)
					}
					if len(err.Error()) > 300 {
						t.Errorf("%s: error of %d bytes", m.Name, len(err.Error()))
					}
				}
				if best > 10*time.Millisecond {
					t.Errorf("%s: took %v, want 10 ms at most", m.Name, best)
				}
			}
			// And as the server's last message.
			c := newClient(t, ScramSHA1(), params("user", "pencil"))
			newServer("SCRAM-SHA-1", "pencil").finish(t, c)
			if _, err := c.Next(t.Context(), []byte(msg)); !errors.Is(err, ErrMalformed) {
				t.Errorf("server-final: got %v, want ErrMalformed", err)
			}
		})
	}
	t.Run("limit", func(t *testing.T) { // 16 KiB pass, one byte more does not
		for _, n := range []int{maxMessage, maxMessage + 1} {
			c := newClient(t, ScramSHA1(), params("user", "pencil"))
			start(t, c)
			msg := strings.ReplaceAll(ok, "$", c.(*scram).nonce) + ",x="
			_, err := c.Next(t.Context(), []byte(msg+strings.Repeat("A", n-len(msg))))
			if (err == nil) != (n == maxMessage) {
				t.Errorf("%d bytes: got %v", n, err)
			}
		}
	})
	for name, msg := range map[string]string{"bad base64": "v=A*==", "m= in server-final": "v=AAAA,m=x", "v twice": "v=AAAA,v=AAAA", "v second": "x=1,v=AAAA"} {
		c := newClient(t, ScramSHA1(), params("user", "pencil"))
		newServer("SCRAM-SHA-1", "pencil").finish(t, c)
		if err := c.Success(t.Context(), []byte(msg)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %v, want ErrMalformed", name, err)
		}
	}
}

// TestSec_SASL07: the nonce is long, fresh, and never made of a reader that fails.
func TestSec_SASL07(t *testing.T) {
	const n = 1_000_000
	seen := make(map[[18]byte]struct{}, n)
	for range n {
		s := ""
		if err := newNonce(&s, rand.Reader); err != nil {
			t.Fatal(err)
		}
		var b [18]byte
		if k, err := base64.StdEncoding.Decode(b[:], []byte(s)); k != 18 || err != nil {
			t.Fatalf("nonce %q: %d bytes, %v, want 18", s, k, err)
		}
		seen[b] = struct{}{}
	}
	if len(seen) != n {
		t.Errorf("%d distinct nonces, want %d", len(seen), n)
	}

	// Through the clients, with whatever was offered.
	fresh := map[string]bool{}
	const each = 500
	for _, m := range scramMechanisms() {
		for i := range each {
			p := params("user", "pencil")
			p.ServerOffersPlus = i%2 == 0
			if i%3 == 0 && !m.Binding {
				p.Binding = nil
			}
			msg := string(start(t, newClient(t, m, p)))
			nonce := msg[strings.Index(msg, ",r=")+3:]
			if raw, err := base64.StdEncoding.DecodeString(nonce); err != nil || len(raw) < 18 || !isNonce(nonce) {
				t.Fatalf("%s: nonce %q", m.Name, nonce)
			}
			fresh[nonce] = true
		}
	}
	if want := each * len(scramMechanisms()); len(fresh) != want {
		t.Errorf("%d distinct nonces of clients, want %d", len(fresh), want)
	}

	boom := errors.New("boom")
	for name, tt := range map[string]struct {
		r    func() io.Reader
		want error
	}{
		"failing": {func() io.Reader { return iotest.ErrReader(boom) }, boom},
		"empty":   {func() io.Reader { return strings.NewReader("") }, io.EOF},
		"short":   {func() io.Reader { return strings.NewReader("seventeen bytes..") }, io.ErrUnexpectedEOF},
		"failing later": {func() io.Reader {
			return iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader(strings.Repeat("x", 40))))
		}, iotest.ErrTimeout},
	} {
		for _, m := range scramMechanisms() {
			p := params("user", "pencil")
			p.Rand = tt.r()
			got, err := newClient(t, m, p).Start(t.Context())
			if got != nil || !errors.Is(err, tt.want) {
				t.Errorf("%s, %s: got %q, %v, want nil, %v", name, m.Name, got, err, tt.want)
			}
		}
	}
}
