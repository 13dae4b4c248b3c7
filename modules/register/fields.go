package register

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/form"
)

const (
	nsOOB = "jabber:x:oob"
	nsBOB = "urn:xmpp:bob"
)

// What [ParseFields] takes at most.
const (
	MaxFields = 100 // legacy fields
	MaxData   = 20  // pieces of data
)

// ErrAnswer is returned for an answer of the server that holds no fields, or that cannot be read.
var ErrAnswer = errors.New("register: the answer makes no sense")

// Fields are what a server or a service wants to know for a registration. Whoever has both a Form and legacy fields is answered with the form alone (XEP-0077 section 4),
// which [Register.Register] does.
//
// All of it is somebody else's text.
type Fields struct {
	// Registered says that one is registered already; the fields then have their values.
	Registered bool
	// Instructions are for people; "" if there are none.
	Instructions string
	// Legacy are the fields by their names in section 14.1, such as "username", in order. All of them are to be filled in (section 3.1).
	Legacy []Field
	// Form is the form to be filled in instead; nil if there is none.
	Form *form.Form
	// URL is where accounts are made by other means (section 5, XEP-0066): http or https, "" if there is none. Nothing there is fetched.
	URL string

	data map[string]data
}

// Field is a legacy field.
type Field struct {
	Name  string
	Value string // what the server knows already; "" if nothing
}

type data struct {
	mediaType string
	bytes     []byte
}

// Redirects reports whether accounts are made at URL, and not here.
func (f *Fields) Redirects() bool {
	return f != nil && f.Form == nil && len(f.Legacy) == 0 && f.URL != ""
}

// challenges are the fields of XEP-0158 that a person answers (section 14.1 there); one of them at least is to be answered.
var challenges = []string{
	"audio_recog", "ocr", "picture_q", "picture_recog", "qa", "speech_q", "speech_recog", "video_q", "video_recog",
}

// Challenges are the fields of the form that ask for proof that there is a person: a question in Label, or a picture or a sound in Media (XEP-0158, XEP-0221).
// They are part of the form; nil if there are none. Of several it is enough to answer one.
func (f *Fields) Challenges() []*form.Field {
	if f == nil || f.Form == nil {
		return nil
	}
	var out []*form.Field
	for i := range f.Form.Fields {
		if x := &f.Form.Fields[i]; x.Type != form.Hidden && x.Type != form.Fixed && slices.Contains(challenges, x.Var) {
			out = append(out, x)
		}
	}
	return out
}

// Data is the picture or sound of a [form.MediaURI] that came along with the fields: one that begins with "cid:" (XEP-0231).
// ok is false for all others: nothing is fetched. The bytes are not to be changed, and may be anything.
func (f *Fields) Data(uri string) (mediaType string, data []byte, ok bool) {
	cid, isCID := strings.CutPrefix(uri, "cid:")
	if f == nil || !isCID {
		return "", nil, false
	}
	d, ok := f.data[cid]
	return d.mediaType, d.bytes, ok
}

// String says what is asked for, without any value.
func (f *Fields) String() string {
	if f == nil {
		return "register.Fields(nil)"
	}
	var names []string
	for _, x := range f.Legacy {
		names = append(names, x.Name)
	}
	if f.Form != nil {
		names = nil
		for _, x := range f.Form.Fields {
			if x.Type != form.Hidden {
				names = append(names, x.Var)
			}
		}
	}
	return fmt.Sprintf("register.Fields%.1000q", names)
}

// GoString is [Fields.String].
func (f *Fields) GoString() string { return f.String() }

// Format writes [Fields.String], whatever the verb.
func (f *Fields) Format(s fmt.State, _ rune) { fmt.Fprint(s, f.String()) }

