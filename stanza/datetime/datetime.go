// Package datetime reads and writes dates and times as XMPP does: the profiles of XEP-0082, and the format before it.
//
// What is read from others is bounded: every time that this package returns lies in the years 0 to 9999 in UTC, so that it can be
// written again, by [time.Time.MarshalJSON] too.
package datetime

import (
	"errors"
	"time"
)

// ErrFormat is returned for what is in no format that the function reads, or for no date that there is.
var ErrFormat = errors.New("datetime: not a date or time of XEP-0082")

// The layouts, of XEP-0082 section 3 and XEP-0091.
const (
	layoutDateTime = "2006-01-02T15:04:05.000Z"
	layoutDate     = "2006-01-02"
	layoutTime     = "15:04:05.000Z"
	layoutLegacy   = "20060102T15:04:05"
)

var (
	first = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)
	last  = time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC)
)

// clamp returns t in UTC, or the first or last that has a year of four digits.
func clamp(t time.Time) time.Time {
	t = t.UTC()
	if t.Before(first) {
		return first
	}
	if t.After(last) {
		return last
	}
	return t
}

// bounded refuses what an offset has led out of the years of four digits.
func bounded(t time.Time) (time.Time, error) {
	if t.Before(first) || t.After(last) {
		return time.Time{}, ErrFormat
	}
	return t, nil
}

// Format writes a date and time (DateTime, XEP-0082 section 3.2): in UTC, with milliseconds, finer parts cut off.
// Before the year 0 and after the year 9999 it writes the first and the last that can be written.
func Format(t time.Time) string { return clamp(t).Format(layoutDateTime) }

// Parse reads a date and time (DateTime, XEP-0082 section 3.2): CCYY-MM-DDThh:mm:ss[.s…] with Z or an offset. It returns it in UTC.
// A fraction may have any number of digits, of which nine count.
// A leap second is read as the last second before it, 24:00:00 as the start of the next day.
// Everything else gives [ErrFormat].
func Parse(s string) (time.Time, error) {
	if len(s) < len("2006-01-02T15:04:05Z") || s[10] != 'T' {
		return time.Time{}, ErrFormat
	}
	day, ok := date(s[:10])
	c, rest, ok2 := clockOf(s[11:])
	offset, ok3 := zone(rest)
	if !ok || !ok2 || !ok3 {
		return time.Time{}, ErrFormat
	}
	return bounded(c.on(day.Year(), day.Month(), day.Day(), time.UTC).Add(-offset))
}

// FormatDate writes the date (XEP-0082 section 3.1) that t has in its own location: give t.UTC() for that in UTC.
// Before the year 0 and after the year 9999 it writes the first and the last that can be written.
func FormatDate(t time.Time) string {
	if y := t.Year(); y < 0 || y > 9999 {
		t = clamp(t)
	}
	return t.Format(layoutDate)
}

// ParseDate reads a date (XEP-0082 section 3.1), CCYY-MM-DD. It returns its midnight in UTC.
// Everything else gives [ErrFormat].
func ParseDate(s string) (time.Time, error) {
	t, ok := date(s)
	if !ok {
		return time.Time{}, ErrFormat
	}
	return t, nil
}

// FormatTime writes the time of day (Time, XEP-0082 section 3.3): in UTC, with milliseconds, finer parts cut off.
func FormatTime(t time.Time) string { return t.UTC().Format(layoutTime) }

// ParseTime reads a time of day (Time, XEP-0082 section 3.3): hh:mm:ss[.s…], with Z, an offset, or no zone.
// It returns that time on the day that it is at the moment "on" in the zone that was read; without one, that is the location of "on".
// So on is most often time.Now(): without a zone, the time is local. The result is in the zone that was read.
// Fractions, leap seconds and 24:00:00 are as for [Parse]. Everything else gives [ErrFormat].
func ParseTime(s string, on time.Time) (time.Time, error) {
	c, rest, ok := clockOf(s)
	if !ok {
		return time.Time{}, ErrFormat
	}
	loc := on.Location()
	if rest != "" {
		offset, ok := zone(rest)
		if !ok {
			return time.Time{}, ErrFormat
		}
		if loc = time.UTC; offset != 0 {
			loc = time.FixedZone("", int(offset/time.Second))
		}
	}
	year, month, day := on.In(loc).Date()
	return bounded(c.on(year, month, day, loc))
}

// maxOffset is the largest offset that there is (XML Schema part 2, section 3.2.7.3).
const maxOffset = 14 * time.Hour

// FormatOffset writes an offset from UTC (TZD, XEP-0082 section 3.2): Z, or ±hh:mm. Seconds are cut off,
// and what is beyond 14 hours is written as 14 hours.
func FormatOffset(d time.Duration) string {
	d = max(min(d, maxOffset), -maxOffset).Truncate(time.Minute)
	if d == 0 {
		return "Z"
	}
	b := []byte("+00:00")
	if d < 0 {
		b[0], d = '-', -d
	}
	h, m := int(d/time.Hour), int(d%time.Hour/time.Minute)
	b[1], b[2], b[4], b[5] = byte('0'+h/10), byte('0'+h%10), byte('0'+m/10), byte('0'+m%10)
	return string(b)
}

// ParseOffset reads an offset from UTC (TZD, XEP-0082 section 3.2): Z, or ±hh:mm, of 14 hours at most.
// Everything else gives [ErrFormat].
func ParseOffset(s string) (time.Duration, error) {
	d, ok := zone(s)
	if !ok {
		return 0, ErrFormat
	}
	return d, nil
}

// FormatLegacy writes a date and time as before XEP-0082, in UTC: CCYYMMDDThh:mm:ss. XEP-0091 (jabber:x:delay) and the old jabber:iq:time have it.
// Before the year 0 and after the year 9999 it writes the first and the last that can be written.
func FormatLegacy(t time.Time) string { return clamp(t).Format(layoutLegacy) }

// ParseLegacy reads a date and time as before XEP-0082: CCYYMMDDThh:mm:ss, which is in UTC. Leap seconds and 24:00:00 are as for [Parse].
// Everything else gives [ErrFormat].
func ParseLegacy(s string) (time.Time, error) {
	if len(s) != len(layoutLegacy) || s[8] != 'T' {
		return time.Time{}, ErrFormat
	}
	day, ok := date(s[:4] + "-" + s[4:6] + "-" + s[6:8])
	c, rest, ok2 := clockOf(s[9:])
	if !ok || !ok2 || rest != "" {
		return time.Time{}, ErrFormat
	}
	return bounded(c.on(day.Year(), day.Month(), day.Day(), time.UTC))
}
