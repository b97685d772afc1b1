package node

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"time"

	"anyu/config"
	"anyu/console"
	"anyu/watch/gauge"
	"anyu/watch/tap/live"
)

// taps are the sources of other servers' observations, by their places: a tap that keeps its place goes on, whatever else of it changes.
// Everything is guarded by the node's mu but sources, which is swapped for readers.
type taps struct {
	open map[string]*openTap
	ids  map[string]uint16 // by name; a number is never given to another name, since figures and log rows have it
}

type openTap struct {
	conf   config.Tap
	id     uint16
	source *live.Source
	forget func() // its ring
}

// tapPlan is what a configuration asks for, checked, with its places open.
type tapPlan struct {
	keep map[string]live.Settings // by place
	made map[string]*openTap
	conf []config.Tap
}

// planTaps opens what is new. A plan that is not carried out must be dropped.
func (n *Node) planTaps(c *config.Config) (*tapPlan, error) {
	p := &tapPlan{keep: map[string]live.Settings{}, made: map[string]*openTap{}, conf: c.Taps}
	for _, t := range c.Taps {
		s, err := n.tapSettings(t)
		if err == nil {
			if have := n.taps.open[t.From]; have != nil && slices.Equal(have.conf.Ports, t.Ports) {
				p.keep[t.From] = s
				continue
			}
			err = p.make(t, s, n)
		}
		if err != nil {
			p.drop()
			return nil, fmt.Errorf("tap %s: %w", t.Name, err)
		}
	}
	return p, nil
}

func (n *Node) tapSettings(t config.Tap) (s live.Settings, err error) {
	s = live.Settings{Name: t.Name, Clients: t.Clients, Group: t.Group}
	if s.ID, err = n.taps.id(t.Name); err != nil {
		return s, err
	}
	if kind, _ := t.Where(); kind != config.DnstapTLS {
		return s, nil
	}
	pair, err := tls.LoadX509KeyPair(t.Certificate, t.Key)
	if err != nil {
		return s, err
	}
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	if t.ClientRoots == "" {
		return s, nil
	}
	pem, err := os.ReadFile(t.ClientRoots)
	if err != nil {
		return s, fmt.Errorf("client_roots: %w", err)
	}
	s.TLS.ClientCAs, s.TLS.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
	if !s.TLS.ClientCAs.AppendCertsFromPEM(pem) {
		return s, fmt.Errorf("client_roots: no certificate in %s", t.ClientRoots)
	}
	return s, nil
}

// id is the number of a name.
func (t *taps) id(name string) (uint16, error) {
	if id, ok := t.ids[name]; ok {
		return id, nil
	}
	id := uint16(len(t.ids) + 1)
	if id >= gauge.MaxSources-1 {
		return 0, fmt.Errorf("%d names of taps were used since the start: restart anyu for more", len(t.ids))
	}
	t.ids[name] = id
	return id, nil
}

func (p *tapPlan) make(t config.Tap, s live.Settings, n *Node) (err error) {
	o := &openTap{conf: t}
	switch kind, place := t.Where(); kind {
	case config.DnstapUnix:
		o.source, err = live.ListenUnix(place, s, n.opts.Log)
	case config.Capture:
		ports := make([]uint16, len(t.Ports))
		for i, port := range t.Ports {
			ports[i] = uint16(port)
		}
		o.source, err = live.OpenInterface(place, ports, s, n.opts.Log)
	default:
		var at netip.AddrPort
		if at, err = netip.ParseAddrPort(place); err == nil {
			o.source, err = live.ListenTCP(at, s, n.opts.Log)
		}
	}
	if err == nil {
		o.id = s.ID
		p.made[t.From] = o
	}
	return err
}

// drop closes what a plan opened.
func (p *tapPlan) drop() {
	for _, o := range p.made {
		o.source.Close()
	}
}

// takeTaps carries a plan out.
func (n *Node) takeTaps(p *tapPlan) {
	next := map[string]*openTap{}
	for _, t := range p.conf {
		o := p.made[t.From]
		if o != nil {
			o.forget = n.watch.Add(o.source.Ring())
		} else {
			o = n.taps.open[t.From]
			s := p.keep[t.From]
			o = &openTap{conf: t, id: s.ID, source: o.source, forget: o.forget}
			o.source.Configure(s)
		}
		node := t.Node
		if node == "" {
			node = n.conf().Node
		}
		n.gauge.SetSource(o.id, t.Name, node)
		next[t.From] = o
	}
	old := n.taps.open
	n.taps.open = next
	list := make([]*openTap, 0, len(next))
	for _, t := range p.conf {
		list = append(list, next[t.From])
	}
	n.tapped.Store(&list)
	for from, o := range old {
		if next[from] == nil || next[from].source != o.source {
			o.close()
		}
	}
	for _, o := range p.made {
		o.source.Run()
	}
}

func (o *openTap) close() {
	o.source.Close()
	o.forget()
}

// closeTaps ends all, before the rings are read for the last time.
func (n *Node) closeTaps() {
	for _, o := range n.taps.open {
		o.close()
	}
	n.taps.open = nil
}

// SourceState is a tap, with the four figures of its last minute.
type SourceState = console.Source

// Sources are the taps in the order of the configuration.
func (n *Node) Sources() (list []SourceState) {
	open := n.tapped.Load()
	if open == nil {
		return nil
	}
	now := time.Now()
	for _, o := range *open {
		s := SourceState{Name: o.conf.Name, From: o.conf.From, Status: o.source.Status()}
		_, s.Node = n.gauge.Source(o.id)
		minute := n.gauge.Summary(gauge.Only(o.id), now, time.Minute)
		if minute.Known > 0 {
			volume := minute.Volume()
			s.PerSecond = &volume
		}
		if rate, ok := minute.SuccessRate(); ok {
			s.Success = &rate
		}
		if minute.Timed > 0 {
			s.P50, s.P95, s.P99 = &minute.P50, &minute.P95, &minute.P99
		}
		list = append(list, s)
	}
	return list
}

// Sources implements console.Sources.
func (s shown) Sources() []console.Source { return s.n.Sources() }
