package caps_test

import (
	"testing"

	"github.com/go-xmppframework/xmpp/modules/caps"
	"github.com/go-xmppframework/xmpp/modules/disco"
	"github.com/go-xmppframework/xmpp/stanza"
)

// FuzzCaps: whatever an entity answers, what is verified of it hashes to the same when it comes out of a storage, holds nothing that is not hashed,
// and cannot be verified if it is ill-formed.
func FuzzCaps(f *testing.F) {
	for _, s := range []string{exodus, psi, bombus, tkabber} {
		f.Add(s)
	}
	for _, p := range illFormed {
		f.Add(p.answer)
	}
	for _, x := range twins {
		f.Add(x.honest)
		f.Add(x.fake)
	}
	f.Fuzz(func(t *testing.T, content string) {
		e, err := stanza.ParseElement("<query xmlns='http://jabber.org/protocol/disco#info' xml:lang='en'>" + content + "</query>")
		if err != nil {
			return
		}
		info, err := disco.ParseInfo(e)
		if err != nil {
			return
		}
		sets := [][]caps.Hash{{caps.Hash115(info, "sha-1")}}
		if _, err := caps.Input390(info, true); err == nil {
			sets = append(sets, []caps.Hash{caps.Hash390(info, "sha-256"), caps.Hash390(info, "sha3-512"), caps.Hash115(info, "sha-1")})
		}
		for _, set := range sets {
			out, _, err := caps.Verify(set, info)
			if (caps.WellFormed(info) != nil) != (err != nil && err != caps.ErrMismatch) {
				t.Fatalf("%q: %v", content, err)
			}
			if err != nil {
				continue
			}
			e, err := stanza.ParseElement(stanza.Compact(out.Element()))
			if err != nil {
				t.Fatal(err)
			}
			again, err := disco.ParseInfo(e)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := caps.Verify(set[:1], again); err != nil && !repeated(info) {
				t.Fatalf("%q is kept as %s, which is not %v: %v", content, stanza.Compact(out.Element()), set[0], err)
			}
			if more, _, err := caps.Verify(set[:1], again); err == nil && stanza.Compact(more.Element()) != stanza.Compact(out.Element()) {
				t.Fatalf("%q is kept as %s, then as %s", content, stanza.Compact(out.Element()), stanza.Compact(more.Element()))
			}
		}
	})
}

// repeated reports whether a form says its type more than once: that is well-formed, and not kept in full.
func repeated(i *disco.Info) bool {
	for _, f := range i.Forms {
		n := 0
		for _, x := range f.Fields {
			if x.Var == "FORM_TYPE" {
				n += len(x.Values)
				if len(x.Values) == 0 {
					n += 2
				}
			}
		}
		if n > 1 {
			return true
		}
	}
	return false
}
