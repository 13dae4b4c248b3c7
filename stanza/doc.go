// Package stanza has the three stanzas of XMPP, their errors, and the element builder.
package stanza
