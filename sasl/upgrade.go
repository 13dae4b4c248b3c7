package sasl

import (
	"context"
	"fmt"
)

// SaltedPassword computes what a server asks for in an upgrade task of XEP-0480: SCRAM's SaltedPassword (RFC 5802 §3)
// of the password of cred, for a salt and an iteration count that the server chose.
//
// The mechanism is the name of a SCRAM mechanism of this package without -PLUS; any other is [ErrNoMechanism].
// The iteration count must be between 4096 and limit, 1,000,000 if limit is zero: else the error matches [ErrIterations], and the password is not asked for.
// The salt must not be empty ([ErrMalformed]). The derivation stops within 100 ms when ctx ends, with the error of ctx.
//
// The result is as good as the password: send it only to a server that has proved itself, bound to the channel, and overwrite it then.
func SaltedPassword(ctx context.Context, mechanism string, cred Credentials, salt []byte, iterations, limit int) ([]byte, error) {
	h := scramHashes[mechanism]
	if h == nil {
		return nil, fail(ErrNoMechanism, clip(mechanism)+" is not a SCRAM mechanism without channel binding")
	}
	if limit == 0 {
		limit = maxIterations
	}
	if iterations < minIterations || iterations > limit {
		return nil, fail(ErrIterations, fmt.Sprintf("%d is not in %d…%d", iterations, minIterations, limit))
	}
	switch {
	case len(salt) == 0:
		return nil, fail(ErrMalformed, "empty salt")
	case len(salt) > maxMessage:
		return nil, fail(ErrMalformed, "longer than 16 KiB")
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	pw, err := cred.password(ctx)
	if err != nil {
		return nil, err
	}
	defer clear(pw)
	return hi(ctx, h, pw, salt, iterations)
}
