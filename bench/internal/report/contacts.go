package report

import (
	"fmt"

	"github.com/go-xmppframework/xmpp/bench/internal/contacts"
)

func (p *page) contacts(r *Results) {
	if len(r.Fetches) > 0 {
		p.section("Fetching a roster", "One request, and the server's answer: contacts with an address, a name, a subscription and a group. "+
			"The server is in the same process and holds its answer ready as bytes; TLS on both sides is in the figures. "+
			"A delegate hears of the whole in as many events as the last column says.", "contacts")
		p.table("contacts", "MB of XML", "ms", "ms of processor time", "µs a contact", "MiB that stay in use", "events")
		for _, f := range r.Fetches {
			p.row(number(float64(f.Contacts)), fmt.Sprintf("%.1f", float64(f.Bytes)/1e6), fmt.Sprintf("%.1f", f.Wall), fmt.Sprintf("%.1f", f.CPU),
				fmt.Sprintf("%.2f", f.CPU*1000/float64(f.Contacts)), fmt.Sprintf("%.1f", float64(f.Heap)/(1<<20)), fmt.Sprint(f.Events))
		}
	}
	if len(r.Starts) > 0 {
		p.section("Until contacts can be shown", fmt.Sprintf("A program starts with %d contacts: it logs in over loopback and fetches the whole roster; or it opens a SQLite file (storage/sqlstore) "+
			"and has them before there is a connection. Then it asks for what has changed, where the server tells that, here %d contacts. Medians, in milliseconds.",
			r.Starts[0].Contacts, contacts.Changes), "contacts")
		p.table("server", "login and fetch", "the fetch alone", "from SQLite", "ratio to login and fetch", "ratio of reading to the fetch", "asking for changes")
		for _, s := range r.Starts {
			diff := ""
			if s.Diff > 0 {
				diff = fmt.Sprintf("%.1f", s.Diff)
			}
			p.row(s.Server, fmt.Sprintf("%.1f", s.Login), fmt.Sprintf("%.1f", s.Whole), fmt.Sprintf("%.1f", s.Stored), times(s.Stored/s.Login), times(s.Read/s.Whole), diff)
		}
	}
}

func (r *Results) contactTargets() (list []Target) {
	each := map[int]float64{}
	for _, f := range r.Fetches {
		each[f.Contacts] = f.CPU / float64(f.Contacts)
		if f.Contacts == 10_000 {
			list = append(list, Target{"fetch 10,000 contacts", "less than 300 ms of processor time", fmt.Sprintf("%.0f ms", f.CPU), f.CPU < 300},
				Target{"fetch 10,000 contacts", "less than 32 MiB", fmt.Sprintf("%.1f MiB", float64(f.Heap)/(1<<20)), f.Heap < 32<<20},
				Target{"fetch 10,000 contacts", "one event", fmt.Sprint(f.Events), f.Events == 1})
		}
	}
	if small, large := each[10_000], each[100_000]; small > 0 && large > 0 {
		list = append(list, Target{"fetch 100,000 contacts", "at most 1.2 × the processor time a contact of 10,000", fmt.Sprintf("%.2f ×", large/small), large <= 1.2*small})
	}
	for _, s := range r.Starts {
		if s.Diff == 0 { // a real server
			list = append(list, Target{fmt.Sprintf("%d contacts to be shown, from SQLite, %s", s.Contacts, s.Server), "a tenth of the time of login and fetch",
				fmt.Sprintf("%.2f ×", s.Stored/s.Login), s.Stored <= s.Login/10})
		}
	}
	return list
}
