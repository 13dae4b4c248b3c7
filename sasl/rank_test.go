package sasl

import "testing"

func TestRankHT(t *testing.T) {
	order := []string{"SCRAM-SHA-512", "HT-SHA-256-NONE", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-512-PLUS", "HT-SHA-256-ENDP", "HT-SHA-256-UNIQ", "HT-SHA-256-EXPR", "EXTERNAL"}
	for i := range len(order) - 1 {
		if Rank(order[i]) >= Rank(order[i+1]) {
			t.Errorf("Rank(%s) = %d, not below Rank(%s) = %d", order[i], Rank(order[i]), order[i+1], Rank(order[i+1]))
		}
	}
	for name, want := range map[string]int{"HT-SHA-512-NONE": Rank("HT-SHA-256-NONE"), "HT-SHA3-256-EXPR": Rank("HT-SHA-256-EXPR"), "HT-SHA-1-EXPR": 0, "HT-": 0} {
		if got := Rank(name); got != want {
			t.Errorf("Rank(%s) = %d, want %d", name, got, want)
		}
	}
}

// TestDowngrade is the pin of XEP-0474 §7: once SCRAM or a certificate, never PLAIN again.
func TestDowngrade(t *testing.T) {
	strong := []string{"EXTERNAL", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-512-PLUS"}
	weak := []string{"PLAIN", "X-OAUTH2", "OAUTHBEARER", "CRAM-MD5", "DIGEST-MD5", "ANONYMOUS"}
	neither := []string{"", "X-OWN", "scram-sha-256", "SCRAM-MD5", "HT-SHA-256-NONE", "HT-SHA-512-EXPR"}
	for _, worked := range append(append(append([]string(nil), strong...), weak...), neither...) {
		for _, m := range append(append(append([]string(nil), strong...), weak...), neither...) {
			want := false
			for _, s := range strong {
				for _, w := range weak {
					want = want || worked == s && m == w
				}
			}
			if got := Downgrade(worked, m); got != want {
				t.Errorf("Downgrade(%q, %q) = %v, want %v", worked, m, got, want)
			}
		}
	}
}
