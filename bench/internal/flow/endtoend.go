package flow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-xmppframework/xmpp/bench/internal/child"
	"github.com/go-xmppframework/xmpp/bench/internal/clients"
	"github.com/go-xmppframework/xmpp/internal/integration"
)

const (
	sender   = "juliet"
	receiver = "romeo"
	secret   = "bench-secret"
)

// Real is a real server with the two accounts of the measurement.
type Real struct {
	Name   string // program and version
	server *integration.Server
}

var programs = map[integration.Kind]string{
	integration.Ejabberd: "ejabberd", integration.Ejabberd26: "ejabberd",
	integration.Prosody: "Prosody", integration.Prosody13: "Prosody",
}

// StartReal starts a server of that kind. The caller must Close it.
func StartReal(kind integration.Kind) (*Real, error) {
	version, err := integration.Available(kind)
	if err != nil {
		return nil, err
	}
	s, err := integration.Launch(kind, integration.LogLevel("error"))
	if err != nil {
		return nil, err
	}
	for _, user := range append(idleUsers(), sender, receiver) {
		if err := s.CreateAccount(user, integration.Lean, secret); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return &Real{Name: programs[kind] + " " + version, server: s}, nil
}

// Close stops the server.
func (r *Real) Close() error { return r.server.Close() }

func (r *Real) account(user string) clients.Account {
	return clients.Account{
		Addr: r.server.Addr(integration.STARTTLS), Domain: integration.Lean,
		User: user, Password: secret, Resource: "bench", CAFile: r.server.CACertFile(),
	}
}

// EndToEnd sends n messages from one process through the server to another, with every client.
// Rates count from before the first message is sent to after the last one was received.
func (b *Bench) EndToEnd(ctx context.Context, r *Real, n int) Table {
	return b.collect(ctx, r.Name, n, b.contenders(clients.Others()...), func(ctx context.Context, c contender, n int, tag string) (s sample, err error) {
		spec := child.Spec{Library: c.name, Role: child.Receiver, Account: r.account(receiver), To: r.account(receiver).JID(),
			N: n, Tag: tag, Profile: b.profileOf(c, "in-"+string(r.server.Kind))}
		in, err := child.Start(ctx, spec, b.Tools)
		if err != nil {
			return s, err
		}
		defer in.Stop()
		if err := in.Ready(ctx); err != nil {
			return s, fmt.Errorf("receiver: %w", err)
		}
		spec.Role, spec.Account, spec.Profile = child.Sender, r.account(sender), b.profileOf(c, "out-"+string(r.server.Kind))
		out, err := child.Start(ctx, spec, b.Tools)
		if err != nil {
			return s, err
		}
		defer out.Stop()
		if err := out.Ready(ctx); err != nil {
			return s, fmt.Errorf("sender: %w", err)
		}
		if err := in.Order("go"); err != nil {
			return s, err
		}
		time.Sleep(settle)
		cpu := r.server.CPU()
		if err := out.Order("go"); err != nil {
			return s, err
		}
		var start, end, cpuOut, cpuIn int64
		if err := in.Result(ctx, &end, &cpuIn); err != nil {
			return s, fmt.Errorf("receiver: %w", err)
		}
		cpu = r.server.CPU() - cpu
		if err := out.Order("stop"); err != nil {
			return s, err
		}
		if err := out.Result(ctx, &start, &cpuOut); err != nil {
			return s, fmt.Errorf("sender: %w", err)
		}
		in.Order("stop") // It may have ended by itself.
		return sample{rate(n, time.Duration(end-start)), float64(cpuOut) / float64(n), float64(cpuIn) / float64(n), float64(cpu.Microseconds()) / float64(n)}, nil
	})
}
