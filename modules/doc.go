// Package modules is the index of the capabilities that can be attached to an [xmpp.Stream].
//
// Each is a package of its own: make the module, activate it, before or after logging in.
//
//	p := ping.New(ping.Config{})
//	err := p.Activate(stream)
//
//	| package      | what it does                                     | specification                |
//	|--------------|--------------------------------------------------|------------------------------|
//	| avatar       | shows the pictures of people, and the own one    | XEP-0084, XEP-0153, XEP-0398 |
//	| blocking     | blocks others, and knows who is blocked          | XEP-0191                     |
//	| bookmarks    | keeps the list of rooms, and goes into them      | XEP-0402, XEP-0048, XEP-0411 |
//	| caps         | knows what others can do, mostly without asking  | XEP-0115, XEP-0390           |
//	| carbons      | shows what the user's other clients send and get | XEP-0280                     |
//	| chatstates   | tells who is typing                              | XEP-0085                     |
//	| commands     | runs others' commands, and offers commands       | XEP-0050, XEP-0133           |
//	| csi          | tells the server whether somebody is looking     | XEP-0352                     |
//	| disco        | finds out what others are and can do, and tells  | XEP-0030                     |
//	| entitytime   | asks others for the time, and tells them         | XEP-0202                     |
//	| idle         | tells contacts since when nobody uses the client | XEP-0319                     |
//	| lastactivity | asks since when others are idle, or gone         | XEP-0012                     |
//	| muc          | takes part in rooms, and stays in them           | XEP-0045, XEP-0249, XEP-0410 |
//	| muclight     | takes part in the rooms of MongooseIM            | MUC Light                    |
//	| nick         | tells others by what name one is to be called    | XEP-0172                     |
//	| pep          | tells moods, activities, tunes and places        | XEP-0107, XEP-0108, XEP-0118 |
//	| ping         | asks whether somebody is there, and answers so   | XEP-0199                     |
//	| privacy      | manages privacy lists, on older servers          | XEP-0016                     |
//	| privatexml   | keeps an application's own data on the server    | XEP-0049                     |
//	| pubsub       | publishes items, and hears of those of others    | XEP-0060, XEP-0163           |
//	| receipts     | tells that a message has arrived                 | XEP-0184                     |
//	| reconnect    | logs in again when the connection is lost        | RFC 6120                     |
//	| register     | makes accounts, also of invitations; passwords   | XEP-0077, XEP-0401, XEP-0445 |
//	| roster       | keeps the contacts, and knows who is there       | RFC 6121                     |
//	| rpc          | calls methods of others, and offers methods      | XEP-0009                     |
//	| serverless   | who is on the local network; streams with them   | XEP-0174                     |
//	| sm           | keeps a session over the loss of its connection  | XEP-0198                     |
//	| vcard        | reads and writes vCards, and keeps those read    | XEP-0054, XEP-0292           |
//	| version      | asks others what software they use               | XEP-0092                     |
//
// A module in another repository can do all that these can: see CONTRIBUTING.md.
//
// [xmpp.Stream]: https://pkg.go.dev/github.com/go-xmppframework/xmpp#Stream
package modules
