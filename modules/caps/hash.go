package caps

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strings"

	"github.com/go-xmppframework/xmpp/modules/disco"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/form"
)

// Errors are matched with [errors.Is].
var (
	// ErrIllFormed says that an answer must not be used at all: something in it is there twice, or holds what would make two different answers
	// hash to the same (XEP-0115 sections 5.4 and 9.3).
	ErrIllFormed = errors.New("caps: ill-formed capabilities")
	// errMismatch says that an answer does not hash to what was announced.
	errMismatch = errors.New("caps: the capabilities do not match the hash")
)

// hashes are the hash functions, the strongest first, by their names in XEP-0300. SHA-1 is for XEP-0115 only.
// Of those that XEP-0414 wants, BLAKE2b is left out: nobody announces it alone.
var hashes = []struct {
	algo string
	make func() hash.Hash
}{
	{"sha3-512", func() hash.Hash { return sha3.New512() }},
	{"sha-512", sha512.New},
	{"sha-384", sha512.New384},
	{"sha3-256", func() hash.Hash { return sha3.New256() }},
	{"sha-256", sha256.New},
	{"sha-1", sha1.New},
}

// strength is the place in hashes, -1 for what is not known or not allowed there.
func strength(ns, algo string) int {
	for i, h := range hashes {
		if h.algo == algo && (ns != NS2 || algo != "sha-1") {
			return i
		}
	}
	return -1
}

// canonical is a hash as it is compared: one that can be verified, in the one spelling that base64 has for it.
func canonical(ns, algo, value string) (h Hash, ok bool) {
	i := strength(ns, algo)
	if i < 0 {
		return h, false
	}
	sum, err := base64.StdEncoding.DecodeString(strings.TrimSpace(value))
	if err != nil || len(sum) != hashes[i].make().Size() {
		return h, false
	}
	return Hash{NS: ns, Algo: hashes[i].algo, Value: base64.StdEncoding.EncodeToString(sum)}, true
}

