package micro

import (
	"bytes"
	"encoding/xml"
	"io"
	"reflect"
	"unsafe"

	goxmpp "github.com/xmppo/go-xmpp"
)

// The library has neither a decoder nor an encoder of its own to call.
// Its client is therefore given its decoder and its writer directly, which a connection would give it.

func decodeXmppo(stream []byte) error {
	c := &goxmpp.Client{Options: &goxmpp.Options{}}
	d := xml.NewDecoder(bytes.NewReader(stream))
	if _, err := d.Token(); err != nil { // the XML declaration
		return err
	}
	if _, err := d.Token(); err != nil { // the stream's start
		return err
	}
	set(c, "p", d)
	for n := 0; ; n++ {
		if _, err := c.Recv(); isEOF(err) {
			return count(n)
		} else if err != nil {
			return err
		}
	}
}

func set(c *goxmpp.Client, field string, value any) {
	f := reflect.ValueOf(c).Elem().FieldByName(field)
	reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem().Set(reflect.ValueOf(value))
}

func encodeXmppo(w io.Writer) func(m Message) error {
	c := &goxmpp.Client{Options: &goxmpp.Options{}}
	set(c, "stanzaWriter", w)
	return func(m Message) error {
		_, err := c.Send(goxmpp.Chat{Remote: m.To, Type: "chat", Text: m.Body})
		return err
	}
}
