package transport

// Order returns the targets in the order of RFC 2782.
func Order(targets []Target, rnd func(n int) int) []Target { return targets }
