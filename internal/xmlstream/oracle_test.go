package xmlstream

import (
	"bufio"
	"bytes"
	_ "embed"
	"encoding/binary"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/beevik/etree"
)

//go:embed testdata/expat.py
var expatScript string

// expatOracle is a python process that parses with libexpat.
type expatOracle struct {
	mu sync.Mutex
	w  io.Writer
	r  *bufio.Reader
}

// startExpat starts the process, once. It ends with the test binary, whose end closes its input.
var startExpat = sync.OnceValues(func() (*expatOracle, error) {
	cmd := exec.Command("python3", "-c", expatScript)
	w, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	r, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &expatOracle{w: w, r: bufio.NewReader(r)}, cmd.Start()
})

// expat returns the oracle, or nil where there is no python3.
// Where the environment requires the outside helpers of tests, that is an error.
func expat(t testing.TB) *expatOracle {
	o, err := startExpat()
	if err != nil {
		if os.Getenv("XMPP_INTEGRATION") == "required" {
			t.Fatalf("python3 is required: %v", err)
		}
		return nil
	}
	return o
}

// parse returns what libexpat sees in data, and whether it accepts it.
func (o *expatOracle) parse(t testing.TB, data []byte, final bool) (string, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	head := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	if final {
		head = append(head, 1)
	} else {
		head = append(head, 0)
	}
	if _, err := o.w.Write(append(head, data...)); err != nil {
		t.Fatalf("python: %v", err)
	}
	if _, err := io.ReadFull(o.r, head[:4]); err != nil {
		t.Fatalf("python: %v", err)
	}
	answer := make([]byte, binary.BigEndian.Uint32(head))
	if _, err := io.ReadFull(o.r, answer); err != nil {
		t.Fatalf("python: %v", err)
	}
	return string(answer[1:]), answer[0] == '+'
}

// seen is what a Decoder made of a stream.
type seen struct {
	events []string // as testdata/expat.py writes them
	sizes  []int
	err    error
	offset int64
}

func (s seen) String() string {
	return fmt.Sprintf("%q\nsizes %v, error %v, offset %d", s.events, s.sizes, s.err, s.offset)
}

// watch decodes a whole stream.
func watch(r io.Reader, l Limits) seen {
	d := NewDecoder(r, l)
	var s seen
	h, err := d.Header()
	if err == nil {
		s.events = appendEvents(s.events, h, 1)
		s.events = s.events[:len(s.events)-1]
		s.offset = d.Offset()
	}
	for err == nil {
		var e *etree.Element
		if e, err = d.Next(); err == nil {
			s.events = appendEvents(s.events, e, 2)
			s.sizes = append(s.sizes, d.Size())
			s.offset = d.Offset()
		}
	}
	if err == io.EOF {
		s.events = append(s.events, "E")
		s.offset = d.Offset()
	}
	s.err = err
	return s
}

func expanded(space, uri, local string) string {
	if space == "xml" {
		uri = nsXML
	}
	if uri == "" {
		return local
	}
	return uri + "\x01" + local
}

// appendEvents writes a tree as testdata/expat.py does, by what etree's own methods say of it.
func appendEvents(out []string, e *etree.Element, depth int) []string {
	out = append(out, "S"+expanded(e.Space, e.NamespaceURI(), e.Tag))
	for i := range e.Attr {
		a := &e.Attr[i]
		if a.Space == "xmlns" || a.Space == "" && a.Key == "xmlns" {
			continue
		}
		out = append(out, "A"+expanded(a.Space, a.NamespaceURI(), a.Key)+"\x02"+a.Value)
	}
	for _, c := range e.Child {
		switch c := c.(type) {
		case *etree.Element:
			out = appendEvents(out, c, depth+1)
		case *etree.CharData:
			out = append(out, "T"+c.Data)
		}
	}
	return append(out, "E")
}

// goEvents writes what encoding/xml makes of data, likewise.
func goEvents(data []byte) ([]string, error) {
	var out []string
	dec := xml.NewDecoder(bytes.NewReader(data))
	depth := 0
	join := func(n xml.Name) string { return expanded("", n.Space, n.Local) }
	for {
		tok, err := dec.Token()
		if err != nil {
			if err == io.EOF || strings.Contains(err.Error(), "unexpected EOF") {
				err = nil
			}
			return out, err
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			depth++
			out = append(out, "S"+join(tok.Name))
			for _, a := range tok.Attr {
				if a.Name.Space != "xmlns" && a.Name != (xml.Name{Local: "xmlns"}) {
					out = append(out, "A"+join(a.Name)+"\x02"+a.Value)
				}
			}
		case xml.EndElement:
			depth--
			out = append(out, "E")
		case xml.CharData:
			if depth < 2 || len(tok) == 0 {
				continue
			}
			if last := len(out) - 1; out[last][0] == 'T' {
				out[last] += string(tok)
			} else {
				out = append(out, "T"+string(tok))
			}
		}
	}
}

// flatten makes white space in attribute values and namespaces alike, which encoding/xml does not normalize,
// and leaves out the attributes of a namespace "xmlns", which it does not tell from declarations.
func flatten(events []string) []string {
	var out []string
	for _, e := range events {
		switch {
		case strings.HasPrefix(e, "Axmlns\x01"):
			continue
		case e[0] == 'S' && strings.HasSuffix(e, "\x01xmlns"):
			e = "Sxmlns" // an element of that name has no namespace in encoding/xml
		case e[0] != 'T':
			e = strings.NewReplacer("\n", " ", "\t", " ", "\r", " ").Replace(e)
		}
		out = append(out, e)
	}
	return out
}

// differ compares a Decoder's view of data with the oracles and reports what differs, or "".
// The rule: what it hands out, libexpat and encoding/xml see the same;
// what it calls not well-formed, libexpat refuses.
func differ(t testing.TB, data []byte, l Limits) (diff string, s seen) {
	s = watch(bytes.NewReader(data), l)
	if len(s.events) > 0 {
		used := data[:s.offset]
		if o := expat(t); o != nil {
			answer, ok := o.parse(t, used, s.err == io.EOF)
			if !ok {
				return "expat refuses what was handed out: " + answer, s
			}
			if want := strings.Split(answer, "\x00"); !slices.Equal(s.events, want) {
				return fmt.Sprintf("expat sees %q", want), s
			}
		}
		want, err := goEvents(used)
		if err != nil {
			return "encoding/xml refuses what was handed out: " + err.Error(), s
		}
		if !slices.Equal(flatten(s.events), flatten(want)) {
			return fmt.Sprintf("encoding/xml sees %q", want), s
		}
	}
	xe, ok := s.err.(*Error)
	if ok && xe.Condition == condNotWellFormed && !strings.HasPrefix(xe.Reason, "XML version") {
		if o := expat(t); o != nil {
			if _, ok := o.parse(t, data, true); ok {
				return "expat accepts it", s
			}
		}
	}
	return "", s
}
