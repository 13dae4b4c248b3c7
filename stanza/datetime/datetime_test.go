package datetime_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp/stanza/datetime"
)

// dateTimes are what Parse reads, and what Format writes of it.
var dateTimes = map[string]string{
	"1969-07-21T02:56:15Z":                "1969-07-21T02:56:15.000Z", // XEP-0082 section 3.2
	"1969-07-20T21:56:15-05:00":           "1969-07-21T02:56:15.000Z", // the same
	"1776-07-04T02:56:15Z":                "1776-07-04T02:56:15.000Z",
	"2002-09-10T23:41:07.1+14:00":         "2002-09-10T09:41:07.100Z",
	"2002-09-10T23:41:07.1-14:00":         "2002-09-11T13:41:07.100Z",
	"2002-09-10T23:41:07.123456789012Z":   "2002-09-10T23:41:07.123Z",
	"2016-12-31T23:59:60Z":                "2016-12-31T23:59:59.000Z",
	"2016-12-31T23:59:60.9Z":              "2016-12-31T23:59:59.000Z",
	"2016-12-31T24:00:00Z":                "2017-01-01T00:00:00.000Z",
	"2016-12-31T24:00:00.000-01:00":       "2017-01-01T01:00:00.000Z",
	"2016-02-29T00:00:00.000Z":            "2016-02-29T00:00:00.000Z",
	"0000-01-01T00:00:00Z":                "0000-01-01T00:00:00.000Z",
	"9999-12-31T23:59:59.999-00:00":       "9999-12-31T23:59:59.999Z",
	"2016-12-31T23:59:59.00000000000001Z": "2016-12-31T23:59:59.000Z",
}

// notDateTimes are what Parse refuses.
var notDateTimes = []string{
	"", "garbage", "2002-09-10", "23:41:07Z", "2002-09-10T23:41:07", "20020910T23:41:07", "2002-09-10t23:41:07Z", "2002-09-10T23:41:07z", "2002-09-10 23:41:07Z",
	"1969-07-20 21:56:15Z", "1969-7-4T02:56:15.Z", "1969-07-20T21:56:15-0500",
	"2002-13-10T23:41:07Z", "2002-00-10T23:41:07Z", "2002-02-30T23:41:07Z", "1900-02-29T23:41:07Z", "2002-02-00T23:41:07Z", "2002-09-10T25:00:00Z", "2002-09-10T24:00:01Z",
	"2002-09-10T24:00:00.1Z", "2002-09-10T23:60:07Z", "2002-09-10T23:41:61Z",
	"2002-09-10T23:41:07.Z", "2002-09-10T23:41:07.1", "2002-09-10T23:41:07,1Z", "2002-09-10T23:41:07+0100", "2002-09-10T23:41:07+1:00", "2002-09-10T23:41:07+14:01",
	"2002-09-10T23:41:07+15:00", "2002-09-10T23:41:07+01:60", "2002-09-10T23:41Z",
	"2002-09-10T23:41:07ZZ", " 2002-09-10T23:41:07Z", "2002-09-10T23:41:07Z ", "-002-09-10T23:41:07Z", "2002-9-010T23:41:07Z", "+2002-09-10T23:41:07Z", "２００２-09-10T23:41:07Z",
	"2002-09-10T+3:41:07Z", "2002-09-10T23:-1:07Z",
}

func TestDateTime(t *testing.T) {
	for s, want := range dateTimes {
		got, err := datetime.Parse(s)
		if err != nil {
			t.Errorf("Parse(%s): %v", s, err)
			continue
		}
		if text := datetime.Format(got); text != want || got.Location() != time.UTC {
			t.Errorf("Parse(%s) is %s in %v, want %s", s, text, got.Location(), want)
		}
	}
	for _, s := range notDateTimes {
		if got, err := datetime.Parse(s); !errors.Is(err, datetime.ErrFormat) || !got.IsZero() {
			t.Errorf("Parse(%q) = %v, %v, want ErrFormat", s, got, err)
		}
	}
	if got, _ := datetime.Parse("2002-09-10T23:41:07.123456789999Z"); got.Nanosecond() != 123456789 {
		t.Errorf("nine digits of a fraction are %d", got.Nanosecond())
	}
	east := time.FixedZone("", 2*60*60)
	if got, want := datetime.Format(time.Date(2026, 1, 1, 1, 0, 0, 999_999_999, east)), "2025-12-31T23:00:00.999Z"; got != want {
		t.Errorf("Format: got %s, want %s", got, want)
	}
}

