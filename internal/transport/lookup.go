package transport

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"
)

// answer is what is known about one SRV service.
type answer struct {
	targets []Target
	exists  bool  // there are records, usable or not
	err     error // not known; nil for a name or record that does not exist
}

// services are the SRV services of a client, in the order in which answers are listed.
var services = [2]struct {
	name   string
	direct bool
}{{"xmpps-client", true}, {"xmpp-client", false}}

// lookupServices asks for both services at once. Its error is that of ctx only;
// a lookup that is not answered in time has its error in its answer.
func lookupServices(ctx context.Context, r Resolver, domain string, opt Options) ([2]answer, error) {
	limit := opt.LookupTimeout
	if limit <= 0 {
		limit = defaultLookupTimeout
	}
	lctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()

	type numbered struct {
		i int
		answer
	}
	// Room for both: a lookup that outlives this call has somewhere to put its answer.
	in := make(chan numbered, len(services))
	var answers [2]answer
	for i, s := range services {
		answers[i].err = &net.DNSError{
			Err:  "no answer in time",
			Name: "_" + s.name + "._tcp." + domain, IsTimeout: true, IsTemporary: true,
		}
		go func() { in <- numbered{i, lookupService(lctx, r, domain, s.name, s.direct)} }()
	}

	var grace <-chan time.Time
	for waiting := len(services); waiting > 0; {
		select {
		case a := <-in:
			answers[a.i] = a.answer
			waiting--
			if grace == nil && waiting > 0 && len(a.targets) > 0 && !(opt.NoDirectTLS && services[a.i].direct) {
				t := time.NewTimer(lookupGrace)
				defer t.Stop()
				grace = t.C
			}
		case <-grace:
			return answers, nil
		case <-lctx.Done():
			return answers, ctx.Err()
		}
	}
	return answers, ctx.Err()
}

// lookupService asks for one service and keeps the records that can be used.
func lookupService(ctx context.Context, r Resolver, domain, service string, direct bool) answer {
	_, records, err := r.LookupSRV(ctx, service, "tcp", domain+".")
	a := answer{exists: len(records) > 0}
	for _, rec := range records {
		if rec == nil || rec.Port == 0 {
			continue
		}
		// RFC 2782: a target of "." says that the service is decidedly not available.
		host := strings.TrimSuffix(rec.Target, ".")
		if !usableHost(host) {
			continue
		}
		a.targets = append(a.targets, Target{
			Host: host, Port: rec.Port, DirectTLS: direct,
			Priority: rec.Priority, Weight: rec.Weight, SRV: true,
		})
	}
	if err != nil && !a.exists {
		var dns *net.DNSError
		if !errors.As(err, &dns) || !dns.IsNotFound {
			a.err = err
		}
	}
	return a
}

// usableHost refuses what is no host name, before it can reach a log or a dialer.
func usableHost(host string) bool {
	if host == "" || len(host) > 253 {
		return false
	}
	for i := range len(host) {
		if c := host[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`"'<>\/%@?#[]`, c) >= 0 {
			return false
		}
	}
	return true
}
