// Package sasl holds the client side of the SASL mechanisms that XMPP uses:
// SCRAM-SHA-1, -256 and -512, each with and without channel binding (RFC 5802, RFC 7677), PLAIN (RFC 4616), ANONYMOUS (RFC 4505),
// EXTERNAL (RFC 4422), OAUTHBEARER (RFC 7628), X-OAUTH2, DIGEST-MD5 (RFC 2831), and HT, the tokens of FAST (XEP-0484).
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
// The same goes for the responder's message of HT and rspauth of DIGEST-MD5.
// PLAIN, ANONYMOUS, EXTERNAL, OAUTHBEARER and X-OAUTH2 prove nothing about the server; only TLS does there.
// An error ends the attempt: every later call on the same [Client] returns that error.
//
// # Choosing
//
// [Select] filters the mechanisms of the application by what the server offers, by the connection, and by the application's [Policy], and puts them in order of [Rank].
// PLAIN takes part only when it is allowed and the stream is encrypted.
// Whether TLS was verified is for the caller to see to before it sets [Offer.TLSVersion].
//
//	Mechanism     in Default  needs TLS  secret in Credentials.Password  server proves itself  challenges
//	SCRAM-…-PLUS  yes         yes        password                        yes, on this channel  1
//	SCRAM-…       yes         no         password                        yes                   1
//	PLAIN         yes¹        yes        password, shown to the server   no                    0
//	EXTERNAL      no          yes        none                            no                    0
//	HT-…          no          yes        token, byte for byte            yes²                  0
//	OAUTHBEARER   no          yes        token, shown to the server      no                    0, 1 where it is refused
//	X-OAUTH2      no          yes        token, shown to the server      no                    0
//	DIGEST-MD5    no          no         password                        yes, weakly           2
//	ANONYMOUS     no          no         none                            no                    0
//
// ¹ taken only with [Policy.AllowPlain]. ² on this channel, unless the name ends in NONE, which takes [Policy.InsecureUnboundToken].
// One round trip is added for each challenge.
// EXTERNAL and ANONYMOUS leave it to the server which account it is: [Mechanism.ServerIdentity].
//
// # Downgrades
//
// Three things show that somebody took the strong mechanisms out of the server's list, and each is [ErrDowngrade]:
//
//   - The server signs its list (XEP-0474) and its TLS version (XEP-0515), and SCRAM compares them before the proof is made.
//     That is no option: it is done whenever [Params.Offer] is given and the server sends it, also in the form that version 0.3 had.
//   - On SASL2 the list of mechanisms and that of channel binding types (XEP-0440) vouch for each other, [Offer.SASL2].
//     A server that lists the types without a -PLUS mechanism, because its accounts allow only PLAIN, is refused, too: it looks the same.
//   - Something weaker than what has worked on the account before is for the caller to refuse, with [Downgrade] or, more strictly, [Rank]:
//     once SCRAM or EXTERNAL worked, never PLAIN.
//
// # Secrets
//
// The password, or the token, is asked for when it is needed and not earlier; with keys in a [KeyCache] it is not asked for at all.
// The slice that the callback returns stays the caller's and is not changed.
// The library overwrites with zeros its own copy of the password, the salted password and the derived keys as soon as it is done with them.
// That is best effort: the garbage collector may have moved or copied memory, and hash states of the standard library cannot be wiped.
// No String, Format, GoString or MarshalJSON method of this package prints a secret, and no error holds one.
package sasl
