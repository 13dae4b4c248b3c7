package stanza_test

import (
	"errors"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp/stanza"
)

func TestTime(t *testing.T) {
	for s, want := range map[string]string{
		"1969-07-21T02:56:15Z":                "1969-07-21T02:56:15.000Z",
		"1969-07-20T21:56:15-05:00":           "1969-07-21T02:56:15.000Z",
		"2002-09-10T23:41:07.1+14:00":         "2002-09-10T09:41:07.100Z",
		"2002-09-10T23:41:07.123456789012Z":   "2002-09-10T23:41:07.123Z",
		"2016-12-31T23:59:60Z":                "2016-12-31T23:59:59.000Z",
		"2016-12-31T23:59:60.9Z":              "2016-12-31T23:59:59.000Z",
		"2016-12-31T24:00:00Z":                "2017-01-01T00:00:00.000Z",
		"2016-02-29T00:00:00.000Z":            "2016-02-29T00:00:00.000Z",
		"0000-01-01T00:00:00Z":                "0000-01-01T00:00:00.000Z",
		"9999-12-31T23:59:59.999-00:00":       "9999-12-31T23:59:59.999Z",
		"2016-12-31T23:59:59.00000000000001Z": "2016-12-31T23:59:59.000Z",
	} {
		got, err := stanza.ParseTime(s)
		if err != nil {
			t.Errorf("ParseTime(%s): %v", s, err)
			continue
		}
		equal(t, "ParseTime "+s, stanza.FormatTime(got), want)
		equal(t, "location", got.Location(), time.UTC)
	}
	for _, s := range []string{
		"", "2002-09-10", "2002-09-10T23:41:07", "20020910T23:41:07", "2002-09-10t23:41:07Z", "2002-09-10T23:41:07z", "2002-09-10 23:41:07Z",
		"2002-13-10T23:41:07Z", "2002-00-10T23:41:07Z", "2002-02-30T23:41:07Z", "2002-02-00T23:41:07Z", "2002-09-10T25:00:00Z", "2002-09-10T24:00:01Z", "2002-09-10T23:60:07Z", "2002-09-10T23:41:61Z",
		"2002-09-10T23:41:07.Z", "2002-09-10T23:41:07.1", "2002-09-10T23:41:07+0100", "2002-09-10T23:41:07+1:00", "2002-09-10T23:41:07+15:00", "2002-09-10T23:41:07+01:60",
		"2002-09-10T23:41:07ZZ", " 2002-09-10T23:41:07Z", "-002-09-10T23:41:07Z", "2002-9-010T23:41:07Z", "+2002-09-10T23:41:07Z", "２００２-09-10T23:41:07Z",
	} {
		if got, err := stanza.ParseTime(s); !errors.Is(err, stanza.ErrTime) {
			t.Errorf("ParseTime(%q) = %v, %v, want ErrTime", s, got, err)
		}
	}
}

func FuzzTime(f *testing.F) {
	for _, s := range []string{"1969-07-21T02:56:15Z", "2002-09-10T23:41:07.123-06:30", "2016-12-31T23:59:60.5Z", "2016-12-31T24:00:00Z", "x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := stanza.ParseTime(s)
		if err != nil {
			return
		}
		again, err := stanza.ParseTime(stanza.FormatTime(got))
		if y := got.Year(); y < 0 || y > 9999 {
			return // the offset has led out of four digits
		}
		if err != nil || !again.Equal(got.Truncate(time.Millisecond)) {
			t.Errorf("%q is %v, written and read again %v, %v", s, got, again, err)
		}
		// What both know, the standard library reads as the same time.
		if std, err := time.Parse(time.RFC3339Nano, s); err == nil && !std.Equal(got) {
			t.Errorf("%q is %v, for the standard library %v", s, got, std)
		}
	})
}
