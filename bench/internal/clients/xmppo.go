package clients

import (
	"context"
	"time"

	goxmpp "github.com/xmppo/go-xmpp"
)

var xmppo = Library{
	Name: "xmppo", Module: "github.com/xmppo/go-xmpp v0.3.6",
	Remark: "chooses ids itself",
	Login:  loginXmppo,
}

type xmppoClient struct{ client *goxmpp.Client }

func loginXmppo(_ context.Context, a Account, in *Inbox) (Client, error) {
	config, err := a.TLS()
	if err != nil {
		return nil, err
	}
	c, err := goxmpp.Options{
		Host: a.Addr, User: a.User + "@" + a.Domain, Password: a.Password, Resource: a.Resource,
		NoTLS: true, StartTLS: true, TLSConfig: config, DialTimeout: 10 * time.Second,
		// Without a name it would take a -PLUS mechanism where one is offered, which not every server here completes.
		Mechanism: "SCRAM-SHA-256",
	}.NewClient()
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			v, err := c.Recv()
			if err != nil {
				return
			}
			if m, ok := v.(goxmpp.Chat); ok {
				in.add(m.Text)
			}
		}
	}()
	return xmppoClient{c}, nil
}

func (c xmppoClient) Send(_ context.Context, to string, messages []Message) error {
	for _, v := range messages {
		if _, err := c.client.Send(goxmpp.Chat{Remote: to, Type: "chat", Text: v.Body}); err != nil {
			return err
		}
	}
	return nil
}

// Close only ends the process's interest: the library's own Close reads the stream itself,
// beside the goroutine that already does.
func (c xmppoClient) Close() error {
	_, err := c.client.SendOrg("</stream:stream>")
	return err
}
