package transport

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp/internal/testkit"
)

// TestRel_BOSHLosses: requests and answers are lost, late, or refused for a while; every stanza arrives once and in order, both ways.
func TestRel_BOSHLosses(t *testing.T) {
	testkit.Goroutines(t)
	for name, faults := range map[string][]fault{
		"lost requests":    {fine, loseRequest},
		"lost answers":     {fine, loseAnswer},
		"late":             {fine, late, lateAnswer},
		"repeat":           {fine, recoverable},
		"all of it":        {fine, loseRequest, loseAnswer, late, lateAnswer, recoverable},
		"all of it, acked": {fine, fine, loseRequest, loseAnswer, late, lateAnswer, recoverable},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(8) {
				synctest.Test(t, func(t *testing.T) {
					rng := rand.New(rand.NewPCG(seed, 7))
					m := newManager(t)
					m.acks = strings.HasSuffix(name, "acked")
					m.faults = func(n uint64, attempt int) fault {
						if n == 0 || attempt > 3 {
							return fine
						}
						return faults[rng.IntN(len(faults))]
					}
					w := startBOSH(t, m)
					var want []string
					for i := range 60 {
						want = append(want, fmt.Sprintf(msg, i))
					}
					pauses := rand.New(rand.NewPCG(seed, 8))
					go func() {
						for _, s := range want {
							if err := putErr(w, s); err != nil {
								t.Errorf("seed %d: %v", seed, err)
								return
							}
							if pauses.IntN(4) == 0 {
								time.Sleep(time.Second)
							}
						}
					}()
					wantNext(t, w, want...)
					put(t, w, footer(w))
					if _, err := w.Next(); err != io.EOF {
						t.Errorf("seed %d: the end: %v", seed, err)
					}
					m.mu.Lock()
					defer m.mu.Unlock()
					if got := strings.Join(m.got, ""); got != strings.Join(want, "") {
						t.Errorf("seed %d: the manager got %d elements, want %d in order", seed, len(m.got), len(want))
					}
				})
			}
		})
	}
}

// TestRel_BOSHAway: a session survives a network that is away for less than its inactivity, and ends soon after it.
func TestRel_BOSHAway(t *testing.T) {
	testkit.Goroutines(t)
	for _, away := range []time.Duration{25 * time.Second, 10 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			m := newManager(t)
			w := startBOSH(t, m)
			time.Sleep(time.Second)
			start := time.Now()
			m.mu.Lock()
			m.faults = func(uint64, int) fault {
				if time.Since(start) < away {
					return loseRequest
				}
				return fine
			}
			m.mu.Unlock()
			put(t, w, fmt.Sprintf(msg, 1))
			if away < 30*time.Second {
				wantNext(t, w, fmt.Sprintf(msg, 1))
				return
			}
			if _, err := w.Next(); !errors.Is(err, errNet) {
				t.Errorf("got %v, want %v", err, errNet)
			}
			if d := time.Since(start); d < 20*time.Second || d > 40*time.Second {
				t.Errorf("after %v, want about the 30 s of the session", d)
			}
		})
	}
}

// TestRel_BOSHSilent: a request that nobody answers is made again when its time is over.
func TestRel_BOSHSilent(t *testing.T) {
	testkit.Goroutines(t)
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int32
		w := dialBOSH(t, func(r *http.Request) (*http.Response, error) {
			_, _ = bodyOf(t, r)
			switch n.Add(1) {
			case 1:
				return response(200, sessionStart+"/>"), nil
			case 3:
				return response(200, bodyStart+">"+fmt.Sprintf(msg, 1)+"</body>"), nil
			}
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		start := time.Now()
		put(t, w, header(w))
		wantNext(t, w, fmt.Sprintf(msg, 1))
		if d := time.Since(start); d < time.Minute || d > 80*time.Second {
			t.Errorf("after %v", d)
		}
	})
}

