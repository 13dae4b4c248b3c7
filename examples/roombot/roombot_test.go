package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/pem"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/internal/testkit"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// TestMain is also the bot, where a test runs it as a process of its own.
func TestMain(m *testing.M) {
	if os.Getenv("ROOMBOT_TEST") == "bot" {
		main()
		os.Exit(0)
	}
	os.Exit(integration.Main(m))
}

var must = testkit.Must

// TestPlay: what the program shows without flags.
func TestPlay(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), options{nick: "roombot"}, &out); err != nil {
		t.Fatal(err, "\n", out.String())
	}
	t.Log(out.String())
	rest := out.String()
	for _, want := range []string{"garden: joined as roombot", "garden: roombot> Juliet: 2 here: Juliet, roombot", "garden: left: kicked (Too talkative)", "coming back in 500ms",
		"garden: joined as roombot", "the connection is lost", "the connection is back, and nothing was missed", "started again", "garden: joined as roombot",
		"Juliet> It sleeps.", "garden: left: banned (And stay out)", "staying out", "messages were said"} {
		_, after, ok := strings.Cut(rest, want)
		if !ok {
			t.Fatalf("no %q in\n%s", want, rest)
		}
		rest = after
	}
}

// place is a server with a room that Juliet owns, and an account for the bot.
type place struct {
	host, ca      string
	bot, password string
	juliet        xmpp.Config
	rooms         string // the domain
}

func inProcess(t *testing.T) (*xmpptest.Server, place) {
	srv := xmpptest.NewServer(t, xmpptest.WithRooms(xmpptest.Rooms{}))
	srv.AddAccount("bot", "secret")
	ca := filepath.Join(t.TempDir(), "ca.pem")
	must(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600))
	return srv, place{srv.Addr(), ca, srv.JID("bot").String(), "secret", srv.Config("juliet"), srv.RoomService().String()}
}

// process is a bot that runs as a process of its own, behind a network that can be cut.
type process struct {
	t     *testing.T
	place place
	net   *xmpptest.FaultDialer
	addr  string
	db    string
	cmd   *exec.Cmd
	tells chan string
	all   []string
}

// newProcess makes one that does not run yet.
func newProcess(t *testing.T, w place) *process {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	p := &process{t: t, place: w, net: &xmpptest.FaultDialer{}, addr: l.Addr().String(), db: filepath.Join(t.TempDir(), "roombot.db")}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := p.net.DialContext(t.Context(), "tcp", w.host)
			if err != nil {
				client.Close()
				continue
			}
			both := func(to, from net.Conn) {
				_, _ = io.Copy(to, from)
				client.Close()
				server.Close()
			}
			wg.Go(func() { both(server, client) })
			wg.Go(func() { both(client, server) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.end(os.Kill)
		wg.Wait()
		if t.Failed() {
			t.Logf("the bot:\n%s", strings.Join(p.all, "\n"))
		}
	})
	return p
}

func (p *process) run(args ...string) {
	p.t.Helper()
	args = append(args, "-jid", p.place.bot, "-host", p.addr, "-ca", p.place.ca, "-db", p.db, "-pause", "300ms")
	p.cmd, p.tells = exec.Command(os.Args[0], args...), make(chan string, 1000)
	p.cmd.Env = append(os.Environ(), "ROOMBOT_TEST=bot", "XMPP_PASSWORD="+p.place.password)
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	must(p.t, err)
	must(p.t, p.cmd.Start())
	tells := p.tells
	go func() {
		defer close(tells)
		for s := bufio.NewScanner(out); s.Scan(); {
			tells <- s.Text()
		}
	}()
}

// wait waits until it tells something.
func (p *process) wait(what string) {
	p.t.Helper()
	for timeout := time.After(30 * time.Second); ; {
		select {
		case line, ok := <-p.tells:
			if !ok {
				p.t.Fatalf("it has ended, and told nothing of %q", what)
			}
			p.all = append(p.all, line)
			if strings.Contains(line, what) {
				return
			}
		case <-timeout:
			p.t.Fatalf("it tells nothing of %q", what)
		}
	}
}

// end ends it, if it runs.
func (p *process) end(how os.Signal) {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Signal(how)
	for line := range p.tells {
		p.all = append(p.all, line)
	}
	if err := p.cmd.Wait(); err != nil && how == os.Interrupt {
		p.t.Errorf("the bot has ended with %v", err)
	}
	p.cmd = nil
}

