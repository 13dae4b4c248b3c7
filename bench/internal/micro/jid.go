package micro

import (
	"cmp"
	"errors"

	"github.com/go-xmppframework/xmpp/jid"
	mjid "mellium.im/xmpp/jid"
)

// Address is an input of the address measurement.
type Address struct{ Name, Text string }

// Addresses are the inputs: what nearly every address looks like, a long one, and one that needs the profiles' tables.
var Addresses = []Address{
	{"bare, ASCII", "romeo@example.com"},
	{"full, 52 ASCII characters", "mercutio.of.verona@chat.example.com/desktop.client-7"},
	{"Cyrillic local part", "ромео@example.com"},
}

var errEmpty = errors.New("empty")

// JIDs lists, for each address, parsing with this library and with mellium.im/xmpp, then String of both.
func JIDs() []Candidate {
	var list []Candidate
	for _, a := range Addresses {
		list = append(list,
			Candidate{Name: "ours: parse " + a.Name, Module: "this library", Run: func() error {
				for range batch {
					if j, err := jid.Parse(a.Text); err != nil || j.IsZero() {
						return cmp.Or(err, errEmpty)
					}
				}
				return nil
			}},
			Candidate{Name: "mellium: parse " + a.Name, Module: "mellium.im/xmpp v0.23.0", Run: func() error {
				for range batch {
					if j, err := mjid.Parse(a.Text); err != nil || j.Domainpart() == "" {
						return cmp.Or(err, errEmpty)
					}
				}
				return nil
			}})
	}
	j, m := jid.MustParse(Addresses[1].Text), mjid.MustParse(Addresses[1].Text)
	list = append(list,
		Candidate{Name: "ours: String", Module: "this library", Run: func() error {
			for range batch {
				if j.String() == "" {
					return errEmpty
				}
			}
			return nil
		}},
		Candidate{Name: "mellium: String", Module: "mellium.im/xmpp v0.23.0", Run: func() error {
			for range batch {
				if m.String() == "" {
					return errEmpty
				}
			}
			return nil
		}})
	for i := range list {
		list[i].Ops = batch
	}
	return list
}

// batch is the number of operations in one Run of what takes only nanoseconds.
const batch = 1000
