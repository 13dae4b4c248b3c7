package sasl

import (
	"fmt"
	"io"
)

// redacted is embedded in the clients, so that printing one shows neither account nor keys, whatever the verb.
type redacted struct{}

func (redacted) String() string { return "sasl.Client{[redacted]}" }

func (redacted) GoString() string { return redacted{}.String() }

func (redacted) Format(f fmt.State, _ rune) { io.WriteString(f, redacted{}.String()) }

func (redacted) MarshalJSON() ([]byte, error) { return []byte("{}"), nil }
