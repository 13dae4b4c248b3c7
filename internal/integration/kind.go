package integration

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// Kind is a server program of one generation.
type Kind string

// The kinds of servers.
const (
	Prosody    Kind = "prosody"    // Prosody 0.12
	Ejabberd   Kind = "ejabberd"   // ejabberd 23
	Prosody13  Kind = "prosody13"  // Prosody 13
	Ejabberd26 Kind = "ejabberd26" // ejabberd 26
)

// Kinds returns all kinds, the older pair first.
func Kinds() []Kind { return []Kind{Prosody, Ejabberd, Prosody13, Ejabberd26} }

// ParseKind returns the kind of that name.
func ParseKind(name string) (Kind, error) {
	if k := Kind(name); slices.Contains(Kinds(), k) {
		return k, nil
	}
	return "", fmt.Errorf("integration: no server kind %q; there are %v", name, Kinds())
}

// IsProsody reports whether it is one of the versions of Prosody; the others are ejabberd.
func (k Kind) IsProsody() bool { return k == Prosody || k == Prosody13 }

// wanted returns the kinds that XMPP_SERVERS leaves.
func wanted() ([]Kind, error) {
	list := os.Getenv("XMPP_SERVERS")
	if list == "" {
		return Kinds(), nil
	}
	var ks []Kind
	for name := range strings.SplitSeq(list, ",") {
		k, err := ParseKind(strings.TrimSpace(name))
		if err != nil {
			return nil, fmt.Errorf("XMPP_SERVERS: %w", err)
		}
		ks = append(ks, k)
	}
	return ks, nil
}

// The domains that every server hosts.
const (
	// Full has everything switched on: archive, PubSub, PEP, SASL2 where there is one, and the components below it:
	// "conference.", "pubsub.", "upload." and "proxy.localhost". Passwords are stored in clear text, so every mechanism works.
	Full = "localhost"
	// Lean is close to RFC 6120 and 6121: no archive, no SASL2; with privacy lists and "conference.xmpp.test", which does not lock new rooms.
	// It is the domain for measuring.
	Lean = "xmpp.test"
	// TLS12Host is to be used on the port [TLS12], which speaks TLS 1.2 at most where the server has [TLS12Only].
	TLS12Host = "tls12.test"
	// Hashed stores SCRAM-SHA-1 hashes only.
	Hashed = "hashed.test"
	// Hashed256 stores SCRAM-SHA-256 hashes only.
	Hashed256 = "hashed256.test"
	// Anon offers ANONYMOUS; it has no accounts.
	Anon = "anon.test"
	// CertHost offers EXTERNAL to clients with a certificate, on the port [ClientCert].
	CertHost = "cert.test"
	// Plain needs no TLS on the port [PlainAllowed]: PLAIN in clear text and the older XEP-0078.
	Plain = "plain.test"
	// Invited makes accounts only for who has an invitation, where the server has [Invitations]; its administrator makes them. Elsewhere it is like any other.
	Invited = "invited.test"
)

// The components that may connect, with [ComponentSecret], to the port [Component].
// One connection at a time has a name.
const (
	ComponentFull   = "echo.localhost"
	ComponentLean   = "comp.xmpp.test"
	ComponentSecret = "component-secret"
)

// Port is a purpose that a server has a port for.
type Port uint8

// The ports of a server.
const (
	STARTTLS     Port = iota // clients, TLS by STARTTLS required
	DirectTLS                // clients, TLS from the first byte (XEP-0368)
	PlainAllowed             // clients without TLS; use it with the domain Plain
	ClientCert               // clients, asks for a certificate; use it with the domain CertHost
	TLS12                    // clients, STARTTLS; use it with the domain TLS12Host
	Component                // external components (XEP-0114)
	Proxy65                  // the SOCKS5 bytestreams proxy (XEP-0065)
	HTTP                     // BOSH, WebSocket, uploads, and ejabberd's API
	HTTPS                    // BOSH, WebSocket, uploads
	STUN                     // UDP; ejabberd answers STUN and TURN there, Prosody only announces it
	numPorts
)

var portNames = [numPorts]string{"STARTTLS", "DirectTLS", "PlainAllowed", "ClientCert", "TLS12", "Component", "Proxy65", "HTTP", "HTTPS", "STUN"}

// String returns the name of the constant.
func (p Port) String() string {
	if p < numPorts {
		return portNames[p]
	}
	return fmt.Sprintf("Port(%d)", uint8(p))
}

// AllPorts returns every port of a server.
func AllPorts() []Port {
	ps := make([]Port, numPorts)
	for i := range ps {
		ps[i] = Port(i)
	}
	return ps
}
