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

// Live gives the last part of the last hour in steps of whole seconds, oldest first. The steps begin at multiples of
// step, so that a page that asks again sees the same ones; the last is the one that now is in, and mostly not complete.
func (g *Gauge) Live(now time.Time, last, step time.Duration) []Point {
	width := max(1, int64(step/time.Second))
	end := now.Unix()/width*width + width
	n := min(max(1, int64(min(last, Hour)/time.Second)), hourSeconds) / width
	points := make([]Point, 0, n+1)
	for from := end - max(n, 1)*width; from < end; from += width {
		points = append(points, g.point(now, from, from+width))
	}
	return points
}

// Summary is the last part of the last hour as one point, up to the last full second.
func (g *Gauge) Summary(now time.Time, last time.Duration) Point {
	to := now.Unix()
	return g.point(now, to-min(max(1, int64(last/time.Second)), hourSeconds-1), to)
}

// point adds up the seconds [from, to). It holds the lock for one step at a time, to let observations through.
func (g *Gauge) point(now time.Time, from, to int64) Point {
	p := Point{Start: time.Unix(from, 0), Step: time.Duration(to-from) * time.Second, Complete: to <= now.Unix()}
	var speed Speed
	loads := 0
	g.mu.Lock()
	for at := from; at < to; at++ {
		s := g.hour.get(at)
		if s == nil {
			continue
		}
		p.Known++
		for o, c := range s.outcomes {
			p.Outcomes[o] += uint64(c)
			p.Count += uint64(c)
		}
		p.NX += uint64(s.rcodes[rcodeNX])
		for i, c := range s.speed {
			speed[i] += uint64(c)
		}
		if s.loaded {
			loads++
			p.Load.join(&s.load)
		}
	}
	g.mu.Unlock()
	if p.Loaded = loads > 0; p.Loaded {
		p.Load.CPU /= float64(loads)
		p.Load.HostCPU /= float64(loads)
	}
	p.Timed = speed.Count()
	p.P50, _ = speed.Quantile(0.50)
	p.P95, _ = speed.Quantile(0.95)
	p.P99, _ = speed.Quantile(0.99)
	return p
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

// LiveZone is Live for one zone, in steps of ten seconds; only the counts are known. An empty answer: not among the zones
// that are counted by name.
func (g *Gauge) LiveZone(now time.Time, last time.Duration, zone string) []Point {
	g.mu.Lock()
	defer g.mu.Unlock()
	for slot, h := range g.zones.hours {
		if h == nil || slot == 0 || g.zoneName(g.zones.ids, slot) != zone {
			continue
		}
		end := now.Unix()/zoneStep + 1
		n := min(max(1, int64(last/time.Second)/zoneStep), zoneSteps)
		points := make([]Point, 0, n)
		for step := end - n; step < end; step++ {
			points = append(points, g.zonePoint(h, now, step))
		}
		return points
	}
	return nil
}

// zonePoint is one step of a zone. A step without questions is a zero if the server itself was watching then.
func (g *Gauge) zonePoint(h *zoneHour, now time.Time, step int64) Point {
	p := Point{Start: time.Unix(step*zoneStep, 0), Step: zoneStep * time.Second, Complete: (step+1)*zoneStep <= now.Unix()}
	for at := step * zoneStep; at < (step+1)*zoneStep; at++ {
		if g.hour.get(at) != nil {
			p.Known++
		}
	}
	if c := &h[step%zoneSteps]; int64(c.step) == step {
		for o, n := range c.outcomes {
			p.Outcomes[o] = uint64(n)
			p.Count += uint64(n)
		}
		p.NX = uint64(c.nx)
	}
	return p
}
