// Package xmlstream reads and writes the subset of XML that XMPP allows (RFC 6120 §11).
package xmlstream
