package transport

import "testing"

// An error of the stream is read also where it comes without a declaration, as from Prosody 13; nothing else is.
func TestWebSocketBareError(t *testing.T) {
	const rest = "<conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/><text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>x</text></stream:error>"
	for text, ok := range map[string]bool{
		"<stream:error>" + rest:                                        true,
		"<stream:error xmlns:stream='" + nsStreams + "'>" + rest:       true,
		"<stream:error >" + rest:                                       false,
		"<stream:error>" + rest + "<a xmlns='b'/>":                     false,
		"<stream:features><a xmlns='b'/></stream:features>":            false,
		"<message xmlns='jabber:client'><stream:error/></message>":     false,
		"<stream:error><x xmlns='a' stream:y='z'/></stream:error>":     true,
		"<stream:error><stream:error></stream:error></stream:error>\n": true,
	} {
		e, err := new(webSocket).parse([]byte(text))
		if ok != (err == nil) || ok && (e.Tag != "error" || e.NamespaceURI() != nsStreams) {
			t.Errorf("%s: %v, %v", text, e, err)
		}
	}
}
