package report

import "fmt"

func (p *page) pubsub(r *Results) {
	if len(r.Paged) > 0 {
		p.section("Publishing items, and reading them back", fmt.Sprintf("Items of about 100 bytes go to a node of the server's PubSub component, each in a request of its own, with up to 32 on the way. "+
			"Then they are read page by page, %d items a page. Nearly all of the time is the server's; processor time is that of the client, for an item. "+
			"Prosody knows no pages of items, nor does it keep so many at a node: it is left out.", r.Paged[0].Page), "pubsub")
		p.table("server", "items", "items/s out", "items/s in", "µs out", "µs in", "lost or changed")
		for _, v := range r.Paged {
			p.row(v.Server, thousands(float64(v.Items)), thousands(v.Out), thousands(v.In), micros(v.CPUOut), micros(v.CPUIn), fmt.Sprint(v.Missing))
		}
	}
	if len(r.Delivered) > 0 {
		p.section("Many subscribers in one process", "Streams that are all subscribed to one node of the server's PubSub component, each with its own login, TLS and delegate. "+
			"Items are published, and every subscriber hears of every one. Processor time is that of the process with the subscribers and the publisher, for a delivery.", "pubsub")
		p.table("server", "subscribers", "items", "deliveries", "out of order", "deliveries/s", "µs a delivery")
		for _, v := range r.Delivered {
			p.row(v.Server, thousands(float64(v.Subscribers)), thousands(float64(v.Items)), thousands(float64(v.Came)), fmt.Sprint(v.Disorder), thousands(v.Rate), micros(v.CPU))
		}
	}
}

func (r *Results) pubsubTargets() (list []Target) {
	for _, v := range r.Paged {
		list = append(list, Target{fmt.Sprintf("%s items published and read back by pages, %s", thousands(float64(v.Items)), v.Server), "each comes back once, as it was",
			fmt.Sprintf("%d do not", v.Missing), v.Missing == 0})
	}
	for _, v := range r.Delivered {
		what := fmt.Sprintf("%s subscribers in one process, %s", thousands(float64(v.Subscribers)), v.Server)
		lost := v.Subscribers*v.Items - v.Came
		list = append(list, Target{what, "every event comes, in order", fmt.Sprintf("%d lost, %d out of order", lost, v.Disorder), lost == 0 && v.Disorder == 0},
			Target{what, "less than 100 µs of processor time a delivery", fmt.Sprintf("%.1f µs", v.CPU), v.CPU < 100})
	}
	return list
}
