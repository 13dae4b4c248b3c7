//go:build race

package xmpp_test

// raceEnabled: the race detector makes everything slower.
const raceEnabled = true
