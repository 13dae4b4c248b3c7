package main

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"time"

	"github.com/go-xmppframework/xmpp/modules/pubsub"
	"github.com/go-xmppframework/xmpp/stanza"
)

// places are where sensors are.
var places = []string{"kitchen", "cellar", "garden", "attic", "library", "stable"}

// measure is what a sensor that there is not would measure.
func measure(sensor int, at time.Time, every time.Duration) Reading {
	turn := float64(at.UnixNano()) / float64(every) / 5
	v := 21 - 4*float64(sensor) + 1.5*math.Sin(turn/float64(sensor+1)) + 0.2*rand.Float64()
	return Reading{places[sensor], at, math.Round(v*100) / 100}
}

// prepare makes the node, once, whoever comes first; one that is there stays as it is.
func (r *runner) prepare(ctx context.Context, c *client) {
	r.made.Do(func() { r.makeNode(ctx, c) })
}

func (r *runner) makeNode(ctx context.Context, c *client) {
	config := pubsub.NewOptions(pubsub.PersistItems, "true", pubsub.MaxItems, "200", pubsub.Title, "Readings of sensors")
	if r.isService() {
		config.Set(pubsub.AccessModel, "open") // at an account it is for contacts by itself
	}
	if _, err := c.pubsub.CreateNode(ctx, r.service, r.node.Node, config); err != nil && !errors.Is(err, stanza.Conflict) {
		r.say("! the node cannot be made: %v", err) // it may be there all the same
	}
}

// past publishes what the sensors would have measured before the program began.
func (r *runner) past(ctx context.Context, each int) error {
	c, err := newClient(r.cfg)
	if err != nil {
		return err
	}
	defer c.stop(ctx)
	if err := c.Login(ctx); err != nil {
		return err
	}
	r.prepare(ctx, c)
	var items []pubsub.Item
	for n, now := each, time.Now(); n > 0; n-- {
		for sensor := range r.sensors {
			m := measure(sensor, now.Add(-time.Duration(n)*r.every), r.every)
			e, err := encode(m)
			if err != nil {
				return err
			}
			items = append(items, pubsub.Item{ID: m.id(), Payload: e})
		}
	}
	_, err = c.pubsub.PublishAll(ctx, r.service, r.node.Node, items, nil)
	return err
}

// sensor measures and publishes until ctx is done. What cannot be published while the connection is lost is left out.
func (r *runner) sensor(ctx context.Context, n int) error {
	c, err := newClient(r.cfg)
	if err != nil {
		return err
	}
	defer c.stop(ctx)
	if err := c.start(ctx, r.end); err != nil {
		return err
	}
	r.prepare(ctx, c)
	tick := time.NewTicker(r.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			m := measure(n, now, r.every)
			once, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second) // the last one is not left half done
			_, err := r.node.Publish(once, c.pubsub, r.service, m.id(), m)
			cancel()
			if se := (*stanza.Error)(nil); errors.As(err, &se) {
				return err
			} else if err != nil {
				r.say("! %s: %v", m.Sensor, err)
				continue
			}
			r.published.Add(1)
		}
	}
}
