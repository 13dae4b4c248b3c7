package sasl

import (
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
)

// Bindings returns a function with the channel binding data of a TLS connection, seen from the client, for [Params.Binding].
// It knows "tls-exporter" on TLS 1.3 (RFC 9266), "tls-unique" on TLS 1.2 and older (RFC 5929 §3),
// and "tls-server-end-point" (RFC 5929 §4) where the signature of the server's certificate is made with a known hash,
// so not for Ed25519, for which no hash is agreed.
// For everything else the function returns an error that matches [ErrBinding].
//
// Although RFC 9266 allows tls-exporter on TLS 1.2, servers disagree about its input there, so it is left out.
//
// cs must be the state after the handshake; it is copied. If cs is nil the result is nil: no TLS.
func Bindings(cs *tls.ConnectionState) func(typ string) ([]byte, error) {
	if cs == nil {
		return nil
	}
	st := *cs
	return func(typ string) ([]byte, error) {
		if !st.HandshakeComplete {
			return nil, fail(ErrBinding, "TLS handshake is not complete")
		}
		switch typ {
		case TLSExporter:
			if st.Version < tls.VersionTLS13 {
				return nil, fail(ErrBinding, "tls-exporter needs TLS 1.3")
			}
			b, err := st.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
			if err != nil {
				return nil, fail(ErrBinding, "no keying material for tls-exporter")
			}
			return b, nil
		case TLSUnique:
			// nil also for resumed sessions without the extended master secret, where the value is not unique.
			if st.Version > tls.VersionTLS12 || len(st.TLSUnique) == 0 {
				return nil, fail(ErrBinding, "no tls-unique on this connection")
			}
			return append([]byte(nil), st.TLSUnique...), nil
		case TLSServerEndPoint:
			if len(st.PeerCertificates) == 0 {
				return nil, fail(ErrBinding, "server has no certificate")
			}
			return endPoint(st.PeerCertificates[0])
		}
		return nil, fail(ErrBinding, "unknown type "+clip(typ))
	}
}

// Available returns the function that [Offer.Available] needs, made from one such as [Bindings] returns.
// A nil binding gives a function that always says no.
func Available(binding func(typ string) ([]byte, error)) func(typ string) bool {
	return func(typ string) bool {
		if binding == nil {
			return false
		}
		b, err := binding(typ)
		return err == nil && len(b) > 0
	}
}

// endPoint hashes the certificate with the hash of its own signature, SHA-256 in place of MD5 and SHA-1 (RFC 5929 §4.1).
func endPoint(cert *x509.Certificate) ([]byte, error) {
	switch cert.SignatureAlgorithm {
	case x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1,
		x509.SHA256WithRSA, x509.DSAWithSHA256, x509.ECDSAWithSHA256, x509.SHA256WithRSAPSS:
		h := sha256.Sum256(cert.Raw)
		return h[:], nil
	case x509.SHA384WithRSA, x509.ECDSAWithSHA384, x509.SHA384WithRSAPSS:
		h := sha512.Sum384(cert.Raw)
		return h[:], nil
	case x509.SHA512WithRSA, x509.ECDSAWithSHA512, x509.SHA512WithRSAPSS:
		h := sha512.Sum512(cert.Raw)
		return h[:], nil
	}
	return nil, fail(ErrBinding, "the certificate's signature has no known hash")
}
