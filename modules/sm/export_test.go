package sm

import "time"

// StartCounts makes the next sessions count from there; the server has to do the same.
func (m *SM) StartCounts(sent, handled uint32) { m.base, m.inBase = sent, handled }

// SetClock replaces the clock on the wall.
func (m *SM) SetClock(f func(now time.Time) time.Time) { m.wall = f }

// Location is location.
func Location(v string) (string, bool) { return location(v) }
