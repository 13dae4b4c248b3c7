package pep

import (
	"errors"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/datetime"
)

// NSLocation is the namespace of XEP-0080.
const NSLocation = "http://jabber.org/protocol/geoloc"

// Location is where somebody is. Its numbers are nil, its texts empty where it is not said. The zero value says nothing, and takes back what was said before.
type Location struct {
	Lat *float64 // degrees north, from -90 to 90
	Lon *float64 // degrees east, from -180 to 180

	Accuracy    *float64 // metres, of Lat and Lon
	Alt         *float64 // metres above or below sea level
	AltAccuracy *float64 // metres
	Bearing     *float64 // degrees from true north, clockwise
	Speed       *float64 // metres a second

	Timestamp time.Time // when it was measured. If zero, it is not said
	TZO       string    // the offset from UTC there, such as -07:00

	Area, Building, Country, CountryCode, Datum, Description, Floor, Locality, PostalCode, Region, Room, Street, Text, URI string
}

// texts are the elements that hold text.
func (l *Location) texts() []struct {
	name  string
	value *string
} {
	return []struct {
		name  string
		value *string
	}{
		{"area", &l.Area}, {"building", &l.Building}, {"country", &l.Country}, {"countrycode", &l.CountryCode}, {"datum", &l.Datum}, {"description", &l.Description},
		{"floor", &l.Floor}, {"locality", &l.Locality}, {"postalcode", &l.PostalCode}, {"region", &l.Region}, {"room", &l.Room}, {"street", &l.Street}, {"text", &l.Text},
		{"tzo", &l.TZO}, {"uri", &l.URI},
	}
}

// numbers are the elements that hold numbers, and what these may be.
func (l *Location) numbers() []struct {
	name        string
	value       **float64
	least, most float64
} {
	return []struct {
		name        string
		value       **float64
		least, most float64
	}{
		{"accuracy", &l.Accuracy, 0, 1e9}, {"alt", &l.Alt, -1e9, 1e9}, {"altaccuracy", &l.AltAccuracy, 0, 1e9}, {"bearing", &l.Bearing, -360, 360},
		{"lat", &l.Lat, -90, 90}, {"lon", &l.Lon, -180, 180}, {"speed", &l.Speed, 0, 1e9},
	}
}

// Locations is the node of places.
func Locations() Node[Location] {
	return node("geoloc", NSLocation, func(b *stanza.Builder, l Location) error {
		var errs []error
		for _, n := range l.numbers() {
			if v := *n.value; v != nil && (*v < n.least || *v > n.most) {
				errs = append(errs, errors.New("pep: "+n.name+" is out of range"))
			}
			errs = append(errs, number(b, n.name, *n.value))
		}
		for _, t := range l.texts() {
			text(b, t.name, *t.value)
		}
		if !l.Timestamp.IsZero() {
			text(b, "timestamp", datetime.Format(l.Timestamp))
		}
		return errors.Join(errs...)
	}, func(e *etree.Element) (l Location) {
		for _, n := range l.numbers() {
			*n.value = numberIn(e, n.name, n.least, n.most)
		}
		for _, t := range l.texts() {
			*t.value = textIn(e, t.name)
		}
		l.Timestamp = timeIn(e, "timestamp")
		return l
	})
}