func TestDate(t *testing.T) {
	for _, s := range []string{"1776-07-04", "1969-07-21", "2016-02-29", "0000-01-01", "9999-12-31"} {
		got, err := datetime.ParseDate(s)
		if err != nil || datetime.FormatDate(got) != s || !got.Equal(got.Truncate(24*time.Hour)) || got.Location() != time.UTC {
			t.Errorf("ParseDate(%s) = %v, %v", s, got, err)
		}
	}
	for _, s := range []string{
		"", "garbage", "1776-7-4", "1776-07-4", "17760704", "1776-07-04Z", "1776-07-04T00:00:00Z", "1776/07/04", "1776-00-04", "1776-13-04", "1776-07-00",
		"1776-07-32", "1777-02-29", "10000-01-01", "-001-01-01", " 1776-07-04", "1776-07-04 ",
	} {
		if got, err := datetime.ParseDate(s); !errors.Is(err, datetime.ErrFormat) {
			t.Errorf("ParseDate(%q) = %v, %v, want ErrFormat", s, got, err)
		}
	}
	// The date of a person's birthday is that of the location, not that of UTC.
	birthday := time.Date(1974, 1, 15, 0, 0, 0, 0, time.FixedZone("", 5*60*60))
	if got := datetime.FormatDate(birthday); got != "1974-01-15" {
		t.Errorf("FormatDate: %s", got)
	}
	if got := datetime.FormatDate(birthday.UTC()); got != "1974-01-14" {
		t.Errorf("FormatDate in UTC: %s", got)
	}
}

func TestTime(t *testing.T) {
	west := time.FixedZone("", -6*60*60)
	on := time.Date(2006, 12, 19, 20, 0, 0, 0, west) // the 20th in UTC
	for s, want := range map[string]string{
		"16:00:00":             "2006-12-19T22:00:00.000Z", // in the location of "on"
		"16:00:00Z":            "2006-12-20T16:00:00.000Z",
		"16:00:00-06:00":       "2006-12-19T22:00:00.000Z",
		"16:00:00+01:00":       "2006-12-20T15:00:00.000Z",
		"16:00:00.123":         "2006-12-19T22:00:00.123Z",
		"16:00:00.1234567Z":    "2006-12-20T16:00:00.123Z",
		"16:00:00.123-06:00":   "2006-12-19T22:00:00.123Z",
		"23:59:60Z":            "2006-12-20T23:59:59.000Z",
		"24:00:00":             "2006-12-20T06:00:00.000Z",
		"00:00:00.000000-06:0": "",
		"":                     "", "garbage": "", "16-00-00": "", "16:00:00-0600": "", "16:00:00.": "", "16:00.123": "", "16:00": "", "16:00:00.Z": "",
		"4:00:00": "", "16:00:00z": "", "24:00:01": "", "16:60:00": "", "16:00:61": "", " 16:00:00": "", "16:00:00 ": "", "16:00:00+14:01": "", "16:00:00ZZ": "",
	} {
		got, err := datetime.ParseTime(s, on)
		if want == "" {
			if !errors.Is(err, datetime.ErrFormat) {
				t.Errorf("ParseTime(%q) = %v, %v, want ErrFormat", s, got, err)
			}
			continue
		}
		if err != nil || datetime.Format(got) != want {
			t.Errorf("ParseTime(%s) = %v, %v, want %s", s, got, err, want)
		}
	}
	got, err := datetime.ParseTime("16:00:00+01:00", on)
	if _, offset := got.Zone(); err != nil || offset != 60*60 || got.Hour() != 16 {
		t.Errorf("the zone that was read: %v, %v", got, err)
	}
	if s := datetime.FormatTime(got); s != "15:00:00.000Z" {
		t.Errorf("FormatTime: %s", s)
	}
}

