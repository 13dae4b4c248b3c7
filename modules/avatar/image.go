package avatar

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-xmppframework/xmpp/stanza"
)

var (
	// ErrNoAvatar is returned when somebody has no avatar, or shows none.
	ErrNoAvatar = errors.New("avatar: no avatar")
	// ErrTooBig is returned for an image larger than Config.MaxBytes, before it is asked for where that is said, and before it is decoded in any case.
	ErrTooBig = errors.New("avatar: the image is larger than the limit")
	// ErrHash is returned for an image that is not the one that was announced: it is dropped.
	ErrHash = errors.New("avatar: the image is not the one that was announced")
	// ErrType is returned for data that is none of the images [stanza.ImageType] knows by their first bytes; SVG is none of them.
	ErrType = errors.New("avatar: not a PNG, JPEG, GIF or WebP image")
	// ErrRemote is returned for an image that is at a web address only, if Config.FetchURL is not set.
	ErrRemote = errors.New("avatar: the image is at a web address only")
	// ErrNotPNG is returned by [Avatar.Set] for an image of another format (XEP-0084 section 4.2.1).
	ErrNotPNG = errors.New("avatar: the avatar must be a PNG image")
)

// Image is an avatar. Its bytes are those that were announced, of a length within the limit, and begin as such an image does; nothing more is known:
// it was not decoded. A few bytes may claim an enormous picture: look at image.DecodeConfig before decoding it.
type Image struct {
	// Data are its bytes.
	Data []byte
	// Type is its media type, by its first bytes: image/png, image/jpeg, image/gif or image/webp.
	Type string
	// Hash is the SHA-1 of Data, in lower-case hexadecimal: its name.
	Hash string
}

// newImage makes an image of what should have that hash; any if that is empty.
func newImage(data []byte, hash string, limit int) (*Image, error) {
	if len(data) > limit {
		return nil, ErrTooBig
	}
	i := &Image{Data: data, Type: stanza.ImageType(data), Hash: Hash(data)}
	switch {
	case hash != "" && i.Hash != hash:
		return nil, ErrHash
	case i.Type == "":
		return nil, ErrType
	}
	return i, nil
}

// Hash is the SHA-1 of data, in lower-case hexadecimal, by which avatars are named.
func Hash(data []byte) string {
	sum := sha1.Sum(data)
	return hex.EncodeToString(sum[:])
}

// parseHash reads a hash, in either case; ok is false if it is none.
func parseHash(s string) (hash string, ok bool) {
	s = strings.ToLower(strings.Trim(s, " \t\r\n"))
	if len(s) != 2*sha1.Size {
		return "", false
	}
	_, err := hex.DecodeString(s)
	return strings.Clone(s), err == nil
}

// decodeData reads the base64 of an image, if it is not too long.
func decodeData(text string, limit int) ([]byte, error) {
	if len(text) > base64.StdEncoding.EncodedLen(limit)*5/4+1024 { // room for line breaks
		return nil, ErrTooBig
	}
	data, err := stanza.DecodeBase64(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrType, err)
	}
	return slices.Clip(data), nil
}