func sum(algo string, input []byte) string {
	h := hashes[strength(NS, algo)].make()
	h.Write(input)
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// wellFormed is XEP-0115 section 5.4, items 3.3 to 3.5. A < is refused as the warning in section 5.1 says.
func wellFormed(i *disco.Info) error {
	bad := func(what string) error { return fmt.Errorf("%w: %s", ErrIllFormed, what) }
	sep := func(list ...string) bool {
		return slices.ContainsFunc(list, func(s string) bool { return strings.Contains(s, "<") })
	}
	ids := make(map[disco.Identity]bool)
	for _, id := range i.Identities {
		switch {
		case ids[id]:
			return bad("an identity is there twice")
		case sep(id.Category, id.Type, id.Lang, id.Name):
			return bad("an identity has a <")
		}
		ids[id] = true
	}
	features := make(map[string]bool)
	for _, f := range i.Features {
		switch {
		case features[f]:
			return bad("a feature is there twice")
		case sep(f):
			return bad("a feature has a <")
		}
		features[f] = true
	}
	types := make(map[string]bool)
	for _, f := range i.Forms {
		t := f.FormType()
		if t == "" {
			continue // is ignored
		}
		if types[t] {
			return bad("two forms have the same FORM_TYPE")
		}
		types[t] = true
		for _, x := range f.Fields {
			for _, v := range x.Values {
				if x.Var == form.FormTypeVar && v != t {
					return bad("a form has two values of FORM_TYPE")
				}
			}
			if sep(x.Var) || sep(x.Values...) {
				return bad("a form has a <")
			}
		}
	}
	return nil
}

// input115 is what is hashed by XEP-0115 section 5.1. It assumes that the answer is well-formed.
func input115(i *disco.Info) []byte {
	var b strings.Builder
	add := func(list []string) {
		slices.Sort(list)
		for _, s := range list {
			b.WriteString(s + "<")
		}
	}
	// Sorting by category, then type, then language is sorting by these strings, since / is in none of them that count.
	ids := slices.Clone(i.Identities)
	slices.SortFunc(ids, func(x, y disco.Identity) int {
		return slices.Compare([]string{x.Category, x.Type, x.Lang, x.Name}, []string{y.Category, y.Type, y.Lang, y.Name})
	})
	for _, id := range ids {
		b.WriteString(id.Category + "/" + id.Type + "/" + id.Lang + "/" + id.Name + "<")
	}
	add(slices.Clone(i.Features))
	for _, f := range hashedForms(i) {
		b.WriteString(f.FormType() + "<")
		for _, x := range f.Fields {
			if x.Var != form.FormTypeVar {
				b.WriteString(x.Var + "<")
				add(x.Values)
			}
		}
	}
	return []byte(b.String())
}

// hashedForms are copies of the forms that count, sorted by type, their fields by name.
func hashedForms(i *disco.Info) []*form.Form {
	var out []*form.Form
	for _, f := range i.Forms {
		if f.FormType() == "" {
			continue
		}
		f = f.Copy()
		slices.SortStableFunc(f.Fields, func(x, y form.Field) int { return strings.Compare(x.Var, y.Var) })
		out = append(out, f)
	}
	slices.SortFunc(out, func(x, y *form.Form) int { return strings.Compare(x.FormType(), y.FormType()) })
	return out
}

// ambiguous reports whether what is hashed by XEP-0115 could as well be that of somebody else, with features in the place of an identity
// or fields of a form in the place of features (section 9.3): an answer made so that the hash fits, and a feature is gone.
// Nothing that exists looks so.
func ambiguous(i *disco.Info) bool {
	for _, id := range i.Identities {
		if id.Category == "" || id.Type == "" || strings.ContainsAny(id.Category+id.Type+id.Lang, "/:#") {
			return true // features may be the identity
		}
	}
	identity := func(s string) bool {
		parts := strings.Split(s, "/")
		return len(parts) > 3 && !strings.Contains(parts[0], ":")
	}
	if slices.ContainsFunc(i.Features, func(f string) bool { return f == "" || identity(f) }) {
		return true
	}
	for n, f := range hashedForms(i) {
		var all []string
		if n == 0 && len(i.Features) > 0 {
			all = append(all, slices.Max(i.Features))
		}
		all = append(all, f.FormType())
		empty := true
		for _, x := range f.Fields {
			if x.Var == form.FormTypeVar {
				continue
			}
			empty = false
			if x.Var == "" || len(x.Values) == 0 || strings.Contains(x.Var, ":") && !strings.HasPrefix(x.Var, "{") {
				return true // this may be a feature, and not the name of a field
			}
			slices.Sort(x.Values)
			all = append(append(all, x.Var), x.Values...)
		}
		if empty || identity(f.FormType()) || n == 0 && slices.IsSorted(all) {
			return true // an identity, or, where it goes on as the features do, features
		}
	}
	return false
}

// The separators of XEP-0390 section 4.1.
const (
	us = "\x1f"
	rs = "\x1e"
	gs = "\x1d"
	fs = "\x1c"
)

// input390 is what is hashed by XEP-0390 section 4.1; inherit says whether the language around an identity is its own.
func input390(i *disco.Info, inherit bool) ([]byte, error) {
	if i.Foreign {
		return nil, fmt.Errorf("%w: there are other elements", ErrIllFormed)
	}
	var features, ids, forms []string
	for _, f := range i.Features {
		features = append(features, f+us)
	}
	for _, id := range i.Identities {
		if id.Lang == "" && inherit {
			id.Lang = i.Lang
		}
		ids = append(ids, id.Category+us+id.Type+us+id.Lang+us+id.Name+us+rs)
	}
	for _, f := range i.Forms {
		if f.FormType() == "" || len(f.Reported) > 0 || len(f.Items) > 0 {
			return nil, fmt.Errorf("%w: a form has no FORM_TYPE, or items", ErrIllFormed)
		}
		var fields []string
		for _, x := range f.Fields {
			values := slices.Clone(x.Values)
			for n := range values {
				values[n] += us
			}
			fields = append(fields, x.Var+us+joined(values)+rs)
		}
		forms = append(forms, joined(fields)+gs)
	}
	return []byte(joined(features) + fs + joined(ids) + fs + joined(forms) + fs), nil
}

func joined(list []string) string {
	slices.Sort(list)
	return strings.Join(list, "")
}

// bare is a copy of an answer with what is hashed and nothing else: the rest is not verified by a hash that fits.
func bare(i *disco.Info, ns string, inherit bool) *disco.Info {
	out := &disco.Info{Identities: slices.Clone(i.Identities), Features: slices.Clone(i.Features)}
	if ns == NS2 && inherit {
		for n := range out.Identities { // section 6.2.1: what is implicit is kept
			if id := &out.Identities[n]; id.Lang == "" {
				id.Lang = i.Lang
			}
		}
	}
	for _, f := range hashedForms(i) {
		x := form.New(form.TypeResult, f.FormType())
		for _, field := range f.Fields {
			if field.Var != form.FormTypeVar {
				x.Fields = append(x.Fields, form.Field{Var: field.Var, Values: field.Values})
			}
		}
		out.Forms = append(out.Forms, x)
	}
	return out
}

// proof is an answer that fits a hash, as far as it is hashed.
type proof struct {
	hash Hash
	info *disco.Info
}

// verify compares an answer with the hashes of one announcement, of which the first is what the entity is known by.
// It returns those that can be trusted, whoever announces them. Without an error the first is that of the first hash.
// [ErrIllFormed] means not to use the answer at all; errMismatch, for that entity only. alone means that it will not stand for anybody else anyway.
func verify(set []Hash, i *disco.Info, alone bool) ([]proof, error) {
	if err := wellFormed(i); err != nil {
		return nil, err
	}
	var out []proof
	for n, h := range set {
		inherit := true
		fits := h.NS == NS2 && fits390(h, i, true)
		if !fits && h.NS == NS2 { // some entities do not know of a language that a server has put around the answer
			inherit = false
			fits = fits390(h, i, false)
		}
		if h.NS != NS2 {
			fits = (alone || !ambiguous(i)) && sum(h.Algo, input115(i)) == h.Value
		}
		switch {
		case fits:
			out = append(out, proof{h, bare(i, h.NS, inherit)})
		case n == 0 || h.NS == NS2: // all hashes of XEP-0390 have to fit
			return nil, errMismatch
		}
	}
	return out, nil
}

// fits390 is XEP-0390 section 4.4; an answer that cannot be hashed does not fit.
func fits390(h Hash, i *disco.Info, inherit bool) bool {
	input, err := input390(i, inherit)
	return err == nil && sum(h.Algo, input) == h.Value
}

// load makes sure that what a storage returns is what it was given.
func load(h Hash, xml string, alone bool) (*disco.Info, error) {
	e, err := stanza.ParseElement(xml)
	if err != nil {
		return nil, err
	}
	info, err := disco.ParseInfo(e)
	if err != nil {
		return nil, err
	}
	out, err := verify([]Hash{h}, info, alone)
	if err != nil {
		return nil, err
	}
	return out[0].info, nil
}
