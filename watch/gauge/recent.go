package gauge

import "time"

// recent is what one source did in the last minute, in steps: its own volume, success and speed. The hour knows all sources together only.
type recent struct {
	first int64 // step of its first observation
	steps [recentSteps]recentStep
	late  recentStep // where observations of an older time go: nobody reads it
}

type recentStep struct {
	at       int64 // Unix time / recentStepSeconds
	outcomes [outcomes]uint32
	nx       uint32
	speed    [speedBuckets]uint32
}

const (
	recentStepSeconds = 10
	recentShown       = 6 // whole steps
	recentSteps       = recentShown + 2
)

// step is where an observation of a second belongs in its source's minute.
func (g *Gauge) step(src int, second int64) *recentStep {
	s := &g.sources[src]
	at := second / recentStepSeconds
	if s.recent == nil {
		s.recent = &recent{first: at}
	}
	if at <= g.now/1e9/recentStepSeconds-recentSteps {
		return &s.recent.late
	}
	step := &s.recent.steps[at%recentSteps]
	if step.at != at {
		*step = recentStep{at: at}
	}
	return step
}

// SourceMinute is the last whole minute, or what is known of it, of one source. Known is 0 before its first observation.
func (g *Gauge) SourceMinute(id uint16, now time.Time) Point {
	end := now.Unix() / recentStepSeconds
	p := Point{Start: time.Unix((end-recentShown)*recentStepSeconds, 0), Step: recentShown * recentStepSeconds * time.Second, Complete: true}
	var speed Speed
	g.mu.Lock()
	r := g.sources[min(int(id), MaxSources-1)].recent
	if r != nil {
		p.Known = int(min(recentShown, max(end-r.first, 0))) * recentStepSeconds
		for at := end - recentShown; at < end; at++ {
			if s := &r.steps[at%recentSteps]; s.at == at {
				s.addTo(&p, &speed)
			}
		}
	}
	g.mu.Unlock()
	p.Timed = speed.Count()
	p.P50, _ = speed.Quantile(0.50)
	p.P95, _ = speed.Quantile(0.95)
	p.P99, _ = speed.Quantile(0.99)
	return p
}

func (s *recentStep) addTo(p *Point, speed *Speed) {
	for o, n := range s.outcomes {
		p.Outcomes[o] += uint64(n)
		p.Count += uint64(n)
	}
	p.NX += uint64(s.nx)
	for i, n := range s.speed {
		speed[i] += uint64(n)
	}
}
