package transport

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var (
	oidSAN      = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidXMPPAddr = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 5} // RFC 6120 §13.7.1.4, id-on-xmppAddr
	oidSRVName  = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 7} // RFC 4985 §2, id-on-dnsSRV

	errSAN = errors.New("malformed subject alternative name")
)

// otherNames are the names of a certificate that crypto/x509 does not read.
type otherNames struct {
	srv  []string // "_service.domain"
	xmpp []string // JIDs
}

func (o otherNames) any() bool { return len(o.srv) > 0 || len(o.xmpp) > 0 }

// match reports whether one of the names stands for the domain.
func (o otherNames) match(domainA, domainU string) bool {
	for _, name := range o.srv {
		service, domain, ok := strings.Cut(name, ".")
		if !ok {
			continue
		}
		switch lowerASCII(service) {
		case "_xmpp-client", "_xmpps-client":
			if matchPattern(domain, domainA) {
				return true
			}
		}
	}
	// A JID of a server is its domain alone: with a localpart or a resource it is never equal.
	// "*" is no wildcard here, and no domain contains it.
	for _, name := range o.xmpp {
		if name = lowerASCII(name); name != "" && (name == lowerASCII(domainA) || name == lowerASCII(domainU)) {
			return true
		}
	}
	return false
}

// parseOtherNames reads the SRVName and XmppAddr entries of the subject alternative name.
// Any defect in the extension or in one of the two kinds of entries is an error and gives no names;
// what other otherNames hold is not looked at.
func parseOtherNames(cert *x509.Certificate) (otherNames, error) {
	i := slices.IndexFunc(cert.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(oidSAN) })
	if i < 0 {
		return otherNames{}, nil
	}
	var found otherNames
	in := cryptobyte.String(cert.Extensions[i].Value)
	var names cryptobyte.String
	if !in.ReadASN1(&names, cbasn1.SEQUENCE) || !in.Empty() {
		return otherNames{}, errSAN
	}
	for !names.Empty() {
		var name cryptobyte.String
		var tag cbasn1.Tag
		if !names.ReadAnyASN1(&name, &tag) {
			return otherNames{}, errSAN
		}
		// GeneralName ::= CHOICE { otherName [0] … } (RFC 5280 §4.2.1.6)
		if tag != cbasn1.Tag(0).ContextSpecific().Constructed() {
			continue
		}
		if err := found.add(name); err != nil {
			return otherNames{}, err
		}
	}
	return found, nil
}

// add reads the body of one OtherName: type-id OBJECT IDENTIFIER, value [0] EXPLICIT ANY.
func (o *otherNames) add(name cryptobyte.String) error {
	var id asn1.ObjectIdentifier
	if !name.ReadASN1ObjectIdentifier(&id) {
		return errSAN
	}
	isSRV := id.Equal(oidSRVName)
	if !isSRV && !id.Equal(oidXMPPAddr) {
		return nil
	}
	var explicit, value cryptobyte.String
	if !name.ReadASN1(&explicit, cbasn1.Tag(0).ContextSpecific().Constructed()) || !name.Empty() {
		return errSAN
	}
	if isSRV {
		if !explicit.ReadASN1(&value, cbasn1.IA5String) || !explicit.Empty() || !isASCII(value) {
			return errSAN
		}
		o.srv = append(o.srv, string(value))
		return nil
	}
	if !explicit.ReadASN1(&value, cbasn1.UTF8String) || !explicit.Empty() || !utf8.Valid(value) {
		return errSAN
	}
	o.xmpp = append(o.xmpp, string(value))
	return nil
}

// withoutUnhandledSAN returns the certificate, or a copy that no longer lists the subject alternative name
// as an unhandled critical extension. crypto/x509 puts it there when the extension is critical and
// holds none of the names it knows; the caller has read those that it does not know.
// The original is left alone: crypto/tls shares one parsed certificate among connections.
func withoutUnhandledSAN(cert *x509.Certificate) *x509.Certificate {
	if !slices.ContainsFunc(cert.UnhandledCriticalExtensions, oidSAN.Equal) {
		return cert
	}
	c := *cert
	c.UnhandledCriticalExtensions = slices.DeleteFunc(slices.Clone(cert.UnhandledCriticalExtensions), oidSAN.Equal)
	return &c
}

func isASCII(b []byte) bool {
	return !slices.ContainsFunc(b, func(c byte) bool { return c >= utf8.RuneSelf })
}
