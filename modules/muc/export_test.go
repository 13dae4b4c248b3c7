package muc

// LimitHeld makes what is held back while an archive is read less, until the function that it returns is called.
func LimitHeld(messages, bytes int) (restore func()) {
	was := [...]int{maxHeld, maxHeldSize}
	maxHeld, maxHeldSize = messages, bytes
	return func() { maxHeld, maxHeldSize = was[0], was[1] }
}
