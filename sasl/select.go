package sasl

import (
	"cmp"
	"crypto/tls"
	"slices"
)

// Names of the channel binding types that this package knows.
const (
	TLSExporter       = "tls-exporter"         // RFC 9266
	TLSUnique         = "tls-unique"           // RFC 5929 §3
	TLSServerEndPoint = "tls-server-end-point" // RFC 5929 §4
)

// bindingTypes is in order of preference: the last one binds to the certificate only, not to the connection.
var bindingTypes = []string{TLSExporter, TLSUnique, TLSServerEndPoint}

// Offer is what the server listed and what the connection is.
type Offer struct {
	// Mechanisms is the server's list, in any order.
	Mechanisms []string

	// BindingTypes is the server's list of channel binding types (XEP-0440).
	// Nil means that it sent no list, which is not the same as an empty one.
	BindingTypes []string

	// SASL2 says that the lists are those of SASL2 (XEP-0388), where every server sends the types along with -PLUS:
	// [Select] then fails with a *[DowngradeError] where somebody seems to have removed one of the two.
	// If false, the lists are those of RFC 6120, where servers exist that send one only.
	SASL2 bool

	// TLSVersion is the version of the verified TLS connection, tls.VersionTLS12 or tls.VersionTLS13.
	// If zero, there is no TLS: mechanisms that need it or bind to it are refused.
	TLSVersion uint16

	// Available reports whether the connection has data for a channel binding type, see [Available].
	// If nil, none is available.
	Available func(typ string) bool
}

// Policy is what the application accepts.
type Policy struct {
	// AllowPlain allows PLAIN, on an encrypted stream only.
	// If false, PLAIN is refused.
	AllowPlain bool

	// InsecureUnboundToken allows [SelectHT] the mechanisms HT-…-NONE, whose token works on every connection, also on a thief's.
	// If false, they are refused.
	InsecureUnboundToken bool

	// Minimum is the name of the weakest acceptable mechanism.
	// Weaker ones, by Rank, are refused, and so is everything if the name is neither known to Rank nor among the given mechanisms,
	// because a mistake in it must not open the door.
	// If empty, there is no minimum.
	Minimum string
}

// Choice is a mechanism that can be used, and what its Params need to say.
type Choice struct {
	// Mechanism is one of those given to Select.
	Mechanism Mechanism
	// BindingType goes to Params.BindingType; empty unless the mechanism binds to the channel.
	BindingType string
	// ServerOffersPlus goes to Params.ServerOffersPlus.
	ServerOffersPlus bool
}

// Select returns those of mechs that can be used with what the server offers, strongest first.
// Mechanisms of equal strength, and those that [Rank] does not know, stand where the caller put them:
// an unknown one counts as strong as the strongest known one behind it.
//
// A mechanism with channel binding is used only with a type of the server's list, or with tls-unique on TLS 1.2 or older where the server sent no list;
// a guess at the type costs the login on servers that list -PLUS without being able to do it.
// tls-unique is never used on TLS 1.3, where it is not defined.
//
// With o.SASL2 the rules of XEP-0440 come first, see [Offer].
//
// If nothing is left the error is a *[NoMechanismError].
func Select(mechs []Mechanism, o Offer, p Policy) ([]Choice, error) {
	if err := checkBindingLists(mechs, o); err != nil {
		return nil, err
	}
	rank := effective(mechs)
	minimum := 0
	known := true
	if p.Minimum != "" {
		if minimum = Rank(p.Minimum); minimum == 0 {
			i := slices.IndexFunc(mechs, func(m Mechanism) bool { return m.Name == p.Minimum })
			if known = i >= 0; known {
				minimum = rank[i]
			}
		}
	}
	plus := slices.ContainsFunc(o.Mechanisms, isPlus)
	typ := bindingType(o)

	type ranked struct {
		Choice
		rank int
	}
	var usable []ranked
	var refused []Refusal
	for i, m := range mechs {
		reason := ""
		switch {
		case !slices.Contains(o.Mechanisms, m.Name):
			reason = "not offered"
		case !known:
			reason = "the minimum " + clip(p.Minimum) + " is unknown"
		case rank[i] < minimum:
			reason = "weaker than the minimum " + clip(p.Minimum)
		case m.Name == "PLAIN" && !p.AllowPlain:
			reason = "not allowed"
		case (m.NeedsTLS || m.Name == "PLAIN") && o.TLSVersion == 0:
			reason = "stream is not encrypted"
		case isHT(m.Name) && !m.Binding && !p.InsecureUnboundToken:
			reason = "its token is bound to nothing"
		case m.bindingType != "" && (o.Available == nil || !o.Available(m.bindingType)):
			reason = "no data for " + m.bindingType
		case m.Binding && m.bindingType == "" && typ == "":
			reason = "no channel binding type in common"
		case m.New == nil:
			reason = "has no New function"
		}
		if reason != "" {
			refused = append(refused, Refusal{Name: m.Name, Reason: reason})
			continue
		}
		c := Choice{Mechanism: m, ServerOffersPlus: plus}
		if m.Binding {
			c.BindingType = cmp.Or(m.bindingType, typ)
		}
		usable = append(usable, ranked{c, rank[i]})
	}
	if len(usable) == 0 {
		return nil, &NoMechanismError{Offered: slices.Clone(o.Mechanisms), Refused: refused}
	}
	slices.SortStableFunc(usable, func(a, b ranked) int { return b.rank - a.rank })
	out := make([]Choice, len(usable))
	for i, u := range usable {
		out[i] = u.Choice
	}
	return out, nil
}

// bindingType picks the type to bind with, "" for none.
func bindingType(o Offer) string {
	if o.TLSVersion == 0 || o.Available == nil {
		return ""
	}
	for _, typ := range bindingTypes {
		if typ == TLSUnique && o.TLSVersion > tls.VersionTLS12 {
			continue
		}
		if o.BindingTypes == nil && typ != TLSUnique {
			continue
		}
		if o.BindingTypes != nil && !slices.Contains(o.BindingTypes, typ) {
			continue
		}
		if o.Available(typ) {
			return typ
		}
	}
	return ""
}
