package node

import (
	"context"
	"fmt"
	"time"

	"anyu/dns/wire"
	"anyu/lab"
	"anyu/serve"
)

// labSeed makes every demonstration the same one.
const labSeed = 20261123

// openLab serves the zones of the simulated Internet and returns what starts its clients.
func (n *Node) openLab(ctx context.Context) (clients func(context.Context), err error) {
	list := lab.Zones(labSeed)
	for i := range list {
		start := time.Now()
		z, err := list[i].Load(ctx)
		if err != nil {
			return nil, err
		}
		name, _ := wire.ParseName(list[i].Name)
		p := &primary{name: name, zone: z, state: ZoneState{Name: canonical(name), Role: "lab", State: "ok"}}
		p.measure(z, time.Since(start))
		n.zones.fixed = append(n.zones.fixed, p.state)
		n.server.Change(serve.Change{Put: []serve.Zone{p.served()}})
	}
	fmt.Fprintf(n.opts.Out, "lab          %d zones under lab. and simulated clients; try: dig @%s -p %d www.shop.lab\n", len(list), n.door().Addr(), n.door().Port())
	return func(ctx context.Context) {
		if err := lab.Clients(ctx, labSeed, list, n.door()); err != nil {
			n.opts.Log.Error("the lab's clients stopped", "error", err)
		}
	}, nil
}
