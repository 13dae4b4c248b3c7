package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/go-xmppframework/xmpp"
)

const (
	sampling = 20 * time.Millisecond // for the picture
	rewrite  = 5                     // samples until the line on a terminal is rewritten
	lines    = 50                    // samples until the next line elsewhere
)

// show prints the live account and collects the points of the picture, until stop is called.
func (s *score) show(out io.Writer, terminal bool) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	every, format := lines, "%s\n"
	if terminal {
		every, format = rewrite, "\r%s\x1b[K"
	}
	go func() {
		defer close(done)
		tick := time.NewTicker(sampling)
		defer tick.Stop()
		for n := 1; ; n++ {
			select {
			case <-tick.C:
				s.sample()
				if n%every == 0 {
					fmt.Fprintf(out, format, s.line())
				}
			case <-quit:
				s.sample()
				fmt.Fprintf(out, format, s.line())
				if terminal {
					fmt.Fprintln(out)
				}
				return
			}
		}
	}()
	return func() {
		close(quit)
		<-done
	}
}

func (s *score) sample() {
	s.count(func() {
		s.points = append(s.points, point{at: time.Since(s.begin), sent: s.sent, acked: s.acked, received: len(s.got)})
	})
}

// line is the live account. Messages arrive in order, so one that a later one has overtaken is lost; if it comes all the same, it is not.
func (s *score) line() string {
	st := s.stats()
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprintf("%5.1f s   sent %d, acked %d, received %d   cut %d, resumed %d, resent %d   lost %d",
		time.Since(s.begin).Seconds(), s.sent, s.acked, len(s.got), s.cuts+s.failed, st.Resumed, st.Replayed+st.Resent, s.highest+1-len(s.got))
}

// table is the account at the end. A run that was cut short cannot know what is lost.
func (s *score) table(short bool) string {
	st, missing := s.stats(), "lost"
	if short {
		missing = "not there yet"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, row := range []struct {
		name string
		n    int
		note string
	}{
		{"sent", s.sent, ""},
		{"acked", s.acked, "the server has them"},
		{"cut", s.cuts, "sessions that lost their connection"},
		{"failed logins", s.failed, "cut as well, or refused"},
		{"resumed", st.Resumed, "sessions that went on"},
		{"replayed", st.Replayed, "stanzas that may have got lost, written again on them"},
		{"new sessions", st.Sessions, "with the first one"},
		{"resent", st.Resent, "on a new session"},
		{"received", len(s.got), ""},
		{"duplicates dropped", s.dropped, "known by their origin-id"},
		{"delivered twice", s.twice, ""},
		{missing, s.sent - len(s.got), ""},
	} {
		b.WriteString(strings.TrimRight(fmt.Sprintf("%-18s %7d   %s", row.name, row.n, row.note), " ") + "\n")
	}
	return b.String()
}

// verdict is an error unless every message has arrived once, and the server has acknowledged each.
func (s *score) verdict() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if lost := s.sent - len(s.got); lost > 0 || s.twice > 0 || s.ends[xmpp.ReceiptAcked] != s.sent {
		return fmt.Errorf("%d messages were lost, %d delivered twice; the receipts ended as %v", lost, s.twice, s.ends)
	}
	return nil
}
