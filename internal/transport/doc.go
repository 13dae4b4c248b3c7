// Package transport finds, dials and authenticates the server of an XMPP domain, and carries streams to it.
//
// Four steps, each usable alone:
//
//   - [Resolve] turns a domain into an ordered list of targets: both SRV services merged
//     (RFC 6120 §3.2, XEP-0368), or the domain itself when it has no SRV record at all.
//   - [Order] is the selection of RFC 2782 alone.
//   - [Dial] connects to one target by happy eyeballs (RFC 8305).
//   - [ClientTLS] and [VerifyPeer] check that the peer is the domain of the account,
//     whatever host was dialled (RFC 6120 §13.7, RFC 9525).
//
// A [Wire] is what the root reads elements from and writes them to, whatever is below: [XML] over TCP,
// [DialWebSocket] (RFC 7395), [DialBOSH] (XEP-0124, XEP-0206). [Web] is what the last two need of the stream;
// [LookUpHostMeta] finds their addresses (XEP-0156).
//
// [ProxyDial] takes the place of a dialer behind a SOCKS5 or HTTP proxy, which looks names up by itself: [DialName] then takes that of [Dial].
// [Compress] is for what comes after the login.
//
// # What is trusted
//
// DNS is not. An SRV target, a redirect or a host set by hand only say where to knock;
// the certificate is always checked against the domain of the JID.
// DANE (TLSA records, RFC 7673) is not implemented, no DNSSEC status is read,
// and the TXT records that XEP-0156 once had are never asked for.
package transport
