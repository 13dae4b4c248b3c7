package testserver

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"image"
	"image/png"
	"strings"

	"github.com/beevik/etree"
)

const (
	nsCAPTCHA = "urn:xmpp:captcha"
	nsMedia   = "urn:xmpp:media-element"
	nsBoB     = "urn:xmpp:bob"
)

// registerQuery is what is to be filled in.
func (srv *Server) registerQuery() *etree.Element {
	o := srv.opts.Registration
	q := elem("query", nsRegister)
	text := o.Instructions
	if text == "" {
		text = "Choose a name and a password."
	}
	q.CreateElement("instructions").SetText(text)
	if o.URL != "" {
		x := elem("x", nsOOB)
		x.CreateElement("url").SetText(o.URL)
		q.AddChild(x)
		return q
	}
	names := append([]string{"username", "password"}, o.Fields...)
	for _, name := range names {
		q.CreateElement(name)
	}
	if !o.hasForm() {
		return q
	}
	typ := nsRegister
	if o.CAPTCHA != "" {
		typ = nsCAPTCHA
	}
	x := newForm(typ, text, names...)
	if o.CAPTCHA != "" {
		q.AddChild(x)
		addCAPTCHA(q, x)
		return q
	}
	q.AddChild(x)
	return q
}

func newForm(typ, instructions string, names ...string) *etree.Element {
	x := elem("x", nsForms, "type", "form")
	x.CreateElement("instructions").SetText(instructions)
	hidden(x, "FORM_TYPE", typ)
	for _, name := range names {
		f := elem("field", "", "type", "text-single", "label", name, "var", name)
		if strings.HasSuffix(name, "password") {
			setAttr(f, "type", "text-private")
		}
		f.CreateElement("required")
		x.AddChild(f)
	}
	return x
}

func hidden(x *etree.Element, name, value string) {
	f := elem("field", "", "type", "hidden", "var", name)
	f.CreateElement("value").SetText(value)
	x.AddChild(f)
}

// addCAPTCHA adds the question of XEP-0158 with a picture (XEP-0221), which is in the query (XEP-0231).
func addCAPTCHA(q, x *etree.Element) {
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 1, 1))); err != nil {
		panic(err) // a buffer takes all
	}
	sum := sha1.Sum(picture.Bytes())
	cid := "sha1+" + hex.EncodeToString(sum[:]) + "@bob.xmpp.org"
	hidden(x, "challenge", "F3A6292C")
	f := elem("field", "", "label", "Enter the text you see", "var", "ocr")
	f.CreateElement("required")
	m := elem("media", nsMedia, "width", "1", "height", "1")
	uri := elem("uri", "", "type", "image/png")
	uri.SetText("cid:" + cid)
	m.AddChild(uri)
	f.AddChild(m)
	x.AddChild(f)
	data := elem("data", nsBoB, "cid", cid, "type", "image/png", "max-age", "0")
	data.SetText(base64.StdEncoding.EncodeToString(picture.Bytes()))
	q.AddChild(data)
}

// passwordForm is the error that asks for more before a password is changed (XEP-0077 §3.3).
func (srv *Server) passwordForm(e *etree.Element) *etree.Element {
	r := srv.errorReply(e, "not-authorized")
	setAttr(r, "from", srv.domain.String())
	q := elem("query", nsRegister)
	q.AddChild(newForm(nsRegister+":changepassword", "Who are you?", "username", "old_password", "password"))
	r.InsertChildAt(0, q)
	return r
}
