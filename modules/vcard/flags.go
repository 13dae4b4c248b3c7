package vcard

import (
	"math/bits"
	"strings"
)

// Flags say what an address, a label, a telephone number or a mail address is for. Which of them the specification has
// for what is said there; any of them is read and written everywhere, as an empty element of the name given here.
type Flags uint32

// The flags of XEP-0054.
const (
	Home          Flags = 1 << iota // HOME
	Work                            // WORK
	Postal                          // POSTAL: letters
	Parcel                          // PARCEL: parcels
	Domestic                        // DOM: in the own country
	International                   // INTL: from abroad
	Preferred                       // PREF: the one to use first
	Voice                           // VOICE
	Fax                             // FAX
	Pager                           // PAGER
	Messages                        // MSG: voice messages
	Cell                            // CELL: mobile
	Video                           // VIDEO
	BBS                             // BBS: bulletin board
	Modem                           // MODEM
	ISDN                            // ISDN
	PCS                             // PCS: personal communications service
	Internet                        // INTERNET
	X400                            // X400
)

var flagNames = [...]string{
	"HOME", "WORK", "POSTAL", "PARCEL", "DOM", "INTL", "PREF", "VOICE", "FAX", "PAGER", "MSG", "CELL", "VIDEO", "BBS", "MODEM", "ISDN", "PCS",
	"INTERNET", "X400",
}

// Has reports whether all flags of g are set.
func (f Flags) Has(g Flags) bool { return f&g == g }

// String lists the names of the elements: "HOME VOICE".
func (f Flags) String() string { return strings.Join(f.names(), " ") }

func (f Flags) names() []string {
	var names []string
	for f &= 1<<len(flagNames) - 1; f != 0; f &= f - 1 {
		names = append(names, flagNames[bits.TrailingZeros32(uint32(f))])
	}
	return names
}

// flagNamed is the flag of an element, 0 if it is none.
func flagNamed(name string) Flags {
	for i, n := range flagNames {
		if n == name {
			return 1 << i
		}
	}
	return 0
}
