package stanza

import (
	"errors"
	"time"
)

// ErrTime is returned by [ParseTime].
var ErrTime = errors.New("stanza: not a date and time of XEP-0082")

// FormatTime writes a time as XMPP does (XEP-0082, DateTime): in UTC, with milliseconds.
func FormatTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// ParseTime reads a date and time of XEP-0082 (CCYY-MM-DDThh:mm:ss[.s…] with Z or an offset) and returns it in UTC.
// A fraction may have any number of digits, of which nine count.
// A leap second is read as the last second before it, 24:00:00 as the start of the next day.
// Everything else gives [ErrTime].
func ParseTime(s string) (time.Time, error) {
	if len(s) < len("2006-01-02T15:04:05Z") || s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':' {
		return time.Time{}, ErrTime
	}
	year, month, day := digits(s[:4]), digits(s[5:7]), digits(s[8:10])
	hour, minute, sec := digits(s[11:13]), digits(s[14:16]), digits(s[17:19])
	nsec, rest, ok := fraction(s[19:])
	if !ok || year < 0 || month < 1 || month > 12 || day < 1 || hour < 0 || minute < 0 || minute > 59 || sec < 0 || sec > 60 {
		return time.Time{}, ErrTime
	}
	if sec == 60 {
		sec, nsec = 59, 0
	}
	if hour > 24 || hour == 24 && minute+sec+nsec != 0 {
		return time.Time{}, ErrTime
	}
	offset, ok := zone(rest)
	if !ok {
		return time.Time{}, ErrTime
	}
	if d := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC); d.Day() != day {
		return time.Time{}, ErrTime // 30 February
	}
	return time.Date(year, time.Month(month), day, hour, minute-offset, sec, nsec, time.UTC), nil
}

// digits returns the number that s is, -1 if there is anything but digits.
func digits(s string) int {
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return -1
		}
		n = n*10 + int(s[i]-'0')
	}
	return n
}

func fraction(s string) (nsec int, rest string, ok bool) {
	if s == "" || s[0] != '.' {
		return 0, s, true
	}
	i, unit := 1, 100_000_000
	for ; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
		nsec += int(s[i]-'0') * unit
		unit /= 10
	}
	return nsec, s[i:], i > 1
}

// zone returns the offset from UTC in minutes.
func zone(s string) (int, bool) {
	if s == "Z" {
		return 0, true
	}
	if len(s) != len("+00:00") || s[0] != '+' && s[0] != '-' || s[3] != ':' {
		return 0, false
	}
	h, m := digits(s[1:3]), digits(s[4:])
	if h < 0 || h > 14 || m < 0 || m > 59 {
		return 0, false
	}
	if s[0] == '-' {
		return -h*60 - m, true
	}
	return h*60 + m, true
}
