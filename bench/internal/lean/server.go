package lean

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Server is a running server. It serves one measurement at a time:
// at most one sink and one source are remembered, the newest of each.
type Server struct {
	Addr   string // host:port, on 127.0.0.1
	CAFile string // PEM file with the certificate authority that clients need

	listener net.Listener
	config   *tls.Config
	scram    map[string]*verifier
	wait     sync.WaitGroup

	mu      sync.Mutex
	conns   map[net.Conn]bool
	source  *client       // the newest client to pour into
	arrived chan struct{} // told of a new source
	want    int           // messages the sink waits for
	full    chan SinkDone // told when the sink has them

	acked, handled int           // the last h that the server has sent, and that a client has
	acks           chan struct{} // told of either
}

// SinkDone says when a sink had received all the messages it was asked to count.
type SinkDone struct {
	Count int
	At    time.Time
}

// Start listens on a free loopback port; dir is a folder for the certificate authority's file.
// Stop ends it.
func Start(dir string) (*Server, error) {
	config, ca, err := certificates()
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "lean-ca.pem")
	if err := os.WriteFile(file, ca, 0o600); err != nil {
		return nil, err
	}
	scram, err := verifiers()
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{
		Addr: l.Addr().String(), CAFile: file,
		listener: l, config: config, scram: scram,
		conns: map[net.Conn]bool{}, arrived: make(chan struct{}, 1),
		full: make(chan SinkDone, 1), acks: make(chan struct{}, 1),
	}
	s.wait.Go(s.accept)
	return s, nil
}

// Stop closes every connection and waits for the server's goroutines.
func (s *Server) Stop() {
	s.listener.Close()
	s.mu.Lock()
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.wait.Wait()
}

// Count makes the next sink count up to n messages; Wait then tells when it had them.
func (s *Server) Count(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.want = n
	select {
	case <-s.full:
	default:
	}
}

// Wait returns when the sink has as many messages as Count asked for, or ctx ends.
func (s *Server) Wait(ctx context.Context) (SinkDone, error) {
	select {
	case d := <-s.full:
		return d, nil
	case <-ctx.Done():
		return SinkDone{}, ctx.Err()
	}
}

// Acks waits until both sides of stream management have acknowledged something, and returns the last counts:
// the server's, of what a sink was sent, and a client's, of what a source has poured.
func (s *Server) Acks(ctx context.Context) (acked, handled int, err error) {
	for {
		s.mu.Lock()
		acked, handled = s.acked, s.handled
		s.mu.Unlock()
		if acked > 0 && handled > 0 {
			return acked, handled, nil
		}
		select {
		case <-s.acks:
		case <-ctx.Done():
			return acked, handled, ctx.Err()
		}
	}
}

// noteAcks keeps counts for Acks, where they are not zero.
func (s *Server) noteAcks(acked, handled int) {
	s.mu.Lock()
	s.acked, s.handled = max(s.acked, acked), max(s.handled, handled)
	s.mu.Unlock()
	select {
	case s.acks <- struct{}{}:
	default:
	}
}

// Pour writes n messages whose bodies begin with tag into the source that logged in last,
// and returns when the first byte was written.
func (s *Server) Pour(ctx context.Context, n int, tag string) (time.Time, error) {
	c, err := s.poured(ctx)
	if err != nil {
		return time.Time{}, err
	}
	text := Messages(c.address(), n, tag)
	start := time.Now()
	c.conn.SetWriteDeadline(start.Add(2 * time.Minute))
	for len(text) > 0 {
		part := text[:min(len(text), 64<<10)]
		if c.managed() {
			part = part[:bytes.LastIndex(part, messageEnd)+len(messageEnd)]
		}
		if _, err := c.conn.Write(part); err != nil {
			return start, err
		}
		if c.managed() && !c.asked.Swap(true) {
			if _, err := io.WriteString(c.conn, askAck); err != nil {
				return start, err
			}
		}
		text = text[len(part):]
	}
	return start, nil
}

// poured returns the source that logged in last, waiting for the first one.
func (s *Server) poured(ctx context.Context) (*client, error) {
	for {
		s.mu.Lock()
		c := s.source
		s.mu.Unlock()
		if c != nil {
			return c, nil
		}
		select {
		case <-s.arrived:
		case <-ctx.Done():
			return nil, errors.Join(errors.New("lean: no source is logged in"), ctx.Err())
		}
	}
}

func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns[conn] = true
		s.mu.Unlock()
		s.wait.Go(func() {
			defer func() {
				conn.Close()
				s.mu.Lock()
				delete(s.conns, conn)
				s.mu.Unlock()
			}()
			s.serve(conn)
		})
	}
}

// certificates makes an authority and a certificate for Domain, valid for this run.
func certificates() (*tls.Config, []byte, error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	from, until := time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bench authority"},
		NotBefore: from, NotAfter: until, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		return nil, nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: Domain}, DNSNames: []string{Domain},
		NotBefore: from, NotAfter: until, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey)
	if err != nil {
		return nil, nil, err
	}
	config := &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der, caDER}, PrivateKey: key}},
		MinVersion:   tls.VersionTLS13,
	}
	return config, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}), nil
}
