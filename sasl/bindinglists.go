package sasl

import (
	"slices"
	"strings"
)

// checkBindingLists is what XEP-0440 §3 demands on SASL2 of a client that can bind to the channel:
// -PLUS and the list of types come together, and the one type that every server has is not missing where no other will do.
func checkBindingLists(mechs []Mechanism, o Offer) error {
	can := o.SASL2 && o.TLSVersion != 0 && o.Available != nil &&
		slices.ContainsFunc(mechs, func(m Mechanism) bool { return m.Binding }) && slices.ContainsFunc(bindingTypes, o.Available)
	plus := slices.ContainsFunc(o.Mechanisms, isPlus)
	switch {
	case !can:
	case plus && o.BindingTypes == nil:
		return &DowngradeError{Reason: "mechanisms with channel binding, and no list of types for it"}
	case !plus && o.BindingTypes != nil:
		return &DowngradeError{Reason: "types of channel binding, and no mechanism with it"}
	case plus && bindingType(o) == "" && !slices.Contains(o.BindingTypes, TLSServerEndPoint):
		return &DowngradeError{Reason: "no channel binding type in common, and the one that all servers have is missing"}
	}
	return nil
}

func isPlus(name string) bool { return strings.HasSuffix(name, "-PLUS") }