func TestOffset(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"Z": 0, "+00:00": 0, "-00:00": 0, "-06:00": -6 * time.Hour, "+05:45": 5*time.Hour + 45*time.Minute, "-03:30": -(3*time.Hour + 30*time.Minute),
		"+14:00": 14 * time.Hour, "-14:00": -14 * time.Hour, "+00:01": time.Minute,
	} {
		got, err := datetime.ParseOffset(s)
		if err != nil || got != want {
			t.Errorf("ParseOffset(%s) = %v, %v, want %v", s, got, err, want)
		}
		text := datetime.FormatOffset(got)
		if want == 0 {
			s = "Z"
		}
		if text != s {
			t.Errorf("FormatOffset(%v) = %s, want %s", got, text, s)
		}
	}
	for _, s := range []string{"", "z", "06:00", "+6:00", "+0600", "+06", "+06:0", "+06:000", "+06:60", "+14:01", "+15:00", "+99:99", "-99:99", "++6:00", "+-6:00", "+06:-1", "−06:00", " Z", "Z "} {
		if got, err := datetime.ParseOffset(s); !errors.Is(err, datetime.ErrFormat) {
			t.Errorf("ParseOffset(%q) = %v, %v, want ErrFormat", s, got, err)
		}
	}
	for d, want := range map[time.Duration]string{
		53*time.Minute + 28*time.Second: "+00:53", -(53*time.Minute + 28*time.Second): "-00:53", 59 * time.Second: "Z", -time.Second: "Z",
		15 * time.Hour: "+14:00", -1 << 63: "-14:00", 1<<63 - 1: "+14:00",
	} {
		if got := datetime.FormatOffset(d); got != want {
			t.Errorf("FormatOffset(%v) = %s, want %s", d, got, want)
		}
	}
}

func TestLegacy(t *testing.T) {
	for s, want := range map[string]string{
		"20020910T23:08:25": "2002-09-10T23:08:25.000Z", // XEP-0091 section 4
		"20061219T17:58:35": "2006-12-19T17:58:35.000Z",
		"20161231T23:59:60": "2016-12-31T23:59:59.000Z",
		"20161231T24:00:00": "2017-01-01T00:00:00.000Z",
	} {
		got, err := datetime.ParseLegacy(s)
		if err != nil || datetime.Format(got) != want || got.Location() != time.UTC {
			t.Errorf("ParseLegacy(%s) = %v, %v, want %s", s, got, err, want)
		}
	}
	for _, s := range []string{
		"", "garbage", "2002-09-10T23:08:25Z", "20020910T23:08:25Z", "20020910T230825", "20020910 23:08:25", "20020931T23:08:25", "20020910T25:08:25",
		"20020910T23:08:25.1", "-0020910T23:08:25", "2002-910T23:08:25",
	} {
		if got, err := datetime.ParseLegacy(s); !errors.Is(err, datetime.ErrFormat) {
			t.Errorf("ParseLegacy(%q) = %v, %v, want ErrFormat", s, got, err)
		}
	}
	if got := datetime.FormatLegacy(time.Date(2002, 9, 10, 23, 8, 25, 999_000_000, time.UTC)); got != "20020910T23:08:25" {
		t.Errorf("FormatLegacy: %s", got)
	}
}

