package sasl

import (
	"encoding/base64"
	"fmt"
	"hash"
	"slices"
	"strings"
)

// checkOffer compares what the server says, under its signature, that it had offered with what arrived.
// A server that says nothing is not suspected: most do not know XEP-0474.
func checkOffer(h func() hash.Hash, first serverFirst, o *Offer) error {
	if o == nil {
		return nil
	}
	if first.old != "" && first.old != offerHash03(h, *o, true) && first.old != offerHash03(h, *o, false) {
		return &DowngradeError{Reason: "the server signs other lists than were received"}
	}
	if first.ssdp == "" {
		return nil
	}
	if first.ssdp != offerHash(h, *o) {
		return &DowngradeError{Reason: "the server signs other lists than were received"}
	}
	// XEP-0515 builds on XEP-0474; without it t= may be anybody's extension.
	if first.tls != "" && first.tls != fmt.Sprintf("%04x", o.TLSVersion) {
		return &DowngradeError{Reason: "the server signs another TLS version than that of the connection"}
	}
	return nil
}

// offerHash03 is the attribute d of version 0.3 of XEP-0474, which ejabberd sent for some releases:
// as h, with commas and a bar. It left out the types for a mechanism that does not bind, so either form is right.
func offerHash03(h func() hash.Hash, o Offer, types bool) string {
	s := joinSorted(o.Mechanisms, ",")
	if types && len(o.BindingTypes) > 0 {
		s += "|" + joinSorted(o.BindingTypes, ",")
	}
	d := h()
	d.Write([]byte(s))
	return base64.StdEncoding.EncodeToString(d.Sum(nil))
}

// offerHash is the attribute h of XEP-0474 §5: both lists in octet order, their items separated by 0x1E, the lists by 0x1F.
// The second list takes part only where the server sent one.
func offerHash(h func() hash.Hash, o Offer) string {
	s := joinSorted(o.Mechanisms, "\x1e")
	if o.BindingTypes != nil {
		s += "\x1f" + joinSorted(o.BindingTypes, "\x1e")
	}
	d := h()
	d.Write([]byte(s))
	return base64.StdEncoding.EncodeToString(d.Sum(nil))
}

func joinSorted(list []string, sep string) string {
	list = slices.Clone(list)
	slices.Sort(list)
	return strings.Join(list, sep)
}
