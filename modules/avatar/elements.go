package avatar

import (
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/stanza"
)

// The namespaces of the avatars, which are the names of nodes too.
const (
	NSUpdate   = "vcard-temp:x:update"      // XEP-0153: the hash in presence
	NSData     = "urn:xmpp:avatar:data"     // XEP-0084: the image
	NSMetadata = "urn:xmpp:avatar:metadata" // XEP-0084: what there is
)

// FeatureConversion is what an account announces whose server makes a vCard avatar of a published one and the other way round (XEP-0398).
const FeatureConversion = "urn:xmpp:pep-vcard-conversion:0"

// Info describes one format of an avatar (XEP-0084 section 4.2.1).
type Info struct {
	// Hash is the SHA-1 of the image, in lower-case hexadecimal.
	Hash string
	// Type is its media type.
	Type string
	// Bytes is its length.
	Bytes int
	// Width and Height are its size in pixels. If zero, they are not told.
	Width, Height int
	// URL is where it is, http or https. If zero, it is published at the node for data, which has room for one image.
	URL string
}

// maxInfos is how many formats of an avatar are looked at.
const maxInfos = 20

func parseMetadata(e *etree.Element) (list []Info) {
	for c := range stanza.Children(e, "info", NSMetadata) {
		hash, ok := parseHash(stanza.AttrOr(c, "id", ""))
		if !ok {
			continue
		}
		bytes, _ := stanza.ParseInt[int](stanza.AttrOr(c, "bytes", "")) // one that does not fit is the largest
		list = append(list, Info{
			Hash: hash, Type: strings.Clone(stanza.AttrOr(c, "type", "")), URL: strings.Clone(stanza.AttrOr(c, "url", "")),
			Bytes: max(0, bytes), Width: stanza.AttrInt(c, "width", 0), Height: stanza.AttrInt(c, "height", 0),
		})
		if len(list) == maxInfos {
			break
		}
	}
	return list
}

// choose picks the format to fetch: one that can be had, at the node rather than elsewhere, and PNG rather than others.
// If there is none, it is the first one: that it cannot be had is found out when somebody asks for it.
func choose(list []Info, limit int, remote bool) (best Info) {
	points := -1
	for _, i := range list {
		n := 0
		if i.Bytes <= limit && (i.URL == "" || remote) {
			n += 8
		}
		switch i.Type {
		case "image/png":
			n += 5
		case "image/jpeg", "image/gif", "image/webp":
			n += 4
		}
		if i.URL == "" {
			n += 2
		}
		if n > points {
			best, points = i, n
		}
	}
	return best
}

func metadata(list []Info) *stanza.Builder {
	b := stanza.New("metadata", NSMetadata)
	for _, i := range list {
		b.C("info").A("id", i.Hash).A("type", i.Type).A("bytes", strconv.Itoa(i.Bytes))
		if i.Width > 0 && i.Height > 0 {
			b.A("width", strconv.Itoa(i.Width)).A("height", strconv.Itoa(i.Height))
		}
		if i.URL != "" {
			b.A("url", i.URL)
		}
		b.Up()
	}
	return b
}

func dataElement(data []byte) *stanza.Builder {
	return stanza.New("data", NSData).T(base64.StdEncoding.EncodeToString(data))
}

// pngSize reads the size that a PNG image says it has.
func pngSize(data []byte) (width, height int) {
	if len(data) < 24 || string(data[12:16]) != "IHDR" {
		return 0, 0
	}
	return int(binary.BigEndian.Uint32(data[16:])), int(binary.BigEndian.Uint32(data[20:]))
}
