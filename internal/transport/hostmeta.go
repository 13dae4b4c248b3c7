package transport

import (
	"context"
	"errors"
)

// HostMeta is what a domain says of its ways in over HTTP (XEP-0156).
type HostMeta struct {
	WebSocket []string // wss: addresses
	BOSH      []string // https: addresses
}

// LookUpHostMeta asks a domain, by https only, for its ways in over HTTP.
func LookUpHostMeta(ctx context.Context, w Web, domain string) (HostMeta, error) {
	return HostMeta{}, errors.ErrUnsupported
}
