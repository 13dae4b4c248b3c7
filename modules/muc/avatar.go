package muc

import (
	"context"
	"crypto/sha1" // XEP-0153 has no other
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

const (
	nsVCard       = "vcard-temp"          // XEP-0054
	nsVCardUpdate = "vcard-temp:x:update" // XEP-0153
)

// ErrNoAvatar is returned for a room that has no picture.
var ErrNoAvatar = errors.New("muc: the room has no avatar")

// Avatar is the picture of a room (XEP-0486): a value of its own.
type Avatar struct {
	Data []byte
	Type string // of the data, such as image/png: by its first bytes, or else as the room says; may be empty
	Hash string // SHA-1, in lower-case hexadecimal: what the room announces
}

// AvatarDelegate hears of pictures of rooms.
type AvatarDelegate interface {
	// RoomDidChangeAvatar is called when a room that is joined, or being joined, announces another picture than before, the first one included.
	// hash is that of [Avatar], empty if there is none any more. [MUC.RoomAvatar] fetches the picture.
	RoomDidChangeAvatar(ctx context.Context, r *Room, hash string)
}

// RoomVCard fetches the vCard of a room, which need not be joined: an element {vcard-temp}vCard, which modules/vcard can read. nil is a room without one.
// The error is that of [xmpp.Stream.SendIQ].
func (m *MUC) RoomVCard(ctx context.Context, room xmpp.JID) (*etree.Element, error) {
	s, err := m.Active()
	if err != nil {
		return nil, err
	}
	iq, err := s.SendIQ(ctx, stanza.NewIQ(stanza.Get, room.Bare(), stanza.New("vCard", nsVCard)))
	if se := (*stanza.Error)(nil); errors.As(err, &se) && se.Condition == stanza.ItemNotFound {
		if _, err := m.RoomInfo(ctx, room); err != nil { // there is no room, either
			return nil, err
		}
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	e := iq.Payload()
	if !stanza.Is(e, "vCard", nsVCard) || len(e.ChildElements()) == 0 {
		return nil, nil
	}
	return stanza.Detach(e), nil
}

// SetVCard gives the room another vCard, in place of the one it has: an element {vcard-temp}vCard. It is for its owner.
// The error is that of [xmpp.Stream.SendIQ]: a [*stanza.Error] matching stanza.Forbidden for others.
func (r *Room) SetVCard(ctx context.Context, card stanza.Elementer) error {
	s, err := r.m.Active()
	if err != nil {
		return err
	}
	_, err = s.SendIQ(ctx, stanza.NewIQ(stanza.Set, r.jid, card))
	return err
}

// RoomAvatar fetches the picture of a room, which need not be joined. The error is ErrNoAvatar, or that of [xmpp.Stream.SendIQ].
func (m *MUC) RoomAvatar(ctx context.Context, room xmpp.JID) (*Avatar, error) {
	card, err := m.RoomVCard(ctx, room)
	if err != nil {
		return nil, err
	}
	photo := stanza.Child(card, "PHOTO", nsVCard)
	data, err := stanza.DecodeBase64(stanza.ChildText(photo, "BINVAL", nsVCard))
	if err != nil || len(data) == 0 {
		return nil, ErrNoAvatar
	}
	a := &Avatar{Data: data, Type: stanza.ImageType(data), Hash: hashOf(data)}
	if a.Type == "" {
		a.Type = clip(stanza.ChildText(photo, "TYPE", nsVCard), maxHat)
	}
	return a, nil
}

// SetAvatar gives the room another picture, nil for none, and leaves the rest of its vCard as it is. It is for its owner. Type is by the first bytes if it is empty.
// The error is that of [Room.SetVCard].
func (r *Room) SetAvatar(ctx context.Context, a *Avatar) error {
	card, err := r.m.RoomVCard(ctx, r.jid)
	if err != nil {
		return err
	}
	if card == nil {
		card = stanza.New("vCard", nsVCard).Element()
	}
	stanza.RemoveChildren(card, "PHOTO", nsVCard)
	if a != nil && len(a.Data) > 0 {
		typ := a.Type
		if typ == "" {
			typ = stanza.ImageType(a.Data)
		}
		photo := stanza.New("PHOTO", nsVCard)
		if typ != "" {
			photo.C("TYPE").T(typ).Up()
		}
		card.AddChild(photo.C("BINVAL").T(base64.StdEncoding.EncodeToString(a.Data)).Up().Element())
	}
	return r.SetVCard(ctx, stanza.Raw(card))
}

// AvatarHash is the hash of the room's picture, as it was announced last; empty if none was.
func (r *Room) AvatarHash() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.avatar
}

func hashOf(data []byte) string {
	sum := sha1.Sum(data)
	return hex.EncodeToString(sum[:])
}

// parseHash reads a hash, "" for what is none.
func parseHash(s string) string {
	s = strings.ToLower(strings.TrimSpace(s))
	if b, err := hex.DecodeString(s); err != nil || len(b) != sha1.Size {
		return ""
	}
	return strings.Clone(s)
}

// avatarLocked notes which picture the room announces.
func (r *Room) avatarLocked(hash string) {
	if hash == r.avatar {
		return
	}
	r.avatar = hash
	notify(r, ofAvatar, func(ctx context.Context, d AvatarDelegate) { d.RoomDidChangeAvatar(ctx, r, hash) })
}

// updateLocked is presence of the room itself: with an element photo, it says which picture there is (XEP-0486, XEP-0153 section 4.1).
func (r *Room) updateLocked(p *stanza.Presence) {
	photo := stanza.Child(p.Child("x", nsVCardUpdate), "photo", nsVCardUpdate)
	if photo == nil {
		return
	}
	text := stanza.Text(photo)
	if hash := parseHash(text); hash != "" || strings.TrimSpace(text) == "" {
		r.avatarLocked(hash)
	}
}

// infoLocked notes what the room has said about itself; was is what it had said before.
func (r *Room) infoLocked(info, was *Info) {
	r.info = info
	if info == nil || r.state == StateNone {
		return
	}
	switch {
	case len(info.AvatarHashes) > 0:
		for _, hash := range info.AvatarHashes {
			if hash == r.avatar {
				return
			}
		}
		r.avatarLocked(info.AvatarHashes[0])
	case was != nil && len(was.AvatarHashes) > 0:
		r.avatarLocked("")
	}
}
