//go:build race

package sqlstore

// raceEnabled: the race detector makes SQLite, which is Go, ten times as slow.
const raceEnabled = true
