package caps

import (
	"container/list"
	"context"
	"sync"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/disco"
	"github.com/go-xmppframework/xmpp/stanza"
)

// Bounds of what is kept.
const (
	maxCached      = 10_000   // hashes; the one used longest ago goes
	maxCachedBytes = 16 << 20 // of all of them together, as text, in memory
	maxOneBytes    = 64 << 10 // of one; larger ones are asked for each time
	trimEvery      = 250      // hashes that are stored

	storageTimeout = 10 * time.Second
)

// cache keeps what was verified, in memory. The lock of the module guards it.
type cache struct {
	m     map[Hash]*list.Element
	order list.List // of *cached, the one used last in front
	bytes int
}

type cached struct {
	hash Hash
	info *disco.Info
	size int
}

// get returns what belongs to a hash, nil if that is not known.
func (c *cache) get(h Hash) *disco.Info {
	el := c.m[h]
	if el == nil {
		return nil
	}
	c.order.MoveToFront(el)
	return el.Value.(*cached).info
}

func (c *cache) put(h Hash, info *disco.Info) {
	size := sizeOf(info)
	if size > maxOneBytes || c.get(h) != nil {
		return
	}
	if c.m == nil {
		c.m = make(map[Hash]*list.Element)
	}
	c.m[h] = c.order.PushFront(&cached{h, info, size})
	for c.bytes += size; len(c.m) > maxCached || c.bytes > maxCachedBytes; {
		last := c.order.Remove(c.order.Back()).(*cached)
		delete(c.m, last.hash)
		c.bytes -= last.size
	}
}

// sizeOf is about the memory that an answer takes.
func sizeOf(i *disco.Info) int {
	n := 200
	for _, id := range i.Identities {
		n += 64 + len(id.Category) + len(id.Type) + len(id.Name) + len(id.Lang)
	}
	for _, f := range i.Features {
		n += 16 + len(f)
	}
	for _, f := range i.Forms {
		for _, x := range f.Fields {
			n += 128 + len(x.Var)
			for _, v := range x.Values {
				n += 16 + len(v)
			}
		}
	}
	return n
}

// store is the way to Config.Storage, if there is one.
type store struct {
	c *Caps

	mu     sync.Mutex
	saves  int
	failed bool
}

// load returns what is stored for a hash under key, nil if there is nothing that fits.
func (st *store) load(ctx context.Context, s *xmpp.Stream, key, h Hash) *disco.Info {
	if st.c.cfg.Storage == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, storageTimeout)
	defer cancel()
	xml, err := st.c.cfg.Storage.Load(ctx, s.MyJID().Bare(), key)
	if err == nil || ctx.Err() == nil {
		st.note(s, "load", err)
	}
	if err != nil || xml == "" {
		return nil
	}
	info, err := load(h, xml, key != h)
	if err != nil {
		s.Logger().Warn("caps: what is stored does not fit its hash", "algo", h.Algo, "hash", h.Value, "err", err)
		return nil
	}
	return info
}

// save stores what belongs to a hash, under key.
func (st *store) save(ctx context.Context, s *xmpp.Stream, key Hash, xml string) {
	if st.c.cfg.Storage == nil || len(xml) > maxOneBytes {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storageTimeout) // what was verified is good beyond the session
	defer cancel()
	account := s.MyJID().Bare()
	err := st.c.cfg.Storage.Save(ctx, account, key, xml)
	st.mu.Lock()
	trim := err == nil && st.saves%trimEvery == 0 // in every process once, too
	if err == nil {
		st.saves++
	}
	st.mu.Unlock()
	if trim {
		err = st.c.cfg.Storage.Trim(ctx, account, maxCached)
	}
	st.note(s, "save", err)
}

// note logs the first error of several.
func (st *store) note(s *xmpp.Stream, op string, err error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if err != nil && !st.failed {
		s.Logger().Warn("caps: the storage fails", "op", op, "err", err)
	}
	st.failed = err != nil
}

// onServer is the key for what the server has said of itself, so that nobody else's answer can stand for it.
func onServer(h Hash) Hash {
	h.NS += "#server"
	return h
}

// LoadServerInfo is that of [disco.ServerCache]: it knows the server by the hash in its stream features (XEP-0115 section 6.3, XEP-0390 section 5.2).
func (c *Caps) LoadServerInfo(ctx context.Context) *disco.Info {
	s := c.Stream()
	if s == nil {
		return nil
	}
	a := parse(s.Features())
	if a == nil || len(a.Hashes) == 0 {
		return nil
	}
	h := a.Hashes[0]
	c.mu.Lock()
	info := c.cache.get(onServer(h))
	c.mu.Unlock()
	if info != nil {
		return info
	}
	return c.store.load(ctx, s, onServer(h), h)
}

// KeepServerInfo is that of [disco.ServerCache].
func (c *Caps) KeepServerInfo(ctx context.Context, info *disco.Info) {
	s := c.Stream()
	if s == nil {
		return
	}
	a := parse(s.Features())
	if a == nil || len(a.Hashes) == 0 {
		return
	}
	proofs, err := verify(a.Hashes[:1], info, true)
	if err != nil {
		return
	}
	c.mu.Lock()
	c.cache.put(onServer(proofs[0].hash), proofs[0].info)
	c.mu.Unlock()
	c.store.save(ctx, s, onServer(proofs[0].hash), stanza.Compact(proofs[0].info.Element()))
}
