package node

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"anyu/console"
	"anyu/console/account"
	"anyu/serve/transfer"
)

// UserFile is the name of the accounts' file in the data folder.
const UserFile = userFile

// openConsole opens the console's socket and begins to answer on it.
func (n *Node) openConsole() error {
	c := n.conf()
	if c.Console.Off {
		return nil
	}
	users, err := account.Open(n.data.Path(UserFile))
	if err != nil {
		return err
	}
	seen := shown{n, c.Figures.Days}
	var measured console.Measured // nil: no such page in the menu
	if n.rssac != nil {
		measured = seen
	}
	opts := console.Options{
		Name: c.Node, Version: n.opts.Version, Language: c.Language,
		Listen: c.Console.Listen, Hosts: c.Console.Hosts, Certificate: c.Console.Certificate, Key: c.Console.Key,
		Users: users, Gauge: n.gauge, History: n.history, Findings: n.findings, Trail: n.trail, Metrics: n.registry,
		Zones: seen, Resolver: seen, Sources: seen, Node: seen, Auditor: seen, Book: seen, Stores: seen, Measured: measured, Log: n.opts.Log,
	}
	if len(c.Log.ClickHouse.Addresses) > 0 {
		if n.cluster, err = OpenSearch(c); err != nil {
			return err
		}
		opts.Cluster, opts.InCluster = n.cluster, c.Log.ClickHouse.Search
	}
	if n.console, err = console.Open(opts); err != nil {
		return err
	}
	n.work.Go(func() {
		if err := n.console.Serve(); err != nil {
			n.opts.Log.Error("no console any more", "error", err)
		}
	})
	return nil
}

// closeConsole ends live pages at once and lets other requests finish.
func (n *Node) closeConsole(ctx context.Context) {
	if n.console == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := n.console.Close(ctx); err != nil {
		n.opts.Log.Warn("closing the console", "error", err)
	}
}

// shown is the node as the console sees it.
type shown struct {
	n          *Node
	figureDays int
}

// ZoneStates implements console.Zones.
func (s shown) ZoneStates() []console.ZoneState {
	states := s.n.Zones()
	list := make([]console.ZoneState, len(states))
	for i, z := range states {
		list[i] = console.ZoneState{
			Name: z.Name, Role: z.Role, State: z.State, Serial: z.Serial, Names: z.Names, Records: z.Records, Bytes: z.Bytes, Signed: z.Signed,
			File: z.File, Source: z.Source, Loaded: z.Loaded, Refresh: z.Refresh, Expire: z.Expire, Problem: z.Error,
		}
		if z.Moves != nil {
			list[i].In, list[i].Out = transfers(z.Moves.In), transfers(z.Moves.Out)
			for _, t := range z.Moves.Secondaries {
				list[i].Told = append(list[i].Told, console.Told{Address: t.Address, Serial: t.Serial, Acked: !t.Acked.IsZero(), Error: t.Error})
			}
		}
	}
	return list
}

// transfers are nil where there were none.
func transfers(c transfer.Count) *console.Transfers {
	if c.AXFR+c.IXFR+c.Failed == 0 {
		return nil
	}
	return &console.Transfers{AXFR: c.AXFR, IXFR: c.IXFR, Failed: c.Failed, Last: c.Last}
}

// About implements console.Node. It takes no lock: a long reload must not stop pages.
func (s shown) About() console.About {
	n := s.n
	a := console.About{Started: n.started, Data: n.data.Dir, FigureDays: s.figureDays, Dropped: n.dropped()}
	if n.trail != nil {
		a.LogOn, a.LogDays = !n.trail.Off(), int(n.trail.Retain()/(24*time.Hour))
	}
	for _, l := range n.listen.Addresses() {
		a.Listening = append(a.Listening, console.Door{Service: l.Service, Address: l.Bound.String()})
	}
	slices.SortFunc(a.Listening, func(x, y console.Door) int { return cmp.Compare(x.Service+x.Address, y.Service+y.Address) })
	return a
}

// Reload implements console.Node.
func (s shown) Reload(ctx context.Context, who string) error {
	return s.n.Reload(context.WithoutCancel(ctx), who, false)
}

// Ready implements console.Node.
func (s shown) Ready() error {
	select {
	case <-s.n.ready:
		return nil
	default:
		return errors.New("zones are being read")
	}
}
