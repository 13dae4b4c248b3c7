package pep

import (
	"strconv"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/stanza"
)

// NSTune is the namespace of XEP-0118.
const NSTune = "http://jabber.org/protocol/tune"

// Tune is what somebody hears. The zero value says that it has stopped.
type Tune struct {
	Artist string
	Title  string
	// Length is how long it lasts, in whole seconds. If zero, it is not said.
	Length time.Duration
	// Rating is what they think of it, from 1 to 10. If zero, it is not said.
	Rating int
	// Source is the collection, such as an album.
	Source string
	// Track is its number or name in the collection.
	Track string
	// URI is where it can be heard or read about. It is never fetched.
	URI string
}

// Tunes is the node of tunes.
func Tunes() Node[Tune] {
	return node("tune", NSTune, func(b *stanza.Builder, t Tune) error {
		text(b, "artist", t.Artist)
		if s := int(t.Length / time.Second); s > 0 {
			text(b, "length", strconv.Itoa(min(s, maxLength)))
		}
		if t.Rating > 0 {
			text(b, "rating", strconv.Itoa(min(t.Rating, 10)))
		}
		text(b, "source", t.Source)
		text(b, "title", t.Title)
		text(b, "track", t.Track)
		text(b, "uri", t.URI)
		return nil
	}, func(e *etree.Element) Tune {
		t := Tune{Artist: textIn(e, "artist"), Title: textIn(e, "title"), Source: textIn(e, "source"), Track: textIn(e, "track"), URI: textIn(e, "uri")}
		if n, err := strconv.Atoi(textIn(e, "length")); err == nil && n > 0 && n <= maxLength {
			t.Length = time.Duration(n) * time.Second
		}
		if n, err := strconv.Atoi(textIn(e, "rating")); err == nil && n >= 1 && n <= 10 {
			t.Rating = n
		}
		return t
	})
}

// maxLength is the greatest length, in seconds: that of an xs:unsignedShort.
const maxLength = 65535
