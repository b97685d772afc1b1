package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/serve/transfer"
	"anyu/watch"
	"anyu/watch/rssac"
)

const rssacDir = "rssac002"

// openRSSAC begins to measure, where that is configured. Its section is read at the start: a day has one service.
func (n *Node) openRSSAC(parts *watch.Parts) error {
	c := n.conf()
	r := &c.RSSAC002
	if r.Service == "" {
		return nil
	}
	o := rssac.Options{
		Dir: n.data.Path(rssacDir), Service: r.Service, Version: r.Version, Node: c.Node,
		Dropped: func() uint64 { return n.watch.Dropped() }, Log: func(err error) { n.opts.Log.Error("RSSAC002 not kept", "error", err) },
	}
	if r.Source != "self" {
		id, err := n.taps.id(r.Source)
		if err != nil {
			return fmt.Errorf("opening RSSAC002: %w", err)
		}
		o.Source = id
	}
	for _, text := range r.Zones {
		name, err := wire.ParseName(text)
		if err != nil {
			return fmt.Errorf("opening RSSAC002: zone %s: %w", text, err)
		}
		o.Zones = append(o.Zones, canonical(name))
	}
	counter, err := rssac.Open(o, time.Now())
	if err != nil {
		return fmt.Errorf("opening RSSAC002: %w", err)
	}
	n.rssac = counter
	parts.Detectors = append(parts.Detectors, counter)
	return nil
}

// tendRSSAC writes what was counted.
func (n *Node) tendRSSAC(ctx context.Context) {
	if n.rssac == nil {
		return
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			n.rssac.Keep(now, n.findings.Report)
		}
	}
}

// closeRSSAC saves what was counted, after the rings were read for the last time.
func (n *Node) closeRSSAC() {
	if n.rssac == nil {
		return
	}
	if err := n.rssac.Close(); err != nil {
		n.opts.Log.Error("RSSAC002 not kept", "error", err)
	}
}

// serves measures a version of a zone that is served from now on.
func (n *Node) serves(name wire.Name, z *zone.Zone, known time.Time) {
	text := canonical(name)
	if n.rssac == nil || !n.rssac.Wants(text) {
		return
	}
	served := time.Now()
	size, err := transfer.Size(z)
	if err != nil {
		n.opts.Log.Warn("RSSAC002 zone-size", "zone", text, "error", err)
	}
	n.rssac.ZoneServed(text, z.Serial(), known, served, size)
}

// errNoRSSAC says what to do.
var errNoRSSAC = errors.New("RSSAC002 is not measured here: name a service under rssac002 in the configuration, and start anyu anew")

// rssacCommand answers the control socket.
func (n *Node) rssacCommand() (any, error) {
	if n.rssac == nil {
		return nil, errNoRSSAC
	}
	return n.rssac.Today(time.Now()), nil
}

// RSSAC002 and RSSAC002File implement console.Measured, where something is measured.
func (s shown) RSSAC002() *rssac.Today {
	t := s.n.rssac.Today(time.Now())
	return &t
}

func (s shown) RSSAC002File(path string) ([]byte, error) { return s.n.rssac.File(path) }
