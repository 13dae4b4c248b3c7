package transport

import (
	"context"
	"errors"
)

// DialBOSH makes a wire of HTTP requests, BOSH (XEP-0124, XEP-0206), to the address. It sends nothing: the session begins with the first header
// that is written. ctx does not bound the session.
func DialBOSH(ctx context.Context, w Web, url string) (Wire, error) {
	return nil, errors.ErrUnsupported
}
