package xmpptest

// WithPEP gives accounts nodes to publish at: the Personal Eventing Protocol, XEP-0163. Without it they have none.
// features are further ones that accounts announce; what those promise is up to a [Handler].
//
// Nodes are made by the first item or beforehand, configured, purged and deleted; the options access_model, max_items (256 at most; the oldest go without a word), and persist_items count.
// Publish options are honoured. Everything that happens is told to all available clients of the same account, whether or not they have announced
// an interest, and to nobody else: others may read what is open to them, page by page if they like (XEP-0059). There are no subscriptions.
func WithPEP(features ...string) Option {
	return func(s *settings) { s.server.PEP = append([]string{}, features...) }
}