// ParseFields reads the element {jabber:iq:register}query of an answer. The fields share nothing with e. The error matches [ErrAnswer], and where the form in it is to blame, what [form.Parse] returns.
func ParseFields(e *etree.Element) (*Fields, error) {
	if !stanza.Is(e, "query", NS) {
		return nil, ErrAnswer
	}
	f := &Fields{Instructions: strings.Clone(strings.TrimSpace(stanza.ChildText(e, "instructions", NS)))}
	for c := range stanza.Children(e, stanza.Any, stanza.Any) {
		switch {
		case stanza.Namespace(c) == NS:
			switch c.Tag {
			case "instructions":
			case "registered":
				f.Registered = true
			default:
				if len(f.Legacy) == MaxFields {
					return nil, fmt.Errorf("%w: too many fields", ErrAnswer)
				}
				f.Legacy = append(f.Legacy, Field{strings.Clone(c.Tag), strings.Clone(stanza.Text(c))})
			}
		case stanza.Is(c, "x", form.NS) && f.Form == nil:
			x, err := form.Parse(c)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", ErrAnswer, err)
			}
			if x.Type == form.TypeForm {
				f.Form = x
				for _, extra := range x.Extra {
					f.take(extra)
				}
			}
		case stanza.Is(c, "x", nsOOB) && f.URL == "":
			f.URL = webAddress(stanza.ChildText(c, "url", nsOOB))
		default:
			f.take(c)
		}
	}
	return f, nil
}

// take keeps an element {urn:xmpp:bob}data.
func (f *Fields) take(e *etree.Element) {
	cid := strings.Clone(stanza.AttrOr(e, "cid", ""))
	if !stanza.Is(e, "data", nsBOB) || cid == "" || len(f.data) == MaxData {
		return
	}
	b, err := stanza.DecodeBase64(stanza.Text(e))
	if err != nil || len(b) == 0 {
		return
	}
	if f.data == nil {
		f.data = make(map[string]data)
	}
	if _, twice := f.data[cid]; !twice {
		f.data[cid] = data{strings.Clone(stanza.AttrOr(e, "type", "")), b}
	}
}

// webAddress is the text if it is an address of the web, "" otherwise: whatever else there is may be opened without a second thought.
func webAddress(s string) string {
	s = strings.TrimSpace(s)
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	return strings.Clone(s)
}

// readFields reads the answer to a request. Data may stand beside the query, too.
func readFields(iq *stanza.IQ) (*Fields, error) {
	f, err := ParseFields(iq.Child("query", NS))
	if err != nil {
		return nil, err
	}
	for c := range iq.Children() {
		f.take(c)
	}
	return f, nil
}

// fill makes the query that answers: the form if there is one, all legacy fields otherwise, never both (section 4).
func (f *Fields) fill(values map[string]string) (*stanza.Builder, error) {
	q := stanza.New("query", NS)
	switch {
	case f.Form != nil:
		filled, err := f.fillForm(values)
		if err != nil {
			return nil, &FillError{f, err}
		}
		return q.Add(filled).Up(), nil
	case f.Redirects():
		return nil, &RedirectError{f.URL}
	}
	var errs []error
	for name := range values {
		if !slices.ContainsFunc(f.Legacy, func(x Field) bool { return x.Name == name }) {
			errs = append(errs, &form.FieldError{Var: name, Err: form.ErrNoField})
		}
	}
	for _, x := range f.Legacy {
		v, ok := values[x.Name]
		if !ok {
			v = x.Value
		}
		if v == "" {
			errs = append(errs, &form.FieldError{Var: x.Name, Err: form.ErrRequired})
		}
		q.C(x.Name).T(v).Up()
	}
	if len(errs) > 0 {
		return nil, &FillError{f, errors.Join(errs...)}
	}
	return q, nil
}

func (f *Fields) fillForm(values map[string]string) (*form.Form, error) {
	sub := f.Form.Submit()
	for name, v := range values {
		sub.Set(name, v)
	}
	filled, err := sub.Form()
	if ask := f.Challenges(); len(ask) > 0 && !slices.ContainsFunc(ask, func(x *form.Field) bool {
		_, given := values[x.Var]
		return given || x.Required // then it is in err
	}) {
		err = errors.Join(err, &form.FieldError{Var: ask[0].Var, Err: form.ErrRequired})
	}
	return filled, err
}