// TestSec_DAT01: a date from others is an error or a time that every consumer can bear; nothing panics (CVE-2013-6477).
func TestSec_DAT01(t *testing.T) {
	read := map[string]func(string) (time.Time, error){
		"Parse": datetime.Parse, "ParseDate": datetime.ParseDate, "ParseLegacy": datetime.ParseLegacy,
		"ParseTime":   func(s string) (time.Time, error) { return datetime.ParseTime(s, time.Now()) },
		"ParseOffset": func(s string) (time.Time, error) { _, err := datetime.ParseOffset(s); return time.Time{}, err },
	}
	refused := []string{
		"10000-01-01T00:00:00Z", "10000-01-01", "100000101T00:00:00", "292277026596-12-04T15:30:08Z", "-0001-01-01T00:00:00Z", "-001-01-01T00:00:00Z", "-001-01-01",
		"9999-12-31T24:00:00Z", "99991231T24:00:00", "9999-12-31T23:59:59-00:01", "9999-12-31T23:59:59-14:00", "0000-01-01T00:00:00+00:01", "0000-01-01T00:00:00+14:00",
		"2002-09-10T23:41:07+99:99", "2002-09-10T23:41:07-99:99", "2002-09-10T23:41:07", "2002-09-10T99:99:99Z", "2002-99-99T00:00:00Z", "+99:99", "99:99:99Z",
		"2002-09-10T23:41:07." + strings.Repeat("9", 40), "23:41:07.", "\x00\x00\x00\x00-\x00\x00-\x00\x00T\x00\x00:\x00\x00:\x00\x00Z", strings.Repeat("9", 1<<16), "2002-09-10T23:41:07." + strings.Repeat("9", 1<<16),
	}
	for name, f := range read {
		for _, s := range refused {
			if got, err := f(s); !errors.Is(err, datetime.ErrFormat) || !got.IsZero() {
				t.Errorf("%s(%.40q) = %v, %v, want ErrFormat", name, s, got, err)
			}
		}
	}
	for s, want := range map[string]string{
		"0000-01-01T00:00:00Z":                                    "0000-01-01T00:00:00.000Z",
		"0000-01-01T14:00:00+14:00":                               "0000-01-01T00:00:00.000Z",
		"9999-12-31T23:59:60Z":                                    "9999-12-31T23:59:59.000Z",
		"9999-12-31T09:59:59-14:00":                               "9999-12-31T23:59:59.000Z",
		"2002-09-10T23:41:07." + strings.Repeat("9", 40) + "Z":    "2002-09-10T23:41:07.999Z",
		"2002-09-10T23:41:07." + strings.Repeat("9", 1<<16) + "Z": "2002-09-10T23:41:07.999Z",
	} {
		got, err := datetime.Parse(s)
		if err != nil || datetime.Format(got) != want {
			t.Errorf("Parse(%.40q) = %v, %v, want %s", s, got, err, want)
			continue
		}
		if _, err := json.Marshal(got); err != nil {
			t.Errorf("%.40q as JSON: %v", s, err)
		}
	}
	// A time of day cannot lead out of the years either, nor can what is written.
	for s, on := range map[string]time.Time{"24:00:00Z": time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC), "00:00:00+14:00": time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC), "16:00:00": time.Unix(1<<55, 0)} {
		if got, err := datetime.ParseTime(s, on); !errors.Is(err, datetime.ErrFormat) {
			t.Errorf("ParseTime(%s) on %v = %v, %v", s, on, got, err)
		}
	}
	for _, at := range []time.Time{{}, time.Unix(1<<55, 0), time.Unix(-1<<55, 0), time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 0, 0, 0, time.FixedZone("", -2*60*60))} {
		if s := datetime.Format(at); len(s) != len("2006-01-02T15:04:05.000Z") {
			t.Errorf("Format(%v) = %s", at, s)
		} else if _, err := datetime.Parse(s); err != nil {
			t.Errorf("Format(%v) = %s, which Parse refuses", at, s)
		}
		if s := datetime.FormatDate(at); len(s) != len("2006-01-02") {
			t.Errorf("FormatDate(%v) = %s", at, s)
		}
		if s := datetime.FormatLegacy(at); len(s) != len("20060102T15:04:05") {
			t.Errorf("FormatLegacy(%v) = %s", at, s)
		}
		if _, err := datetime.ParseTime(datetime.FormatTime(at), time.Now()); err != nil {
			t.Errorf("FormatTime(%v) = %s", at, datetime.FormatTime(at))
		}
	}
}

func FuzzDateTime(f *testing.F) {
	for _, s := range []string{"1969-07-21T02:56:15Z", "2002-09-10T23:41:07.123-06:30", "2016-12-31T23:59:60.5Z", "9999-12-31T24:00:00Z", "20020910T23:08:25", "16:00:00.1Z", "2002-09-10", "+05:45", "x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := datetime.ParseOffset(s); err == nil {
			if again, err := datetime.ParseOffset(datetime.FormatOffset(d)); err != nil || again != d {
				t.Errorf("the offset %q is %v, written and read again %v, %v", s, d, again, err)
			}
		}
		if d, err := datetime.ParseDate(s); err == nil && datetime.FormatDate(d) != s {
			t.Errorf("the date %q is %v", s, d)
		}
		if got, err := datetime.ParseTime(s, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)); err == nil && (got.Year() < 2025 || got.Year() > 2026) {
			t.Errorf("the time %q is %v", s, got)
		}
		if got, err := datetime.ParseLegacy(s); err == nil {
			if again, err := datetime.ParseLegacy(datetime.FormatLegacy(got)); err != nil || !again.Equal(got) {
				t.Errorf("the old %q is %v, written and read again %v, %v", s, got, again, err)
			}
		}
		got, err := datetime.Parse(s)
		if err != nil {
			return
		}
		again, err := datetime.Parse(datetime.Format(got))
		if err != nil || !again.Equal(got.Truncate(time.Millisecond)) {
			t.Errorf("%q is %v, written and read again %v, %v", s, got, again, err)
		}
		if _, err := got.MarshalJSON(); err != nil {
			t.Errorf("%q: %v", s, err)
		}
		// What both know, the standard library reads as the same time.
		if std, err := time.Parse(time.RFC3339Nano, s); err == nil && !std.Equal(got) {
			t.Errorf("%q is %v, for the standard library %v", s, got, std)
		}
	})
}
