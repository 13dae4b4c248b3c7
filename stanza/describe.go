package stanza

import (
	"strings"

	"github.com/beevik/etree"
)

// Whoever logs a stanza by mistake gets these instead of the tree, which fmt would print in part:
// stanzas carry what people say, and passwords.

// String returns name, type, id and addresses for logs, each escaped and cut, without any content.
func (iq *IQ) String() string { return describe(iq.Name(), iq.tree()) }

// String returns name, type, id and addresses for logs, each escaped and cut, without any content.
func (m *Message) String() string { return describe(m.Name(), m.tree()) }

// String returns name, type, id and addresses for logs, each escaped and cut, without any content.
func (p *Presence) String() string { return describe(p.Name(), p.tree()) }

// String returns namespace and name of the root for logs, escaped and cut, without any content.
func (b Builder) String() string { return describeElement(b.root) }

func (r raw) String() string { return describeElement(r.e) }

func describe(name string, e *etree.Element) string {
	var b strings.Builder
	b.WriteString(name)
	for _, key := range [...]string{"type", "id", "from", "to"} {
		if v, ok := Attr(e, key); ok {
			b.WriteString(" " + key + `="` + printable(v, 200) + `"`)
		}
	}
	return b.String()
}

func describeElement(e *etree.Element) string {
	if e == nil {
		return "nothing"
	}
	return "{" + printable(Namespace(e), 200) + "}" + printable(e.Tag, 200)
}
