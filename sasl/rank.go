package sasl

import (
	"slices"
	"strings"
)

// ranks is the order of strength.
// EXTERNAL is first, because whoever adds it has a certificate and wants it used.
// Binding to the channel counts more than the hash: it is what a relaying attacker cannot get round.
var ranks = map[string]int{
	"EXTERNAL":           120,
	"SCRAM-SHA-512-PLUS": 110,
	"SCRAM-SHA-256-PLUS": 100,
	"SCRAM-SHA-1-PLUS":   90,
	"SCRAM-SHA-512":      80,
	"SCRAM-SHA-256":      70,
	"SCRAM-SHA-1":        60,
	"DIGEST-MD5":         50,
	"CRAM-MD5":           40,
	"OAUTHBEARER":        30,
	"X-OAUTH2":           30,
	"PLAIN":              20,
	"ANONYMOUS":          10,
}

// Rank is the strength of a mechanism: greater is stronger, 0 is unknown.
// The order is used by Select, by Policy.Minimum and by pins that refuse a weaker mechanism than last time.
// The numbers may change between versions, so store names, not ranks.
// A token (HT) that is bound to the channel counts as much as SCRAM that is, one that is not as much as SCRAM that is not:
// with it a [Policy.Minimum] of SCRAM-SHA-256-PLUS refuses HT-SHA-256-NONE. Its hash makes no difference.
func Rank(name string) int {
	if _, b, ok := cutHT(name); ok {
		return htBinding[b].rank
	}
	return ranks[name]
}

// Downgrade reports whether the mechanism must not be used on an account on which worked has logged in once (XEP-0474 §7):
// after EXTERNAL or SCRAM, every mechanism that hands out the secret or proves less about the server than SCRAM does, PLAIN above all.
// It does not tell the variants of SCRAM apart, whose choice a server may change; [Rank] does.
// A login by token (HT) is no reason and no downgrade: remember the mechanism that the token was obtained with.
// A mechanism that Rank does not know is the application's own making, and choice.
func Downgrade(worked, mechanism string) bool {
	return isStrong(worked) && Rank(mechanism) > 0 && !isStrong(mechanism) && !isHT(mechanism)
}

func isStrong(name string) bool {
	return name == "EXTERNAL" || strings.HasPrefix(name, "SCRAM-") && Rank(name) > 0
}

// effective gives each mechanism its rank.
// One that Rank does not know is as strong as the strongest known one behind it in the list,
// so that the application places it by where it puts it; 0 at the end of the list.
func effective(mechs []Mechanism) []int {
	r := make([]int, len(mechs))
	behind := 0
	for i, m := range slices.Backward(mechs) {
		if r[i] = Rank(m.Name); r[i] == 0 {
			r[i] = behind
		}
		behind = max(behind, r[i])
	}
	return r
}
