package transport

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/internal/xmlstream"
)

// boshAnswer is the body of an answer, or what came in its place.
type boshAnswer struct {
	err  error          // what ends the session: the answer is none
	root *etree.Element // the body without what is inside
	in   []byte         // what is inside
	size int            // of all
}

// errBodyEnd is what a decoder of answer.decoder ends with.
var errBodyEnd = io.EOF

// minBodyLimit is what an answer may have however small the limit of a stanza is: servers put many stanzas into one.
const minBodyLimit = 1 << 20

// bodyLimit is how many bytes an answer may have; each stanza in it has the limit of a stanza.
func bodyLimit(l xmlstream.Limits) int {
	return max(minBodyLimit, 2*min(l.StanzaBytes, 256<<20))
}

// parseBody takes an answer apart. Of what is inside nothing is checked: the decoder does that.
func parseBody(b []byte, l xmlstream.Limits) (*boshAnswer, error) {
	end, empty := bodyTag(b)
	if end == 0 || empty {
		root, err := xmlstream.Parse(b, l)
		if err == nil {
			err = checkBody(root)
		}
		if err != nil {
			return nil, malformed(err)
		}
		return &boshAnswer{root: root, size: len(b)}, nil
	}
	// The tag alone, as an empty element.
	root, err := xmlstream.Parse(append(b[:end-1:end-1], "/>"...), l)
	if err == nil {
		err = checkBody(root)
	}
	if err != nil {
		return nil, malformed(err)
	}
	rest := b[end:]
	last := bytes.LastIndex(rest, []byte("</"))
	if last >= 0 {
		tag, closed := bytes.CutSuffix(bytes.TrimRight(rest[last+2:], space), []byte(">"))
		if closed && string(bytes.TrimRight(tag, space)) == root.FullTag() {
			return &boshAnswer{root: root, in: bytes.Trim(rest[:last], space), size: len(b)}, nil
		}
	}
	return nil, &xmlstream.Error{Condition: "not-well-formed", Reason: "the end of an answer is not that of its body"}
}

const space = " \t\r\n" // of XML

// bodyTag returns where the start tag of the root ends, 0 if there is none, and whether it is that of an empty element.
func bodyTag(b []byte) (end int, empty bool) {
	i := bytes.IndexByte(b, '<')
	if i >= 0 && bytes.HasPrefix(b[i:], []byte("<?")) {
		decl := bytes.Index(b[i:], []byte("?>"))
		if decl < 0 {
			return 0, false
		}
		i += decl + 2
		next := bytes.IndexByte(b[i:], '<')
		if next < 0 {
			return 0, false
		}
		i += next
	}
	if i < 0 {
		return 0, false
	}
	quote := byte(0)
	for ; i < len(b); i++ {
		switch c := b[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '>':
			return i + 1, b[i-1] == '/'
		}
	}
	return 0, false
}

func checkBody(root *etree.Element) error {
	if root.Tag != "body" || root.NamespaceURI() != nsHTTPBind {
		return &xmlstream.Error{Condition: "invalid-namespace", Reason: "an answer that is not a body of BOSH"}
	}
	return nil
}

// malformed turns the end of a document that came complete into the error that it is.
func malformed(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return &xmlstream.Error{Condition: "not-well-formed", Reason: "a body ends too early"}
	}
	return err
}

// decoder gives what is inside the body, as the elements of a stream whose header declares what the body does.
// What has no namespace of its own is in jabber:client (XEP-0206 section 2).
func (a *boshAnswer) decoder(l xmlstream.Limits) (*xmlstream.Decoder, error) {
	if len(a.in) == 0 {
		return nil, nil
	}
	var random [8]byte
	_, _ = rand.Read(random[:])                 // never fails
	name := "s" + hex.EncodeToString(random[:]) // a prefix that nothing inside can have in mind
	var head bytes.Buffer
	head.WriteString("<" + name + ":stream xmlns:" + name + "='" + nsStreams + "'")
	content := nsClient
	declare := func(prefix, uri string) {
		head.WriteString(" " + prefix + "='")
		_ = xml.EscapeText(&head, []byte(uri))
		head.WriteByte('\'')
	}
	for _, at := range a.root.Attr {
		switch {
		case at.Space == "xmlns":
			declare("xmlns:"+at.Key, at.Value)
		case at.Space == "" && at.Key == "xmlns" && at.Value != nsHTTPBind && at.Value != "":
			content = at.Value
		}
	}
	declare("xmlns", content)
	head.WriteByte('>')
	d := xmlstream.NewDecoder(io.MultiReader(&head, bytes.NewReader(a.in), strings.NewReader("</"+name+":stream>")), l)
	if _, err := d.Header(); err != nil {
		return nil, err
	}
	return d, nil
}

// attr returns the attribute of the body that has no prefix.
func (a *boshAnswer) attr(key string) string {
	for _, at := range a.root.Attr {
		if at.Space == "" && at.Key == key {
			return at.Value
		}
	}
	return ""
}

// header makes the header of a stream of the answer to a session request.
func (a *boshAnswer) header() *etree.Element {
	h := etree.NewElement("stream:stream")
	h.CreateAttr("xmlns", nsClient)
	h.CreateAttr("xmlns:stream", nsStreams)
	version := "1.0"
	for _, at := range a.root.Attr {
		switch {
		case at.Space == "xml" && at.Key == "lang":
			h.CreateAttr("xml:lang", at.Value)
		case at.Key == "version" && at.Space != "" && at.NamespaceURI() == nsXBOSH:
			version = at.Value
		}
	}
	for _, at := range [][2]string{{"from", a.attr("from")}, {"id", a.attr("authid")}, {"version", version}} {
		if at[1] != "" {
			h.CreateAttr(at[0], at[1])
		}
	}
	return h
}

const undefined = "undefined-condition"

// refusal returns what an answer of type terminate complains of, nil if of nothing (XEP-0124 sections 13 and 17.2).
func (a *boshAnswer) refusal(l xmlstream.Limits, insecure bool) *BOSHError {
	e := &BOSHError{Condition: a.attr("condition")}
	if e.Condition == "" {
		return nil
	}
	d, err := a.decoder(l)
	for d != nil && err == nil {
		var c *etree.Element
		if c, err = d.Next(); err != nil {
			break
		}
		switch {
		case e.Condition == "see-other-uri" && c.Tag == "uri" && slices.Contains([]string{nsClient, nsHTTPBind}, c.NamespaceURI()):
			uri := strings.TrimSpace(c.Text())
			if strings.HasPrefix(uri, "https://") || insecure && strings.HasPrefix(uri, "http://") {
				e.URI = uri
			}
		case c.Tag == "error" && c.NamespaceURI() == nsStreams && e.Stream == nil:
			e.Stream = c
		}
	}
	return e
}
