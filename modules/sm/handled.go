package sm

import "github.com/go-xmppframework/xmpp/stanza"

// MarkHandled says that the application has handled a received stanza, with [HandledMarked]: the server is told, and will not send it again,
// once those before it are handled as well. It takes the stanza that a callback was given.
// It reports false for one that is not waited for: marked before, or of a session that is over.
func (m *SM) MarkHandled(st stanza.Stanza) bool { panic("not yet") }
