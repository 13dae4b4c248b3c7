package vcard

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-xmppframework/xmpp/stanza/datetime"
)

// ErrDate is returned for a text that is not a date.
var ErrDate = errors.New("vcard: not a date")

// Date is a date of which parts may be unknown, as in birthdays: those are zero.
type Date struct {
	Year  int // 1 to 9999
	Month time.Month
	Day   int
}

// ParseDate reads a date as vCards have it, with or without hyphens: 1996-04-15, 19960415, 1996-04, 1996, --04-15, --04, ---15
// (XEP-0082 section 3.1, RFC 6350 section 4.3.1). A time of day behind it is not looked at. It returns [ErrDate] for all else.
func ParseDate(s string) (Date, error) {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "T")
	var year, month, day string
	switch shape.Replace(s) {
	case "0000-00-00":
		year, month, day = s[:4], s[5:7], s[8:]
	case "00000000":
		year, month, day = s[:4], s[4:6], s[6:]
	case "0000-00":
		year, month = s[:4], s[5:]
	case "0000":
		year = s
	case "--00-00":
		month, day = s[2:4], s[5:]
	case "--0000":
		month, day = s[2:4], s[4:]
	case "--00":
		month = s[2:]
	case "---00":
		day = s[3:]
	default:
		return Date{}, ErrDate
	}
	d := Date{number(year), time.Month(number(month)), number(day)}
	if year != "" && d.Year == 0 || month != "" && d.Month == 0 || day != "" && d.Day == 0 || d.String() == "" {
		return Date{}, ErrDate
	}
	return d, nil
}

// shape turns every digit into 0.
var shape = strings.NewReplacer("1", "0", "2", "0", "3", "0", "4", "0", "5", "0", "6", "0", "7", "0", "8", "0", "9", "0")

func number(s string) int {
	n, _ := strconv.Atoi(s) // digits, or nothing
	return n
}

// String writes the date as ParseDate reads it, with hyphens. It is empty for the zero Date, for one that there is not,
// and for a year with a day but no month.
func (d Date) String() string {
	if d.Year < 0 || d.Year > 9999 || d.Month < 0 || d.Month > 12 || d.Day < 0 {
		return ""
	}
	switch {
	case d.Month == 0 && d.Day == 0 && d.Year > 0:
		return fmt.Sprintf("%04d", d.Year)
	case d.Month == 0 && d.Year == 0 && 0 < d.Day && d.Day <= 31:
		return fmt.Sprintf("---%02d", d.Day)
	case d.Month == 0:
		return ""
	case d.Day == 0 && d.Year == 0:
		return fmt.Sprintf("--%02d", int(d.Month))
	case d.Day == 0:
		return fmt.Sprintf("%04d-%02d", d.Year, int(d.Month))
	case d.Day > daysIn(d.Year, d.Month):
		return ""
	case d.Year == 0:
		return fmt.Sprintf("--%02d-%02d", int(d.Month), d.Day)
	}
	return fmt.Sprintf("%04d-%02d-%02d", d.Year, int(d.Month), d.Day)
}

// daysIn is how many days a month has, at most if the year is not known.
func daysIn(year int, month time.Month) int {
	if year == 0 {
		year = 2000 // a leap year
	}
	return time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// BirthdayDate is Birthday as a date; [ErrDate] if it is none.
func (c *Card) BirthdayDate() (Date, error) { return ParseDate(c.Birthday) }

// RevisionTime is Revision as a time: a date and time of XEP-0082, or without hyphens and colons, as in 20031107T220201Z,
// or a date alone, which is its beginning in UTC. It returns [ErrDate] if it is none.
func (c *Card) RevisionTime() (time.Time, error) { return parseStamp(c.Revision) }

// SetRevision sets Revision to a time.
func (c *Card) SetRevision(t time.Time) { c.Revision = datetime.Format(t) }

func parseStamp(s string) (time.Time, error) {
	s = strings.TrimSpace(s)
	if t, err := datetime.Parse(s); err == nil {
		return t, nil
	}
	for _, layout := range []string{"20060102T150405Z0700", "20060102T150405Z07", "20060102T150405", "2006-01-02", "20060102"} {
		if t, err := time.Parse(layout, s); err == nil && t.UTC().Year() > 0 && t.UTC().Year() <= 9999 {
			return t.UTC(), nil
		}
	}
	return time.Time{}, ErrDate
}
