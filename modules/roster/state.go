package roster

// State is one of the nine states of a subscription (RFC 6121 appendix A.1): who gets whose presence, and who has asked for it.
type State uint8

const (
	pendingOut State = 4
	pendingIn  State = 8
)

// The states. Out is a request of the account, In one of the contact.
const (
	StateNone             = State(SubscriptionNone)
	StateNonePendingOut   = StateNone | pendingOut
	StateNonePendingIn    = StateNone | pendingIn
	StateNonePendingOutIn = StateNone | pendingOut | pendingIn
	StateTo               = State(SubscriptionTo)
	StateToPendingIn      = StateTo | pendingIn
	StateFrom             = State(SubscriptionFrom)
	StateFromPendingOut   = StateFrom | pendingOut
	StateBoth             = State(SubscriptionBoth)
)

// String is the name of the state as the RFC writes it: None, None + Pending Out, …
func (s State) String() string {
	name := [...]string{"None", "To", "From", "Both"}[s&State(SubscriptionBoth)]
	switch s & (pendingOut | pendingIn) {
	case pendingOut:
		name += " + Pending Out"
	case pendingIn:
		name += " + Pending In"
	case pendingOut | pendingIn:
		name += " + Pending Out+In"
	}
	return name
}
