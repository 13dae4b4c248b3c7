package testserver

import "sync/atomic"

// smServer is a server's part of stream management.
type smServer struct {
	options atomic.Pointer[SMOptions]
}

func (m *smServer) init(o SMOptions) { m.options.Store(&o) }
