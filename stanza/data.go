package stanza

import (
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
)

// ParseInt reads a decimal integer, XML's white space around it ignored.
// ok tells that it is one and fits into T. One that does not fit is cut to the nearest value that does;
// what is no integer is 0.
func ParseInt[T Integer](s string) (n T, ok bool) {
	s = trimSpace(s)
	if T(0)-1 > 0 { // unsigned
		u, err := strconv.ParseUint(strings.TrimPrefix(s, "+"), 10, 64)
		switch {
		case strings.HasPrefix(s, "-"):
			i, err := strconv.ParseInt(s, 10, 64)
			return 0, err == nil && i == 0 // "-0"
		case err != nil && !errors.Is(err, strconv.ErrRange):
			return 0, false
		case err != nil || uint64(T(u)) != u:
			return T(0) - 1, false
		}
		return T(u), true
	}
	i, err := strconv.ParseInt(s, 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, false
	}
	if err == nil && int64(T(i)) == i {
		return T(i), true
	}
	least, most := limits[T]()
	if i < 0 {
		return least, false
	}
	return most, false
}

// limits of a signed type.
func limits[T Integer]() (least, most T) {
	most = 1
	for most<<1 > most {
		most = most<<1 | 1
	}
	return -most - 1, most
}

// DecodeBase64 decodes standard base64 with padding, as XMPP uses it,
// and ignores white space, which senders put in to break lines.
func DecodeBase64(s string) ([]byte, error) {
	if strings.ContainsAny(s, " \t") {
		s = strings.NewReplacer(" ", "", "\t", "").Replace(s)
	}
	return base64.StdEncoding.DecodeString(s)
}

// ImageType returns the media type of an image by its first bytes:
// image/png, image/jpeg, image/gif or image/webp; "" for all else.
// What a sender says about an avatar is not to be trusted; this looks at the data.
func ImageType(data []byte) string {
	s := string(data[:min(len(data), 12)])
	switch {
	case strings.HasPrefix(s, "\x89PNG\r\n\x1a\n"):
		return "image/png"
	case strings.HasPrefix(s, "\xff\xd8\xff"):
		return "image/jpeg"
	case strings.HasPrefix(s, "GIF87a"), strings.HasPrefix(s, "GIF89a"):
		return "image/gif"
	case len(s) == 12 && s[:4] == "RIFF" && s[8:] == "WEBP":
		return "image/webp"
	}
	return ""
}
