package muc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/disco"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/sid"
)

// formRoomInfo is the FORM_TYPE of what a room says about itself (section 15.5.4).
const formRoomInfo = NS + "#roominfo"

// Info is what a room says about itself (XEP-0045 section 6.4): a snapshot that nobody changes.
type Info struct {
	*disco.Info
	Name        string
	Description string
	Subject     string
	Lang        string
	Occupants   int // how many there are; -1 if it does not say
	MaxHistory  int // how many messages of history it gives at most; -1 if it does not say
	Password    bool
	Hidden      bool
	Persistent  bool // it stays when the last occupant leaves
	MembersOnly bool
	Moderated   bool // newcomers have no voice
	Anonymous   bool // only moderators see real addresses; otherwise all do
	StableIDs   bool // messages come back with the id that they were sent with
	StanzaIDs   bool // it gives messages ids of its own (XEP-0359)
	OccupantIDs bool // it gives occupants ids (XEP-0421)
	Archive     bool // it has an archive (XEP-0313)
	Moderation  bool // moderators can take messages back (XEP-0425)
	Hats        bool // it gives occupants hats (XEP-0317)
	Register    bool // it says that one can register with it (section 7.10); some can and do not say so
	VoiceForm   bool // it says that one can ask for a voice (section 7.13)
	VCard       bool // it has a vCard, and so perhaps a picture (XEP-0486)
	// AvatarHashes are those of its pictures, the first is the usual one; nil if it does not say, or there is none.
	AvatarHashes []string
}

// RoomInfo asks a room what it is, which need not be one that is joined. The error is that of [xmpp.Stream.SendIQ], a [*stanza.Error] matching
// stanza.ItemNotFound if there is no such room; or [disco.ErrMalformed] or [disco.ErrTooBig].
func (m *MUC) RoomInfo(ctx context.Context, room xmpp.JID) (*Info, error) {
	s, err := m.Active()
	if err != nil {
		return nil, err
	}
	iq, err := s.SendIQ(ctx, stanza.NewIQ(stanza.Get, room.Bare(), stanza.New("query", disco.NSInfo)))
	if err != nil {
		return nil, err
	}
	info, err := disco.ParseInfo(iq.Payload())
	if err != nil {
		return nil, fmt.Errorf("%w: %v", err, room)
	}
	return infoOf(info), nil
}

func infoOf(i *disco.Info) *Info {
	out := &Info{Info: i, Occupants: -1, MaxHistory: -1}
	if id, ok := i.Identity("conference", ""); ok {
		out.Name = id.Name
	}
	out.Password, out.Hidden, out.Persistent = i.Has("muc_passwordprotected"), i.Has("muc_hidden"), i.Has("muc_persistent")
	out.MembersOnly, out.Moderated, out.Anonymous = i.Has("muc_membersonly"), i.Has("muc_moderated"), !i.Has("muc_nonanonymous")
	out.StableIDs, out.StanzaIDs, out.OccupantIDs = i.Has(NS+"#stable_id"), i.Has(sid.NS), i.Has(NSOccupantID)
	out.Archive = i.Has("urn:xmpp:mam:2")
	out.Moderation, out.Hats = i.Has(NSModerate) || i.Has(NSModerateOld), i.Has(NSHats)
	out.Register, out.VoiceForm, out.VCard = i.Has(nsRegister), i.Has(formRequest), i.Has(nsVCard)
	if f := i.Form(formRoomInfo); f != nil {
		for _, name := range []string{"muc#roominfo_avatarhash", "{http://modules.prosody.im/mod_vcard_muc}avatar#sha1"} { // XEP-0486; Prosody before 13
			for _, v := range f.Values(name) {
				if hash := parseHash(v); hash != "" && len(out.AvatarHashes) < 16 && !slices.Contains(out.AvatarHashes, hash) {
					out.AvatarHashes = append(out.AvatarHashes, hash)
				}
			}
		}
		out.Description, out.Subject, out.Lang = f.Value("muc#roominfo_description"), f.Value("muc#roominfo_subject"), f.Value("muc#roominfo_lang")
		number := func(name string, into *int) {
			if n, err := strconv.ParseUint(strings.TrimSpace(f.Value(name)), 10, 31); err == nil {
				*into = int(n)
			}
		}
		number("muc#roominfo_occupants", &out.Occupants)
		number("muc#maxhistoryfetch", &out.MaxHistory)
	}
	return out
}

// IsRoom reports whether it is a room, and not a service or anything else.
func (i *Info) IsRoom() bool {
	if i == nil {
		return false
	}
	_, ok := i.Identity("conference", "")
	return ok && i.Has(NS)
}

// Services asks the own server for its services, and those what they are; it returns the addresses of those that have rooms (section 6.1).
// At most 20 are asked. An error is that of the first question.
func (m *MUC) Services(ctx context.Context) ([]xmpp.JID, error) {
	s, err := m.Active()
	if err != nil {
		return nil, err
	}
	items, err := m.RoomsOf(ctx, s.MyJID().DomainJID())
	if err != nil {
		return nil, err
	}
	var out []xmpp.JID
	for i, it := range items {
		if i == 20 {
			break
		}
		if it.Node != "" {
			continue
		}
		info, err := m.RoomInfo(ctx, it.JID)
		if err != nil {
			if se := (*stanza.Error)(nil); errors.As(err, &se) || errors.Is(err, disco.ErrMalformed) || errors.Is(err, disco.ErrTooBig) {
				continue
			}
			return out, err
		}
		if info.IsRoom() {
			out = append(out, it.JID)
		}
	}
	return out, nil
}

// RoomsOf asks a service for its public rooms (section 6.3). Its error is as that of [MUC.RoomInfo].
func (m *MUC) RoomsOf(ctx context.Context, service xmpp.JID) ([]disco.Item, error) {
	s, err := m.Active()
	if err != nil {
		return nil, err
	}
	iq, err := s.SendIQ(ctx, stanza.NewIQ(stanza.Get, service, stanza.New("query", disco.NSItems)))
	if err != nil {
		return nil, err
	}
	return disco.ParseItems(iq.Payload())
}

// ReservedNick asks a room for the nickname that one has registered there, "" if there is none (section 7.12).
// The error is that of [xmpp.Stream.SendIQ]; a room that knows no registration need not say so.
func (m *MUC) ReservedNick(ctx context.Context, room xmpp.JID) (string, error) {
	s, err := m.Active()
	if err != nil {
		return "", err
	}
	iq, err := s.SendIQ(ctx, stanza.NewIQ(stanza.Get, room.Bare(), stanza.New("query", disco.NSInfo).A("node", "x-roomuser-item")))
	if err != nil {
		return "", err
	}
	info, err := disco.ParseInfo(iq.Payload())
	if err != nil {
		return "", err
	}
	if id, ok := info.Identity("conference", "text"); ok {
		return id.Name, nil
	}
	return "", nil
}