// live takes the bot through a life: kicks, lost connections, restarts and a ban. What was said is in its log, each message once and in order.
func live(t *testing.T, w place) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Second)
	defer cancel()
	id := strings.ToLower(stanza.NewID())
	garden, lobby := xmpp.MustParseJID("garden-"+id+"@"+w.rooms), xmpp.MustParseJID("lobby-"+id+"@"+w.rooms)
	juliet, err := visit(ctx, w.juliet, garden, "Juliet")
	must(t, err)
	defer juliet.Close(context.Background())
	talk := func(about string) {
		t.Helper()
		for _, s := range []string{"O Romeo, Romeo!", "wherefore art <thou> & 'Romeo'? 😀", "\"Deny\" thy father,\nand refuse thy name."} {
			juliet.says(ctx, about+": "+s)
		}
		must(t, juliet.err)
	}
	ask := func(question, answer string) {
		t.Helper()
		juliet.says(ctx, question)
		juliet.hears(ctx, "roombot> Juliet: "+answer)
		must(t, juliet.err)
	}
	// The bot makes no room: at Prosody, one whose maker is killed before it is configured keeps everybody out until his session has ended.
	_, err = juliet.room.MUC().Join(ctx, lobby, "Juliet", muc.JoinOptions{})
	must(t, err)
	talk("before it comes")
	p := newProcess(t, w)
	p.run("-rooms", garden.String()+","+lobby.String())
	joined := garden.Local() + ": joined as roombot"
	p.wait(joined)
	talk("when it is there")
	ask("!who", "2 here: Juliet, roombot")
	private := make(whispers, 10)
	juliet.room.AddDelegate(muc.Delegate{PrivateMessage: private}, nil)
	_, err = juliet.room.SendPrivate(ctx, "roombot", stanza.NewMessage(stanza.Chat, garden, "!help"))
	must(t, err)
	private.hears(t, "roombot> "+help)

	must(t, juliet.room.Kick(ctx, "roombot", "Too talkative"))
	p.wait(": left: kicked (Too talkative)")
	talk("while it is out")
	p.wait(joined)
	p.wait("while it is out: \"Deny\"") // what is said while it reads what it has missed may be part of that
	ask("roombot: last 1", "")

	p.net.Refuse(true)
	p.net.Reset()
	p.wait("the connection is lost")
	talk("while there is no connection")
	p.net.Refuse(false)
	p.wait("the connection is back, and nothing was missed")
	ask("!seen Juliet", "Juliet is here, and said at ")

	p.end(os.Interrupt)
	talk("while it does not run")
	p.run() // the bookmarks know where to go
	p.wait(joined)
	talk("when it is back")
	p.end(os.Kill)
	talk("when it was killed")
	p.run()
	p.wait(joined)
	p.wait("when it was killed: \"Deny\"")
	ask("!last 2", "")

	must(t, juliet.room.Ban(ctx, xmpp.MustParseJID(w.bot), "And stay out"))
	p.wait(": left: banned (And stay out)")
	p.wait("staying out")
	p.end(os.Interrupt)
	must(t, juliet.room.SetAffiliation(ctx, xmpp.MustParseJID(w.bot), muc.AffiliationNone, ""))
	from := len(p.all)
	p.run()
	p.wait(lobby.Local() + ": joined as roombot")
	p.end(os.Interrupt)
	if slices.ContainsFunc(p.all[from:], func(s string) bool { return strings.Contains(s, garden.Local()) }) {
		t.Errorf("it goes where it was banned:\n%s", strings.Join(p.all[from:], "\n"))
	}
	var out bytes.Buffer
	must(t, check(ctx, p.db, xmpp.MustParseJID(w.bot), garden, juliet.said, &out))
	t.Log(out.String())
}

// whispers hear what is said in private.
type whispers chan string

func (w whispers) RoomDidReceivePrivateMessage(_ context.Context, _ *muc.Room, m *muc.Message) {
	w <- m.Nick + "> " + m.Body
}

func (w whispers) hears(t *testing.T, beginning string) {
	t.Helper()
	select {
	case got := <-w:
		if !strings.HasPrefix(got, beginning) {
			t.Errorf("in private: %q, want %q", got, beginning)
		}
	case <-time.After(20 * time.Second):
		t.Errorf("no %q in private", beginning)
	}
}

func TestLife(t *testing.T) {
	_, w := inProcess(t)
	live(t, w)
}

// TestIntegration is the same on real servers.
func TestIntegration(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		bot, password := srv.NewAccount(t)
		live(t, place{srv.Addr(integration.STARTTLS), srv.CACertFile(), bot, password, srv.Config(srv.NewAccount(t)), "conference." + integration.Full})
	})
}
