package child

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/go-xmppframework/xmpp/bench/internal/clients"
	"github.com/go-xmppframework/xmpp/bench/internal/lean"
)

// ServerFlag is the command-line flag with which a program becomes the lean server: the argument after it is a folder.
const ServerFlag = "-lean-server"

// ServerMain is the main function of the lean server's process. Its orders are
// "count N", answered with "full COUNT NANOSECONDS" when a sink has them, and "pour N TAG", answered with "poured NANOSECONDS".
// It ends with its standard input.
func ServerMain(dir string) error {
	s, err := lean.Start(dir)
	if err != nil {
		return err
	}
	defer s.Stop()
	say("ready", s.Addr, s.CAFile)
	ctx := context.Background()
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var n int
		var order, tag string
		fmt.Sscan(in.Text(), &order, &n, &tag)
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		switch order {
		case "count":
			s.Count(n)
			go func() {
				defer cancel()
				if d, err := s.Wait(ctx); err == nil {
					say("full", d.Count, d.At.UnixNano())
				}
			}()
		case "pour":
			at, err := s.Pour(ctx, n, tag)
			cancel()
			if err != nil {
				return err
			}
			say("poured", at.UnixNano())
		default:
			cancel()
			return fmt.Errorf("no such order: %q", in.Text())
		}
	}
	return nil
}

// Server is the lean server in a process of its own, seen from the parent.
type Server struct {
	*Process
	addr, ca string
}

// StartServer starts it; dir is a folder for its certificate. The caller must Stop it.
func StartServer(ctx context.Context, dir string) (*Server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p, err := start(exec.CommandContext(ctx, self, ServerFlag, dir))
	if err != nil {
		return nil, err
	}
	s := &Server{Process: p}
	line, err := p.line(ctx)
	if err == nil {
		_, err = fmt.Sscan(strings.TrimPrefix(line, "ready "), &s.addr, &s.ca)
	}
	if err != nil {
		p.Stop()
		return nil, err
	}
	return s, nil
}

// Account returns the account of a user, which the server knows whoever it is.
func (s *Server) Account(user string) clients.Account {
	return clients.Account{
		Addr: s.addr, Domain: lean.Domain, User: user, Password: lean.Password, Resource: "bench", CAFile: s.ca,
	}
}

// Full waits for the answer to "count".
func (s *Server) Full(ctx context.Context) (at time.Time, err error) {
	line, err := s.line(ctx)
	var n int
	var ns int64
	if err == nil {
		_, err = fmt.Sscanf(line, "full %d %d", &n, &ns)
	}
	return time.Unix(0, ns), err
}

// Poured waits for the answer to "pour".
func (s *Server) Poured(ctx context.Context) (at time.Time, err error) {
	line, err := s.line(ctx)
	var ns int64
	if err == nil {
		_, err = fmt.Sscanf(line, "poured %d", &ns)
	}
	return time.Unix(0, ns), err
}
