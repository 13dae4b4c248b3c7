// Package sasl holds the client side of the SASL mechanisms that XMPP uses:
// SCRAM-SHA-1, -256 and -512, each with and without channel binding (RFC 5802, RFC 7677), PLAIN (RFC 4616) and ANONYMOUS (RFC 4505).
//
// The package works on raw bytes.
// It knows no XML, does not do the base64 that XMPP wraps round each message, and performs no I/O.
// Whoever carries the messages writes a loop such as this:
//
//	choices, err := sasl.Select(sasl.Default(), offer, policy)
//	c, err := choices[0].Mechanism.New(params)
//	response, err := c.Start(ctx)         // goes into <auth/>
//	response, err = c.Next(ctx, challenge) // for each <challenge/>
//	err = c.Success(ctx, data)             // for <success/>; only nil means authenticated
//
// # What authenticated means
//
// A nil error of [Client.Success] is the only proof.
// For SCRAM it is given only after the server's signature was compared, in constant time, with the one that follows from the password:
// a server that says success early, without a signature or with a wrong one does not know the password, and the attempt fails.
// PLAIN and ANONYMOUS prove nothing about the server; only TLS does there.
// An error ends the attempt: every later call on the same [Client] returns that error.
//
// # Choosing
//
// [Select] filters the mechanisms of the application by what the server offers, by the connection, and by the application's [Policy], and puts them in order of [Rank].
// PLAIN takes part only when it is allowed and the stream is encrypted.
// Whether TLS was verified is for the caller to see to before it sets [Offer.TLSVersion].
//
// # Secrets
//
// The password is asked for when it is needed and not earlier; with keys in a [KeyCache] it is not asked for at all.
// The slice that the callback returns stays the caller's and is not changed.
// The library overwrites with zeros its own copy of the password, the salted password and the derived keys as soon as it is done with them.
// That is best effort: the garbage collector may have moved or copied memory, and hash states of the standard library cannot be wiped.
// No String, Format, GoString or MarshalJSON method of this package prints a secret, and no error holds one.
package sasl
