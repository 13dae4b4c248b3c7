module github.com/go-xmppframework/xmpp/modules/serverless

go 1.26.0

replace github.com/go-xmppframework/xmpp => ../..

require (
	github.com/beevik/etree v1.8.1
	github.com/go-xmppframework/xmpp v0.0.0-00010101000000-000000000000
	github.com/miekg/dns v1.1.73
	golang.org/x/net v0.62.0
)

require (
	github.com/coder/websocket v1.8.15 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.43.0 // indirect
)
