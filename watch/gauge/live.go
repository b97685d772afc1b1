package gauge

import "time"

// Point is the four figures of one step of time, [Start, Start+Step).
type Point struct {
	Start    time.Time
	Step     time.Duration
	Known    int  // seconds of it that were watched; 0 is a gap, to be drawn as one
	Complete bool // the step is over

	Count    uint64 // observations
	Outcomes [4]uint64
	NX       uint64 // NXDOMAIN answers

	Timed         uint64 // answers whose time is known; 0: the quantiles are unknown
	P50, P95, P99 time.Duration

	Loaded bool // Load is known: CPU and HostCPU are means, Dropped a sum, the rest the highest
	Load   Load
}

// Volume is observations a second.
func (p *Point) Volume() float64 {
	if p.Known == 0 {
		return 0
	}
	return float64(p.Count) / float64(p.Known)
}

// SuccessRate is the share of right answers to what deserved one; false where nothing deserved one.
func (p *Point) SuccessRate() (float64, bool) {
	deserving := p.Outcomes[Success] + p.Outcomes[Failure]
	if deserving == 0 {
		return 0, false
	}
	return float64(p.Outcomes[Success]) / float64(deserving), true
}

// Hour is the longest time Live looks back.
const Hour = hourSeconds * time.Second

// Live gives the last part of the last hour of some sources in steps of whole seconds, oldest first. The steps begin at multiples of
// step, so that a page that asks again sees the same ones; the last is the one that now is in, and mostly not complete.
func (g *Gauge) Live(of Set, now time.Time, last, step time.Duration) []Point {
	width := max(1, int64(step/time.Second))
	end := now.Unix()/width*width + width
	n := min(max(1, int64(min(last, Hour)/time.Second)), hourSeconds) / width
	points := make([]Point, 0, n+1)
	for from := end - max(n, 1)*width; from < end; from += width {
		points = append(points, g.point(of, now, from, from+width))
	}
	return points
}

// Summary is the last part of the last hour of some sources as one point, up to the last full second.
func (g *Gauge) Summary(of Set, now time.Time, last time.Duration) Point {
	to := now.Unix()
	return g.point(of, now, to-min(max(1, int64(last/time.Second)), hourSeconds-1), to)
}

// point adds up the seconds [from, to). It holds the lock for one step at a time, to let observations through.
func (g *Gauge) point(of Set, now time.Time, from, to int64) Point {
	p := Point{Start: time.Unix(from, 0), Step: time.Duration(to-from) * time.Second, Complete: to <= now.Unix()}
	var speed Speed
	loads := 0
	g.mu.Lock()
	for at := from; at < to; at++ {
		known := false
		for s := range g.each(of) {
			known = s.addSecond(&p, at, g.loads) || known
		}
		if known {
			p.Known++
		}
		if l := g.loads.get(at); l != nil {
			loads++
			p.Load.join(&l.load)
		}
	}
	begin, end := g.speedRange(of, from, to)
	for s := range g.each(of) {
		s.hour.addSpeed(&speed, begin, end)
	}
	g.mu.Unlock()
	if p.Loaded = loads > 0; p.Loaded {
		p.Load.CPU /= float64(loads)
		p.Load.HostCPU /= float64(loads)
	}
	p.take(&speed)
	return p
}

// addSecond adds a second of a source to a point, and tells whether the source was watched then.
func (s *source) addSecond(p *Point, at int64, watched *loads) bool {
	sec := s.hour.get(at)
	if sec == nil {
		return watched.get(at) != nil && at >= s.first
	}
	for o, c := range sec.outcomes {
		p.Outcomes[o] += uint64(c)
		p.Count += uint64(c)
	}
	p.NX += uint64(sec.rcodes[rcodeNX])
	return true
}

func (p *Point) take(speed *Speed) {
	p.Timed = speed.Count()
	q, _ := speed.Quantiles(0.50, 0.95, 0.99)
	p.P50, p.P95, p.P99 = q[0], q[1], q[2]
}

func (l *Load) join(m *Load) {
	l.CPU += m.CPU
	l.HostCPU += m.HostCPU
	l.Resident = max(l.Resident, m.Resident)
	l.Heap = max(l.Heap, m.Heap)
	l.Ring = max(l.Ring, m.Ring)
	l.Connections = max(l.Connections, m.Connections)
	l.Dropped += m.Dropped
}

// LiveZone is Live for one zone, in steps of ten seconds; the speed is that of the five minutes a step is in. An empty answer: not among
// the zones that are counted by name.
func (g *Gauge) LiveZone(of Set, now time.Time, last time.Duration, zone string) []Point {
	g.mu.Lock()
	defer g.mu.Unlock()
	slot := g.zones.slot(func(slot int) bool { return g.zoneName(g.zones.ids, slot) == zone })
	if slot == 0 {
		return nil
	}
	end := now.Unix()/zoneStep + 1
	n := min(max(1, int64(last/time.Second)/zoneStep), zoneSteps)
	points := make([]Point, 0, n)
	for step := end - n; step < end; step++ {
		points = append(points, g.zonePoint(of, slot, now, step))
	}
	return points
}

// zonePoint is one step of a zone. A step without questions is a zero if its source was watched then.
func (g *Gauge) zonePoint(of Set, slot int, now time.Time, step int64) Point {
	p := Point{Start: time.Unix(step*zoneStep, 0), Step: zoneStep * time.Second, Complete: (step+1)*zoneStep <= now.Unix()}
	for at := step * zoneStep; at < (step+1)*zoneStep; at++ {
		for s := range g.each(of) {
			if s.hour.get(at) != nil || g.loads.get(at) != nil && at >= s.first {
				p.Known++
				break
			}
		}
	}
	var speed Speed
	for s := range g.each(of) {
		if slot >= len(s.zones) || s.zones[slot] == nil {
			continue
		}
		h := s.zones[slot]
		if c := &h.counts[step%zoneSteps]; int64(c.step) == step {
			for o, n := range c.outcomes {
				p.Outcomes[o] += uint64(n)
				p.Count += uint64(n)
			}
			p.NX += uint64(c.nx)
		}
		at := step * zoneStep / zoneSpeedStep
		if t := h.speed[at%int64(len(h.speed))]; t != nil && t.at == at {
			speed.addStep(t)
		}
	}
	p.take(&speed)
	return p
}