// TestRel_BOSHGateway: what a proxy says while the server restarts is no end; an error that never ends is one.
func TestRel_BOSHGateway(t *testing.T) {
	testkit.Goroutines(t)
	for _, times := range []int{3, 1 << 30} {
		for _, answer := range []func() *http.Response{
			func() *http.Response { return response(503, "") },
			func() *http.Response { return response(200, bodyStart+"type='error'/>") },
		} {
			synctest.Test(t, func(t *testing.T) {
				var count atomic.Int32
				w := dialBOSH(t, func(r *http.Request) (*http.Response, error) {
					_, _ = bodyOf(t, r)
					switch n := int(count.Add(1)); {
					case n == 1:
						return response(200, sessionStart+"/>"), nil
					case n-2 < times:
						return answer(), nil
					case n-2 == times:
						return response(200, bodyStart+">"+fmt.Sprintf(msg, 1)+"</body>"), nil
					}
					<-r.Context().Done()
					return nil, r.Context().Err()
				})
				put(t, w, header(w))
				if times == 3 {
					wantNext(t, w, fmt.Sprintf(msg, 1))
					return
				}
				_, err := w.Next()
				if e := (*BOSHError)(nil); !errors.Is(err, errRecoverable) && (!errors.As(err, &e) || e.Status != 503) {
					t.Errorf("got %v", err)
				}
				if n := count.Load(); n > 30 {
					t.Errorf("%d requests", n)
				}
			})
		}
	}
}

// TestRel_BOSHFirst: the request for a session is made once; what cannot be reached is told at once.
func TestRel_BOSHFirst(t *testing.T) {
	testkit.Goroutines(t)
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int32
		w := dialBOSH(t, func(*http.Request) (*http.Response, error) { n.Add(1); return nil, errNet })
		put(t, w, header(w))
		if _, err := w.Header(); !errors.Is(err, errNet) || n.Load() != 1 {
			t.Errorf("got %v after %d requests", err, n.Load())
		}
	})
}

// TestRel_BOSHOvertaken: a server that puts a request aside because the one before has come later gets it again, twice at most.
func TestRel_BOSHOvertaken(t *testing.T) {
	testkit.Goroutines(t)
	synctest.Test(t, func(t *testing.T) {
		var writes atomic.Int32
		w := dialBOSH(t, func(r *http.Request) (*http.Response, error) {
			e, s := bodyOf(t, r)
			switch {
			case e.SelectAttr("sid") == nil:
				return response(200, sessionStart+"/>"), nil
			case strings.Contains(s, "<message"):
				writes.Add(1)
			}
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		put(t, w, header(w))
		time.Sleep(time.Second)
		put(t, w, fmt.Sprintf(msg, 1))
		time.Sleep(50 * time.Second)
		if n := writes.Load(); n != 3 {
			t.Errorf("sent %d times, want 3", n)
		}
	})
}

// TestRel_BOSHAcks: a request that the server says not to have, or an answer that it says to have sent long ago, is seen to at once (section 9).
func TestRel_BOSHAcks(t *testing.T) {
	testkit.Goroutines(t)
	for _, attr := range []string{"ack", "report"} {
		synctest.Test(t, func(t *testing.T) {
			var first, polls atomic.Uint64
			w := dialBOSH(t, func(r *http.Request) (*http.Response, error) {
				e, s := bodyOf(t, r)
				ack := e.SelectAttrValue("ack", "")
				switch id := rid(e); {
				case e.SelectAttr("sid") == nil:
					first.Store(id)
					return response(200, fmt.Sprintf(sessionStart+"ack='%d'/>", id)), nil
				case id == first.Load()+1:
					if ack != "" {
						t.Errorf("ack %s although everything is answered", ack)
					}
					if polls.Add(1) > 1 {
						return response(200, bodyStart+">"+fmt.Sprintf(msg, 1)+"</body>"), nil
					}
				case strings.Contains(s, "<message"):
					if want := fmt.Sprint(first.Load()); ack != want {
						t.Errorf("ack %q, want %s", ack, want)
					}
					n := first.Load()
					if attr == "report" {
						n++
					}
					return response(200, fmt.Sprintf(bodyStart+"%s='%d' time='3000'>"+msg+"</body>", attr, n, 2)), nil
				}
				<-r.Context().Done()
				return nil, r.Context().Err()
			})
			put(t, w, header(w))
			time.Sleep(time.Second)
			start := time.Now()
			put(t, w, fmt.Sprintf(msg, 0))
			wantNext(t, w, fmt.Sprintf(msg, 1), fmt.Sprintf(msg, 2))
			if d := time.Since(start); d > time.Second {
				t.Errorf("%s: after %v", attr, d)
			}
		})
	}
}
