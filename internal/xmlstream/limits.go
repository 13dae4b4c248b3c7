package xmlstream

// Limits bounds what a Decoder accepts. Crossing a limit is a policy-violation.
type Limits struct {
	// StanzaBytes is the size on the wire of one top-level element, from its first '<' to its last '>',
	// and likewise that of the stream's header with its XML declaration.
	// White space between top-level elements does not count.
	// If zero, it is 64 KiB; values above 1 GiB mean 1 GiB.
	StanzaBytes int

	// Depth is how deep elements nest, the top-level element counting as 1.
	// If zero, it is 100.
	Depth int

	// Attrs is the number of attributes of one element, namespace declarations included.
	// If zero, it is 128; values above 65,535 mean 65,535.
	Attrs int

	// NSDecls is the number of namespace declarations of one element.
	// Four times as many prefixes may be in scope at one time.
	// If zero, it is 32.
	NSDecls int

	// Elements is the number of elements in one top-level element; twice as many attributes are allowed.
	// It bounds the memory of the tree, which is up to 30 times that of its bytes.
	// If zero, it is 500,000: five times the elements of a large roster.
	Elements int

	// Name is the length in bytes of the name of an element or an attribute, prefix included.
	// If zero, it is 1,024; values above 65,535 mean 65,535.
	Name int
}

// DefaultLimits returns the limits in force before authentication, when StanzaBytes is 64 KiB.
func DefaultLimits() Limits {
	return Limits{
		StanzaBytes: 64 << 10,
		Depth:       100,
		Attrs:       128,
		NSDecls:     32,
		Elements:    500_000,
		Name:        1024,
	}
}

// withDefaults fills in what is zero and cuts what the records cannot hold.
func (l Limits) withDefaults() Limits {
	def := DefaultLimits()
	pick := func(v, def, most int) int {
		if v <= 0 {
			return def
		}
		return min(v, most)
	}
	return Limits{
		StanzaBytes: pick(l.StanzaBytes, def.StanzaBytes, 1<<30),
		Depth:       pick(l.Depth, def.Depth, 1<<30),
		Attrs:       pick(l.Attrs, def.Attrs, 1<<16-1),
		NSDecls:     pick(l.NSDecls, def.NSDecls, 1<<16-1),
		Elements:    pick(l.Elements, def.Elements, 1<<29),
		Name:        pick(l.Name, def.Name, 1<<16-1),
	}
}
