package transport

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// NameError says that a certificate, valid in itself, is for somebody else.
type NameError struct {
	Domain    string   // the domain it had to be for
	Presented []string // the names it is for, as "DNS:…", "SRV:…", "XMPP:…", "IP:…"; as the peer wrote them, at most 100
}

// Error names the domain and the first names of the certificate, quoted and cut.
func (e *NameError) Error() string {
	const show, cut = 5, 80
	var b strings.Builder
	fmt.Fprintf(&b, "the certificate is not for %q", e.Domain)
	for i, name := range e.Presented {
		if i == show {
			fmt.Fprintf(&b, " and %d more", len(e.Presented)-show)
			break
		}
		b.WriteString([]string{", only for ", ", "}[min(i, 1)])
		fmt.Fprintf(&b, "%+q", name[:min(len(name), cut)])
	}
	if len(e.Presented) == 0 {
		b.WriteString(", it names no domain at all")
	}
	return b.String()
}

// VerifyPeer checks the certificates of a connection: first the chain up to roots
// at the time now, for the use as a TLS server, then that the leaf is for the domain.
// It may be used on a handshake's state or later; it asks nobody and reads no revocation list.
//
// The reference identifier is the domain of the JID (RFC 6120 §13.7.2.1). It is matched by any of:
//
//   - a dNSName, where "*" may stand for exactly the whole left-most label (RFC 9525 §6.3);
//   - an SRVName _xmpp-client or _xmpps-client of it (RFC 4985), with the same rule for "*";
//   - an XmppAddr (RFC 6120 §13.7.1.4) equal to it, as the A-labels of domainA or as domainU has it;
//   - for an IP address, an iPAddress that is the same; nothing else then.
//
// The common name is never read. Constraints on DNS names in the chain count for
// SRVName and XmppAddr too: they exist to keep an authority inside its own domains.
//
// domainA is the ASCII form, domainU the JID's own; if domainU is empty, domainA.
// If roots is nil, those of the system; if now is nil, time.Now.
// Every error is a [*tls.CertificateVerificationError] whose text names the domain;
// it wraps a [*NameError] or what crypto/x509 said.
func VerifyPeer(cs tls.ConnectionState, domainA, domainU string, roots *x509.CertPool, now func() time.Time) error {
	_, err := verifyPeer(cs, domainA, domainU, roots, now)
	return err
}

// verifyPeer is VerifyPeer; it also returns the chains by which the leaf is trusted for the domain.
func verifyPeer(cs tls.ConnectionState, domainA, domainU string, roots *x509.CertPool, now func() time.Time) ([][]*x509.Certificate, error) {
	if domainU == "" {
		domainU = domainA
	}
	if now == nil {
		now = time.Now
	}
	chains, err := verifyCerts(cs.PeerCertificates, domainA, domainU, roots, now())
	if err != nil {
		return nil, &tls.CertificateVerificationError{UnverifiedCertificates: cs.PeerCertificates, Err: err}
	}
	return chains, nil
}

func verifyCerts(certs []*x509.Certificate, domainA, domainU string, roots *x509.CertPool, now time.Time) ([][]*x509.Certificate, error) {
	if len(certs) == 0 {
		return nil, fmt.Errorf("%q: %w", domainU, errors.New("the server sent no certificate"))
	}
	other, err := parseOtherNames(certs[0])
	leaf := certs[0]
	if err == nil && other.any() {
		leaf = withoutUnhandledSAN(leaf)
	}
	opts := x509.VerifyOptions{
		Roots:         roots,
		Intermediates: x509.NewCertPool(),
		CurrentTime:   now,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, c := range certs[1:] {
		opts.Intermediates.AddCert(c)
	}
	chains, err := leaf.Verify(opts)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", domainU, err)
	}

	ip, err := netip.ParseAddr(strings.Trim(domainA, "[]"))
	if err == nil {
		if matchIP(leaf, ip) {
			return chains, nil
		}
	} else {
		if matchDNS(leaf.DNSNames, domainA) {
			return chains, nil // x509 has applied the name constraints to these
		}
		if other.match(domainA, domainU) {
			chains = slices.DeleteFunc(chains, func(chain []*x509.Certificate) bool {
				return !chainPermits(chain, domainA)
			})
			if len(chains) > 0 {
				return chains, nil
			}
		}
	}
	return nil, &NameError{Domain: domainU, Presented: presentedNames(leaf, other)}
}

func matchIP(leaf *x509.Certificate, ip netip.Addr) bool {
	return slices.ContainsFunc(leaf.IPAddresses, func(b net.IP) bool {
		a, ok := netip.AddrFromSlice(b)
		return ok && a.Unmap() == ip.Unmap()
	})
}

// matchDNS reports whether one of the patterns stands for the domain, an A-label form without a trailing dot.
func matchDNS(patterns []string, domain string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matchPattern(p, domain) })
}

// matchPattern follows RFC 9525 §6.3. A "*" inside a label, in another label, or alone matches nothing.
func matchPattern(pattern, domain string) bool {
	if domain == "" || strings.Contains(domain, "*") {
		return false
	}
	pattern, domain = lowerASCII(pattern), lowerASCII(domain)
	if pattern == domain {
		return true
	}
	rest, wild := strings.CutPrefix(pattern, "*.")
	label, parent, dotted := strings.Cut(domain, ".")
	return wild && dotted && label != "" && rest != "" && rest == parent
}

// chainPermits applies the DNS name constraints of a chain's authorities (RFC 5280 §4.2.1.10) to a domain.
func chainPermits(chain []*x509.Certificate, domain string) bool {
	for _, ca := range chain[1:] {
		in := func(constraint string) bool { return inSubtree(domain, constraint) }
		if slices.ContainsFunc(ca.ExcludedDNSDomains, in) {
			return false
		}
		if len(ca.PermittedDNSDomains) > 0 && !slices.ContainsFunc(ca.PermittedDNSDomains, in) {
			return false
		}
	}
	return true
}

// inSubtree reports whether a domain is inside a constraint: "" is everything, a leading dot excludes the name itself.
func inSubtree(domain, constraint string) bool {
	domain, constraint = lowerASCII(domain), lowerASCII(constraint)
	if constraint == "" || domain == constraint {
		return true
	}
	return strings.HasSuffix(domain, "."+strings.TrimPrefix(constraint, "."))
}

// presentedNames lists what a certificate is for, in the words of an error message.
func presentedNames(leaf *x509.Certificate, other otherNames) []string {
	var names []string
	for _, n := range leaf.DNSNames {
		names = append(names, "DNS:"+n)
	}
	for _, n := range other.srv {
		names = append(names, "SRV:"+n)
	}
	for _, n := range other.xmpp {
		names = append(names, "XMPP:"+n)
	}
	for _, ip := range leaf.IPAddresses {
		names = append(names, "IP:"+ip.String())
	}
	return names[:min(len(names), 100)]
}

// lowerASCII folds A–Z and nothing else: strings.ToLower would turn the Kelvin sign into a k.
func lowerASCII(s string) string {
	for i := range len(s) {
		if c := s[i]; 'A' <= c && c <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if c := b[i]; 'A' <= c && c <= 'Z' {
					b[i] = c + ('a' - 'A')
				}
			}
			return string(b)
		}
	}
	return s
}
