package testserver

import "net/http"

type boshSession struct{}

func (b *boshSession) stop() {}

func (s *Server) serveBOSH(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }

// LoseAnswers makes the server break the connection instead of sending an answer of BOSH, so many times.
// What the request asked for is done; the answer is kept for the client to ask again (XEP-0124 §14.3).
func (s *Server) LoseAnswers(n int) {
	s.mu.Lock()
	s.web.lose = n
	s.mu.Unlock()
}
