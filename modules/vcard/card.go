package vcard

import (
	"errors"
	"math"
	"slices"
	"strings"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// Card is a vCard of XEP-0054. It is plain data: change the fields, append to the lists, cut from them, set them to nil.
//
// What is written of it is what is set: empty strings, nil and empty lists leave nothing. What was read and has no place in the fields
// is in Extra, here and in the parts, and is written again: elements of other namespaces, unknown ones, and the second and later
// of those that have one place here. So a card that was read, changed and sent loses nothing of what others have put there,
// but for their order, for attributes of known elements, and for unknown elements inside those that hold one text.
//
// The elements in Extra are not to be changed; [Card.Copy] copies all else.
type Card struct {
	// Version is that of the format; cards of this one mostly have none, or "3.0" (VERSION, or the attribute version when read).
	Version string
	// FormattedName is the whole name, as it is shown (FN).
	FormattedName string
	// Name is the name in its parts (N).
	Name Name
	// Nickname (NICKNAME).
	Nickname string
	// Photo is a picture of the person, nil if there is none (PHOTO). See [Media.Err] for one that could not be read.
	Photo *Media
	// Birthday is the text of a date (BDAY): see [Card.BirthdayDate] and [Date.String].
	Birthday string
	// Addresses are postal addresses (ADR).
	Addresses []Address
	// Labels are addresses as they are written on an envelope (LABEL).
	Labels []Label
	// Phones are telephone numbers (TEL).
	Phones []Phone
	// Emails are mail addresses (EMAIL).
	Emails []Email
	// JabberID is an address of XMPP as its owner has written it (JABBERID). Nothing proves that it is theirs. See [Card.JID].
	JabberID string
	// Mailer is the mail program used (MAILER).
	Mailer string
	// TimeZone is an offset such as "-07:00", or a name (TZ).
	TimeZone string
	// Location is where the person is to be found, nil if that is not said (GEO).
	Location *Location
	// Title is the name of the post (TITLE).
	Title string
	// Role is what the person does (ROLE).
	Role string
	// Logo is the picture of the organization (LOGO).
	Logo *Media
	// Agent is who acts for the person (AGENT).
	Agent *Agent
	// Organization (ORG).
	Organization Organization
	// Categories are keywords (CATEGORIES).
	Categories []string
	// Note is a remark (NOTE).
	Note string
	// ProductID is the program that has made the card (PRODID).
	ProductID string
	// Revision is when the card was changed (REV): see [Card.RevisionTime] and [Card.SetRevision].
	Revision string
	// SortString is what to sort by (SORT-STRING).
	SortString string
	// Sound is how the name is spoken, or some other sound (SOUND).
	Sound *Sound
	// UID is a name of the card that is unique (UID).
	UID string
	// URL is a page of the person (URL). It is never to be opened without being asked.
	URL string
	// Class says who may see the card, empty if that is not said (CLASS).
	Class Class
	// Key is a public key or a certificate (KEY).
	Key *Key
	// Description is a text about the person (DESC).
	Description string
	// Extra are the elements that have no place above. Read-only.
	Extra []*etree.Element
	// Truncated tells that the card was larger than [Limits] allow, and something of it was left out.
	// Such a card must not be sent as the own one.
	Truncated bool
}

// Name is a name in its parts (N).
type Name struct {
	Family, Given, Middle, Prefix, Suffix string
	Extra                                 []*etree.Element // unknown elements, read-only
}

// Address is a postal address (ADR).
type Address struct {
	// Flags that the specification has for it: Home, Work, Postal, Parcel, Domestic or International, Preferred.
	Flags      Flags
	POBox      string           // POBOX
	Extended   string           // apartment or suite, EXTADD
	Street     string           // STREET
	Locality   string           // city, LOCALITY
	Region     string           // state or province, REGION
	PostalCode string           // PCODE
	Country    string           // CTRY; COUNTRY is read as well
	Extra      []*etree.Element // unknown elements, read-only
}

// Label is an address as it is written on an envelope (LABEL).
type Label struct {
	Flags Flags            // as for an Address
	Lines []string         // LINE
	Extra []*etree.Element // unknown elements, read-only
}

// Phone is a telephone number (TEL).
type Phone struct {
	// Flags that the specification has for it: Home, Work, Voice, Fax, Pager, Messages, Cell, Video, BBS, Modem, ISDN, PCS, Preferred.
	Flags Flags
	// Number, NUMBER. Without one the phone is not written: there are servers that refuse the whole card for it.
	Number string
	Extra  []*etree.Element // unknown elements, read-only
}

// Email is a mail address (EMAIL).
type Email struct {
	Flags  Flags            // that the specification has for it: Home, Work, Internet, Preferred, X400
	UserID string           // the address, USERID
	Extra  []*etree.Element // unknown elements, read-only
}

// Location is a place on earth, in degrees (GEO).
type Location struct {
	Latitude, Longitude float64
	Extra               []*etree.Element // unknown elements, read-only
}

// Organization is a company or the like, and the parts of it (ORG).
type Organization struct {
	Name  string           // ORGNAME
	Units []string         // from the largest to the smallest, ORGUNIT
	Extra []*etree.Element // unknown elements, read-only
}

// Agent is who acts for a person (AGENT).
type Agent struct {
	Card  *Card            // the card of that one, nil if there is none; it has no agent itself
	URI   string           // where to find it, EXTVAL
	Extra []*etree.Element // unknown elements, read-only
}

// Sound is a sound, or how a name is pronounced (SOUND). The specification has no place for its media type; it is written all the same.
type Sound struct {
	Media
	Phonetic string // PHONETIC
}

// Key is a public key or a certificate (KEY).
type Key struct {
	Type       string           // TYPE
	Credential string           // text, CRED
	Extra      []*etree.Element // unknown elements, read-only
}

// Class says who may see a card (CLASS). Nobody enforces it.
type Class string

// The classes.
const (
	Public       Class = "PUBLIC"
	Private      Class = "PRIVATE"
	Confidential Class = "CONFIDENTIAL"
)

// Limits bound what is read of the card of somebody else. What goes beyond is left out, and [Card.Truncated] says so;
// the rest is kept.
type Limits struct {
	// Media is the greatest number of bytes of a photo, logo or sound; it is checked before the base64 is decoded.
	// If zero, 256 KiB. If negative, none are read.
	Media int
	// Text is the greatest number of bytes of all else together. If zero, 64 KiB.
	Text int
	// Entries is the greatest number of properties. If zero, 500.
	Entries int
}

func (l Limits) withDefaults() Limits {
	set := func(n *int, def int) {
		if *n == 0 {
			*n = def
		}
	}
	set(&l.Media, 256<<10)
	set(&l.Text, 64<<10)
	set(&l.Entries, 500)
	return l
}

// IsEmpty reports whether nothing is set: an account without a vCard often has such a one. Version does not count.
// It is true for nil.
func (c *Card) IsEmpty() bool {
	if c == nil {
		return true
	}
	if c.Truncated || c.Photo != nil || c.Logo != nil || c.Sound != nil {
		return false
	}
	d := *c
	d.Version = ""
	return len(d.Element().ChildElements()) == 0
}

// PhotoHash is the hash of the photo, as [Media.Hash]: what XEP-0153 tells in presence. It is empty without photo bytes.
func (c *Card) PhotoHash() string {
	if c == nil {
		return ""
	}
	return c.Photo.Hash()
}

// JID is JabberID as an address; an error if it is none.
func (c *Card) JID() (xmpp.JID, error) { return xmpp.ParseJID(strings.TrimSpace(c.JabberID)) }

// Copy returns a card that shares nothing with c but the elements in Extra. It is nil for nil.
func (c *Card) Copy() *Card {
	if c == nil {
		return nil
	}
	d := *c
	d.Name.Extra = slices.Clone(c.Name.Extra)
	d.Photo, d.Logo = c.Photo.Copy(), c.Logo.Copy()
	d.Addresses, d.Labels = slices.Clone(c.Addresses), slices.Clone(c.Labels)
	for i := range d.Addresses {
		d.Addresses[i].Extra = slices.Clone(d.Addresses[i].Extra)
	}
	for i := range d.Labels {
		l := &d.Labels[i]
		l.Lines, l.Extra = slices.Clone(l.Lines), slices.Clone(l.Extra)
	}
	d.Phones, d.Emails = slices.Clone(c.Phones), slices.Clone(c.Emails)
	for i := range d.Phones {
		d.Phones[i].Extra = slices.Clone(d.Phones[i].Extra)
	}
	for i := range d.Emails {
		d.Emails[i].Extra = slices.Clone(d.Emails[i].Extra)
	}
	if c.Location != nil {
		l := *c.Location
		l.Extra = slices.Clone(l.Extra)
		d.Location = &l
	}
	if c.Agent != nil {
		a := *c.Agent
		a.Card, a.Extra = a.Card.Copy(), slices.Clone(a.Extra)
		d.Agent = &a
	}
	d.Organization.Units, d.Organization.Extra = slices.Clone(c.Organization.Units), slices.Clone(c.Organization.Extra)
	d.Categories = slices.Clone(c.Categories)
	if c.Sound != nil {
		d.Sound = &Sound{Media: *c.Sound.Media.Copy(), Phonetic: c.Sound.Phonetic}
	}
	if c.Key != nil {
		k := *c.Key
		k.Extra = slices.Clone(k.Extra)
		d.Key = &k
	}
	d.Extra = slices.Clone(c.Extra)
	return &d
}

// MarshalText writes the card as XML, for storages and archives.
func (c *Card) MarshalText() ([]byte, error) { return []byte(stanza.Compact(c.Element())), nil }

// UnmarshalText reads what MarshalText has written, without limits: it is not for text from the network.
func (c *Card) UnmarshalText(text []byte) error {
	e, err := stanza.ParseElement(string(text))
	if err != nil {
		return err
	}
	d, err := decode(e, Limits{Media: math.MaxInt}, true)
	if err != nil {
		return err
	}
	*c = *d
	return nil
}

// errNotCard is what Decode returns for another element.
var errNotCard = errors.New("vcard: not a vCard")
