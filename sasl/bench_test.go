package sasl

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"testing"
)

// BenchmarkSCRAM256 is a whole login at 4096 iterations; the server's side is a few HMACs with keys made before.
func BenchmarkSCRAM256(b *testing.B) {
	keys := newServer("SCRAM-SHA-256", "pencil")
	keys.keys()
	run := func(b *testing.B, cache *KeyCache) {
		p := params("user", "pencil")
		p.Keys = cache
		m := ScramSHA256()
		b.ReportAllocs()
		for b.Loop() {
			s := *keys
			if err := exchange(b.Context(), newClient(b, m, p), &s, false); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("fresh", func(b *testing.B) { run(b, nil) })
	b.Run("cached", func(b *testing.B) { run(b, &KeyCache{}) })
}

// BenchmarkPBKDF2 compares the loop that can be stopped with the standard library's that cannot.
func BenchmarkPBKDF2(b *testing.B) {
	salt := []byte("0123456789abcdef")
	b.Run("own", func(b *testing.B) {
		for b.Loop() {
			if _, err := hi(b.Context(), sha256.New, []byte("pencil"), salt, 4096); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("std", func(b *testing.B) {
		for b.Loop() {
			if _, err := pbkdf2.Key(sha256.New, "pencil", salt, 4096, 32); err != nil {
				b.Fatal(err)
			}
		}
	})
}
