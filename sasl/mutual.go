package sasl

import "context"

// mutualState is where an exchange stands. It only grows.
type mutualState int

const (
	mutualNew      mutualState = iota
	mutualStarted              // a challenge is awaited
	mutualAnswered             // the server has the response
	mutualVerified             // the server has proved itself
	mutualDone                 // and has said success
)

// mutual is the course of a mechanism in which the client answers one challenge, and the server proves itself with its success
// or in a challenge before it: SCRAM and DIGEST-MD5, which embed it and set steps to themselves.
type mutual struct {
	redacted
	steps steps
	state mutualState
	err   error // sticky
}

// steps are what differs from mechanism to mechanism. Each is called once; after an error nothing but failed is.
type steps interface {
	// first makes the initial response.
	first() ([]byte, error)
	// respond answers the challenge.
	respond(ctx context.Context, challenge []byte) ([]byte, error)
	// verify reads the server's proof.
	verify(msg []byte) error
	// failed is told that the exchange is over, and whether the server has the response.
	failed(answered bool)
}

// fail ends the exchange: nothing can succeed after it.
func (x *mutual) fail(err error) error {
	if x.err == nil {
		x.err = err
		x.steps.failed(x.state == mutualAnswered)
	}
	return x.err
}

func (x *mutual) Start(ctx context.Context) ([]byte, error) {
	if x.err != nil {
		return nil, x.err
	}
	if x.state != mutualNew {
		return nil, x.fail(fail(ErrUnexpected, "Start was called before"))
	}
	if err := ctx.Err(); err != nil {
		return nil, x.fail(err)
	}
	message, err := x.steps.first()
	if err != nil {
		return nil, x.fail(err)
	}
	x.state = mutualStarted
	return message, nil
}

func (x *mutual) Next(ctx context.Context, challenge []byte) ([]byte, error) {
	if x.err != nil {
		return nil, x.err
	}
	switch x.state {
	case mutualStarted:
		if err := ctx.Err(); err != nil {
			return nil, x.fail(err)
		}
		response, err := x.steps.respond(ctx, challenge)
		if err != nil {
			return nil, x.fail(err)
		}
		x.state = mutualAnswered
		return response, nil
	case mutualAnswered: // the server then expects an empty response (RFC 6120 section 6.4.3)
		if err := x.prove(challenge); err != nil {
			return nil, err
		}
		return []byte{}, nil
	}
	return nil, x.fail(fail(ErrUnexpected, "a challenge at this point"))
}

// prove is the only way to the state mutualVerified.
func (x *mutual) prove(msg []byte) error {
	if err := x.steps.verify(msg); err != nil {
		return x.fail(err)
	}
	x.state = mutualVerified
	return nil
}

func (x *mutual) Success(_ context.Context, data []byte) error {
	if x.err != nil {
		return x.err
	}
	switch x.state {
	case mutualAnswered:
		if len(data) == 0 {
			return x.fail(fail(ErrServerSignature, "success without it"))
		}
		if err := x.prove(data); err != nil {
			return err
		}
	case mutualVerified:
		if len(data) > 0 {
			return x.fail(fail(ErrUnexpected, "data after the server's proof"))
		}
	default:
		return x.fail(fail(ErrUnexpected, "success at this point"))
	}
	x.state = mutualDone
	return nil
}
