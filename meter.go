package xmpp

import (
	"time"
)

// connIO is the connection as the wire over it sees it: reading is metered here, writing by the wire.
type connIO conn

func (r *connIO) Read(p []byte) (int, error) {
	m := (*meter)(r)
	m.willRead()
	n, err := r.nc.Read(p)
	m.didRead(n)
	return n, err
}

func (r *connIO) Write(p []byte) (int, error) { return r.nc.Write(p) }
func (r *connIO) Close() error                { return r.raw.Close() }

// meter counts what goes over the wire, and notices waiting.
type meter conn

func (m *meter) willRead() {
	if m.waits = 0; m.grant > 0 {
		m.waits = (*conn)(m).now()
	}
}

func (m *meter) didRead(n int) {
	now := (*conn)(m).now()
	if m.waits != 0 && now-m.waits > int64(time.Millisecond) {
		m.blocked = true
	}
	if n > 0 {
		m.lastRead.Store(now)
		m.s.stats.bytesReceived.Add(uint64(n))
		m.heard.Store(true)
	}
}

// Read is for wires that do not read by connIO.
func (m *meter) Read(f func() (int, error)) (int, error) {
	m.willRead()
	n, err := f()
	m.didRead(n)
	return n, err
}

func (m *meter) WillWrite() {
	if m.negotiating.Load() && m.heard.Swap(false) {
		m.trips.Add(1)
	}
	m.w.writingSince.Store((*conn)(m).now())
}

func (m *meter) DidWrite(n int) {
	m.w.writingSince.Store(0) // a wire may write by itself, too: pings, and answers to them
	m.w.lastWrite.Store((*conn)(m).now())
	m.s.stats.bytesSent.Add(uint64(n))
}
