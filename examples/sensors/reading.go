package main

import (
	"errors"
	"math"
	"strings"
	"time"
	"unicode"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/modules/pubsub"
	"github.com/go-xmppframework/xmpp/stanza/form"
)

// ns names what a reading is written in: a data form with that FORM_TYPE.
const ns = "urn:example:sensors"

// Reading is what a sensor measures.
type Reading struct {
	Sensor  string    `form:"sensor"`
	At      time.Time `form:"at"`
	Celsius float64   `form:"celsius"`
}

// id is the name of the reading's item: one that is published twice is there once.
func (r Reading) id() string { return r.Sensor + " " + r.At.UTC().Format(time.RFC3339Nano) }

// readings is a node that holds readings.
func readings(node string) pubsub.Typed[Reading] {
	return pubsub.Typed[Reading]{Node: node, Encode: encode, Decode: decode}
}

func encode(r Reading) (*etree.Element, error) {
	f, err := form.Marshal(form.TypeResult, ns, r)
	if err != nil {
		return nil, err
	}
	return f.Element(), nil
}

// decode reads what anybody may have published: nothing that spoils a plot, or a terminal, gets through.
func decode(e *etree.Element) (r Reading, err error) {
	f, err := form.Parse(e)
	if err != nil {
		return r, err
	}
	if err := form.Unmarshal(f, &r); err != nil {
		return r, err
	}
	switch {
	case f.FormType() != ns, r.At.IsZero(), math.IsNaN(r.Celsius), math.Abs(r.Celsius) > 1000:
		return r, errors.New("not a reading")
	case r.Sensor == "", len(r.Sensor) > 40, strings.ContainsFunc(r.Sensor, func(c rune) bool { return !unicode.IsPrint(c) }):
		return r, errors.New("not the name of a sensor")
	}
	return r, nil
}
