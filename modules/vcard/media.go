package vcard

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/stanza"
)

var (
	// ErrTooBig is what [Media.Err] says of data larger than [Limits.Media], and what is returned for such data in an own card that is sent.
	ErrTooBig = errors.New("vcard: the data is larger than the limit")
	// ErrBadData is what [Media.Err] says of data that is not base64.
	ErrBadData = errors.New("vcard: the data is not base64")
)

// Media is a picture or a sound: its bytes, or where it is. The bytes are whatever the other side has sent; nothing here decodes them.
type Media struct {
	// Type is the media type that the sender has given, such as image/png; it is a hint. See [Media.ImageType].
	Type string
	// Data are the bytes (BINVAL), nil if there are none.
	Data []byte
	// URI is where it is (EXTVAL). It is never fetched by this package: that would show the address of who looks.
	URI string
	// Extra are unknown elements. Read-only.
	Extra []*etree.Element

	err error
	raw *etree.Element // what is wrong with it, kept as it came; nil if it was not kept
}

// NewMedia makes a Media of bytes, which are not copied. The type may be empty: that of an image is found by its first bytes.
func NewMedia(data []byte, typ string) *Media {
	if typ == "" {
		typ = stanza.ImageType(data)
	}
	return &Media{Type: typ, Data: data}
}

// Err says why there are no Data although there were: [ErrTooBig], [ErrBadData]; nil otherwise.
// In the own card such data is written again as it came; to replace or remove it, replace the whole Media.
func (m *Media) Err() error {
	if m == nil {
		return nil
	}
	return m.err
}

// ImageType is the media type by the first bytes, whatever the sender says:
// image/png, image/jpeg, image/gif or image/webp; empty for all else. See [stanza.ImageType].
func (m *Media) ImageType() string {
	if m == nil {
		return ""
	}
	return stanza.ImageType(m.Data)
}

// Hash is the SHA-1 of Data in lower-case hexadecimal, empty if there are none: the id of an avatar in XEP-0153 and XEP-0084.
func (m *Media) Hash() string {
	if m == nil || len(m.Data) == 0 {
		return ""
	}
	sum := sha1.Sum(m.Data)
	return hex.EncodeToString(sum[:])
}

// Copy returns one that shares nothing but the elements in Extra. It is nil for nil.
func (m *Media) Copy() *Media {
	if m == nil {
		return nil
	}
	c := *m
	c.Data, c.Extra = slices.Clone(m.Data), slices.Clone(m.Extra)
	return &c
}

// decodeBinary decodes base64 with at most limit bytes inside, which is checked first. White space counts for nothing.
func decodeBinary(s string, limit int) ([]byte, error) {
	n := len(s)
	for i := range len(s) {
		switch s[i] {
		case ' ', '\t', '\r', '\n', '=':
			n--
		}
	}
	if base64.RawStdEncoding.DecodedLen(n) > limit {
		return nil, ErrTooBig
	}
	data, err := stanza.DecodeBase64(s)
	if err != nil {
		return nil, ErrBadData
	}
	return data, nil
}

const base64Mark = ";base64,"

// dataURI writes a data: URI (RFC 2397).
func dataURI(m *Media) string {
	return "data:" + strings.TrimSpace(m.Type) + base64Mark + base64.StdEncoding.EncodeToString(m.Data)
}

// mediaOfURI reads the URI of a picture or sound: the bytes of a data: URI in base64, the URI itself for all else.
func mediaOfURI(uri string, limit int) *Media {
	head, data, ok := strings.Cut(uri, ",")
	typ, isData := strings.CutPrefix(strings.ToLower(head), "data:")
	if !ok || !isData {
		return &Media{URI: uri}
	}
	typ, ok = strings.CutSuffix(typ, ";base64")
	if !ok {
		return &Media{Type: typ, err: ErrBadData}
	}
	if strings.Contains(data, "%") {
		if plain, err := url.PathUnescape(data); err == nil {
			data = plain
		}
	}
	m := &Media{Type: typ}
	m.Data, m.err = decodeBinary(data, limit)
	return m
}
