package jid

// MixedScript and Skeleton follow.
func (j JID) MixedScript() bool { return false }

// Skeleton follows.
func (j JID) Skeleton() string { return j.s }
