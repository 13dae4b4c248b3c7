package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"
)

// page shows the plot, and gets it again and again.
const page = `<!doctype html>
<meta charset="utf-8">
<title>Sensors</title>
<img id="plot" src="plot.svg" alt="what the sensors measure">
<script>setInterval(() => { document.getElementById("plot").src = "plot.svg?" + Date.now() }, 1000)</script>
`

// serve starts the page; stop ends it.
func (r *runner) serve(ctx context.Context) (stop func(), err error) {
	host, port, err := net.SplitHostPort(r.listen)
	if err != nil {
		return nil, fmt.Errorf("-listen: %w", err)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprint(w, page)
	})
	mux.HandleFunc("GET /plot.svg", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "image/svg+xml")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write(r.board.svg())
	})
	srv, done := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}, make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(l) // ends with Close
	}()
	r.say("The plot is at http://%s/", l.Addr())
	return func() { _ = srv.Close(); <-done }, nil
}
