package datetime_test

import (
	"fmt"
	"time"

	"github.com/go-xmppframework/xmpp/stanza/datetime"
)

// When something happened, as it stands in a delay stamp.
func ExampleParse() {
	t, err := datetime.Parse("1969-07-20T21:56:15-05:00")
	fmt.Println(t, err)
	_, err = datetime.Parse("1969-07-20 21:56:15")
	fmt.Println(err)
	// Output:
	// 1969-07-21 02:56:15 +0000 UTC <nil>
	// datetime: not a date or time of XEP-0082
}

func ExampleFormat() {
	fmt.Println(datetime.Format(time.Date(1969, 7, 21, 2, 56, 15, 0, time.UTC)))
	// Output: 1969-07-21T02:56:15.000Z
}

// A time of day without a zone is a local one, where "on" is local.
func ExampleParseTime() {
	zone, _ := datetime.ParseOffset("-06:00")
	today := time.Date(2026, 5, 4, 9, 0, 0, 0, time.FixedZone("", int(zone/time.Second)))
	t, err := datetime.ParseTime("16:00:00", today)
	fmt.Println(datetime.Format(t), err)
	// Output: 2026-05-04T22:00:00.000Z <nil>
}
