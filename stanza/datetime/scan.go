package datetime

import "time"

// date reads CCYY-MM-DD.
func date(s string) (time.Time, bool) {
	if len(s) != len(layoutDate) || s[4] != '-' || s[7] != '-' {
		return time.Time{}, false
	}
	year, month, day := digits(s[:4]), digits(s[5:7]), digits(s[8:10])
	if year < 0 || month < 1 || month > 12 || day < 1 {
		return time.Time{}, false
	}
	t := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	return t, t.Day() == day // there is no 30 February
}

// clock is a time of day; 24:00:00 is one.
type clock struct{ hour, min, sec, nsec int }

func (c clock) on(year int, month time.Month, day int, loc *time.Location) time.Time {
	return time.Date(year, month, day, c.hour, c.min, c.sec, c.nsec, loc)
}

// clockOf reads hh:mm:ss[.s…] and returns what is behind it.
func clockOf(s string) (c clock, rest string, ok bool) {
	if len(s) < len("15:04:05") || s[2] != ':' || s[5] != ':' {
		return c, "", false
	}
	c = clock{hour: digits(s[:2]), min: digits(s[3:5]), sec: digits(s[6:8])}
	if c.nsec, rest, ok = fraction(s[8:]); !ok || c.hour < 0 || c.min < 0 || c.min > 59 || c.sec < 0 || c.sec > 60 {
		return c, "", false
	}
	if c.sec == 60 {
		c.sec, c.nsec = 59, 0
	}
	return c, rest, c.hour < 24 || c.hour == 24 && c.min+c.sec+c.nsec == 0
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

// zone reads Z or an offset.
func zone(s string) (time.Duration, bool) {
	if s == "Z" {
		return 0, true
	}
	if len(s) != len("+00:00") || s[0] != '+' && s[0] != '-' || s[3] != ':' {
		return 0, false
	}
	h, m := digits(s[1:3]), digits(s[4:])
	d := time.Duration(h)*time.Hour + time.Duration(m)*time.Minute
	if h < 0 || m < 0 || m > 59 || d > maxOffset {
		return 0, false
	}
	if s[0] == '-' {
		d = -d
	}
	return d, true
}
