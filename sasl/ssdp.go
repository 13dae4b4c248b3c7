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
	if first.ssdp == "" || o == nil {
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

// offerHash is the attribute h of XEP-0474 §5: both lists in octet order, their items separated by 0x1E, the lists by 0x1F.
// The second list takes part only where the server sent one.
func offerHash(h func() hash.Hash, o Offer) string {
	s := joinSorted(o.Mechanisms)
	if o.BindingTypes != nil {
		s += "\x1f" + joinSorted(o.BindingTypes)
	}
	d := h()
	d.Write([]byte(s))
	return base64.StdEncoding.EncodeToString(d.Sum(nil))
}

func joinSorted(list []string) string {
	list = slices.Clone(list)
	slices.Sort(list)
	return strings.Join(list, "\x1e")
}
