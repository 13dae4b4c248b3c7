package transport

import (
	"context"
	"errors"

	_ "github.com/coder/websocket"
)

// DialWebSocket makes a wire of a WebSocket (RFC 7395) to a wss: address.
func DialWebSocket(ctx context.Context, w Web, url string) (Wire, error) {
	return nil, errors.ErrUnsupported
}

// SeeOtherURIError says that the server has closed the stream and names another address for it (RFC 7395 section 3.6.1).
// Nothing of the address has been checked.
type SeeOtherURIError struct {
	URI string
}

func (e *SeeOtherURIError) Error() string { return "websocket: the server names another address" }
