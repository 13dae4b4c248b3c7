package xmlstream

import "fmt"

// Limits bounds what a Decoder accepts.
type Limits struct {
	StanzaBytes int // If zero, 64 KiB.
	Depth       int // If zero, 100.
	Attrs       int // If zero, 128.
	NSDecls     int // If zero, 32.
	Elements    int // If zero, 500,000.
}

// DefaultLimits returns the limits before authentication.
func DefaultLimits() Limits {
	return Limits{StanzaBytes: 64 << 10, Depth: 100, Attrs: 128, NSDecls: 32, Elements: 500_000}
}

// Error is XML that the stream may not carry.
type Error struct {
	Condition string // a stream error condition of RFC 6120 §4.9.3
	Reason    string
	Offset    int64
}

func (e *Error) Error() string {
	return fmt.Sprintf("xmlstream: %s: %s (byte %d)", e.Condition, e.Reason, e.Offset)
}
