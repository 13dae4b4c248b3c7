// Package jid implements XMPP addresses ("Jabber identifiers") as defined by RFC 7622.
//
// An address is [localpart@]domainpart[/resourcepart].
// A [JID] holds only addresses that passed enforcement, in one canonical spelling,
// so == compares addresses as the RFC demands, and a JID is a good map key.
//
// What enforcement means, part by part:
//
//   - localpart: PRECIS UsernameCaseMapped (RFC 8265), that is lower case, width-folded, NFC,
//     and none of "&'/:<>@. Characters outside of that set are carried by [Escape] (XEP-0106).
//   - domainpart: an IPv4 address, an IPv6 address in brackets and without a zone, or a domain name.
//     Names are mapped by UTS #46 (lower case, width, NFC), checked by IDNA2008 and kept as U-labels;
//     [JID.ASCIIDomain] gives the A-labels that DNS and TLS want.
//     A trailing dot is removed.
//     The limits of DNS apply too: 63 octets a label, 253 a name, counted on A-labels.
//     Beyond the RFC, an underscore is accepted, because servers run under such names.
//   - resourcepart: PRECIS OpaqueString: case-sensitive, spaces become U+0020, NFC.
//
// Every part is at most 1023 octets after enforcement.
// Enforcement is idempotent: Parse(j.String()) gives j again,
// because the rules are applied until they change nothing more,
// and an input that does not settle is refused.
//
// Servers that still prepare addresses with stringprep (RFC 6122) spell a few of them in another way:
// they turn "ß" into "ss", for example.
// Two such spellings are two different addresses here.
// Code points that Unicode assigned after the tables of golang.org/x/text were made are refused.
//
// Addresses made to look like other addresses are accepted, since the RFC accepts them:
// see [JID.MixedScript] and [JID.Skeleton].
package jid
