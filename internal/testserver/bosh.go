package testserver

import (
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/internal/xmlstream"
)

// maxRID is the highest request id (XEP-0124 §14.1).
const maxRID = 1<<53 - 1

// LoseAnswers makes the server break the connection instead of sending an answer of BOSH, so many times.
// What the request asked for is done; the answer is kept for the client to ask again (XEP-0124 §14.3).
func (s *Server) LoseAnswers(n int) {
	s.mu.Lock()
	s.web.lose = n
	s.mu.Unlock()
}

// BOSHSessions returns how many sessions of BOSH there are.
func (s *Server) BOSHSessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.web.bosh)
}

// serveBOSH is one request of XEP-0124.
func (s *Server) serveBOSH(w http.ResponseWriter, r *http.Request) {
	switch {
	case s.opts.Web.NoBOSH:
		http.NotFound(w, r)
		return
	case r.Method != http.MethodPost:
		http.Error(w, "POST only", http.StatusMethodNotAllowed)
		return
	}
	limits := s.webLimits()
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(limits.StanzaBytes)))
	if err != nil {
		return
	}
	body, err := xmlstream.Parse(text, limits)
	if err != nil || !is(body, "body", nsBOSH) {
		writeBody(w, terminateBody("bad-request"))
		return
	}
	rid, err := strconv.ParseUint(attr(body, "rid"), 10, 64)
	if err != nil || rid > maxRID {
		writeBody(w, terminateBody("bad-request"))
		return
	}
	req := &boshRequest{rid: rid, body: body, answer: make(chan boshAnswer, 1)}
	var b *boshSession
	if sid := attr(body, "sid"); sid != "" {
		s.mu.Lock()
		b = s.web.bosh[sid]
		s.mu.Unlock()
		if b == nil {
			writeBody(w, terminateBody("item-not-found"))
			return
		}
	} else if b, err = s.newBOSH(r, req); err != nil {
		http.Error(w, "refused", http.StatusServiceUnavailable)
		return
	}
	b.take(req)
	var a boshAnswer
	select {
	case a = <-req.answer:
	case <-r.Context().Done(): // the client has given up; the answer is kept for it
		return
	}
	b.link.out.gate() // a session that is frozen is silent altogether
	s.mu.Lock()
	if !a.cut && s.web.lose > 0 {
		s.web.lose--
		a.cut, a.reset = true, true
	}
	s.mu.Unlock()
	if a.cut {
		breakWeb(r, a.reset)
		panic(http.ErrAbortHandler)
	}
	writeBody(w, a.body)
}

func writeBody(w http.ResponseWriter, b []byte) {
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.Write(b)
}

// terminateBody is the end of a session for a reason of §17.2.
func terminateBody(cond string) []byte {
	return []byte("<body xmlns='" + nsBOSH + "' type='terminate' condition='" + cond + "'/>")
}

// newBOSH begins a session (§7).
func (s *Server) newBOSH(r *http.Request, req *boshRequest) (*boshSession, error) {
	l, pipe, err := s.serveWeb(r, true)
	if err != nil {
		return nil, err
	}
	b := &boshSession{
		srv: s, sid: rand.Text(), link: l, pipe: pipe, next: req.rid, first: req.rid,
		wait: s.opts.Web.Wait, inactivity: s.opts.Web.Inactivity,
		early: map[uint64]*boshRequest{}, answers: map[uint64][]byte{}, acks: attr(req.body, "ack") == "1",
	}
	b.changed.L = &b.mu
	if b.wait <= 0 {
		b.wait = time.Minute
	}
	if b.inactivity <= 0 {
		b.inactivity = time.Minute
	}
	if n, err := strconv.Atoi(attr(req.body, "wait")); err == nil && n >= 0 {
		b.wait = min(b.wait, time.Duration(n)*time.Second)
	}
	if n, err := strconv.Atoi(attr(req.body, "hold")); err == nil {
		b.hold = max(0, min(1, n))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		pipe.Close()
		return nil, errors.New("testserver: closed")
	}
	if s.web.bosh == nil {
		s.web.bosh = map[string]*boshSession{}
	}
	s.web.bosh[b.sid] = b
	s.wg.Go(b.pump)
	s.wg.Go(b.feed)
	return b, nil
}

// streamOf is what stands for a body on a stream: a header where one begins, the elements, the closing tag.
func streamOf(body *etree.Element, begins bool) ([]byte, error) {
	var out []byte
	version, restart := "", false
	for i := range body.Attr {
		if a := &body.Attr[i]; a.NamespaceURI() == nsXBOSH {
			switch a.Key {
			case "version":
				version = a.Value
			case "restart":
				restart = a.Value == "true" || a.Value == "1"
			}
		}
	}
	if begins || restart {
		if restart {
			version = "1.0"
		}
		out = streamHeader(body, version)
	}
	for _, e := range body.ChildElements() {
		b, err := xmlstream.AppendElement(nil, e.Copy(), nsClient) // a stanza may leave out its namespace (XEP-0206 §2)
		if err != nil {
			return nil, err
		}
		out = append(out, b...)
	}
	if attr(body, "type") == "terminate" {
		out = append(out, xmlstream.Footer...)
	}
	return out, nil
}
