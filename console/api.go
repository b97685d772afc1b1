package console

import (
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"time"

	"anyu/watch/findings"
	"anyu/watch/gauge"
	"anyu/watch/history"
	"anyu/watch/trail"
)

// json writes an answer for programs.
func (p *page) json(status int, v any) {
	p.w.Header().Set("Content-Type", "application/json")
	p.w.WriteHeader(status)
	e := json.NewEncoder(p.w)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		p.console.opts.Log.Debug("console answer not written", "error", err)
	}
}

// number is a figure, or null where it is unknown.
type number float64

func (n number) MarshalJSON() ([]byte, error) {
	if f := float64(n); !math.IsNaN(f) && !math.IsInf(f, 0) {
		return strconv.AppendFloat(nil, f, 'g', 6, 64), nil
	}
	return []byte("null"), nil
}

func numbers(v []float64) []number {
	list := make([]number, len(v))
	for i, f := range v {
		list[i] = number(f)
	}
	return list
}

type rangeAnswer struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

func (p *page) rangeAnswer() rangeAnswer { return rangeAnswer{p.Period.From.UTC(), p.Period.To.UTC()} }

// apiOverview answers with the figures and what they are drawn from.
func (c *Console) apiOverview(p *page) error {
	if p.Wrong != "" {
		return &httpError{http.StatusBadRequest, p.wrongKey}
	}
	s := c.figures(p, p.r.URL.Query().Get("zone"))
	n := c.present(p, s)
	p.json(http.StatusOK, map[string]any{
		"node": c.opts.Name, "version": c.opts.Version, "sources": p.scopeAnswer(), "last_week": weekAnswer(c.compare(p)), "top": c.apiTops(p), "range": p.rangeAnswer(), "open_findings": p.OpenAll(),
		"now":   map[string]number{"queries_per_second": number(n.volume), "success_ratio": number(n.success), "p50_seconds": number(n.p50), "p95_seconds": number(n.p95), "p99_seconds": number(n.p99), "cpu_ratio": number(n.cpu)},
		"start": s.from.UTC(), "step_seconds": s.step.Seconds(), "complete_steps": s.complete,
		"series": map[string][]number{
			"queries_per_second": numbers(s.volume), "success_ratio": numbers(s.success), "nxdomain_ratio": numbers(s.nx),
			"p50_seconds": numbers(s.p50), "p95_seconds": numbers(s.p95), "p99_seconds": numbers(s.p99),
			"cpu_ratio": numbers(s.cpu), "host_cpu_ratio": numbers(s.host), "ring_ratio": numbers(s.ring),
			"resident_bytes": numbers(s.resident), "heap_bytes": numbers(s.heap), "dropped_per_second": numbers(s.dropped),
		},
	})
	return nil
}

// scopeAnswer tells whose figures these are.
func (p *page) scopeAnswer() map[string]any {
	names := []string{}
	for _, s := range p.sources {
		names = append(names, s.Name)
	}
	shown := p.scope.source
	if p.scope.node == "" && shown == "" {
		shown = selfName
	}
	return map[string]any{"source": shown, "node": p.scope.node, "known": names}
}

// weekAnswer is the hour that ends now, beside the same hour last week.
func weekAnswer(w history.Week) map[string]any {
	pair := func(p history.Pair) map[string]number {
		return map[string]number{"now": number(p.Now), "before": number(p.Before)}
	}
	return map[string]any{"queries_per_second": pair(w.Volume), "success_ratio": pair(w.Success), "p95_seconds": pair(w.P95), "cpu_ratio": pair(w.CPU), "known_seconds_of_last_week": w.Known.Seconds()}
}

// apiTopLines is how many lines of each list a program gets.
const apiTopLines = 20

// apiTops are the rankings of the last hour at most; null for a fixed range.
func (c *Console) apiTops(p *page) any {
	if !p.Period.Moving() {
		return nil
	}
	last := min(p.Period.Span(), gauge.Hour)
	type line struct {
		Name  string `json:"name"`
		Count uint64 `json:"count"`
		Least uint64 `json:"at_least"`
	}
	all := map[string]any{}
	for _, r := range rankings {
		ranked := c.opts.Gauge.Rank(p.scope.set, p.now, last, r.list, apiTopLines)
		lines := make([]line, len(ranked.Lines))
		for i, l := range ranked.Lines {
			lines[i] = line(l)
		}
		all[r.key] = map[string]any{"from": ranked.From.UTC(), "queries": ranked.Total, "one_in": ranked.Every, "lines": lines}
	}
	d := c.opts.Gauge.Distinct(p.scope.set, p.now, last)
	all["distinct"] = map[string]uint64{"clients": d.Clients, "names": d.Names}
	return all
}

func (c *Console) apiZones(p *page) error {
	v, err := c.zonesOf(p)
	if err != nil {
		return err
	}
	type line struct {
		ZoneState
		PerSecond number `json:"queries_per_second"`
		NX        number `json:"nxdomain_ratio"`
	}
	lines := make([]line, len(v.Lines))
	for i, z := range v.Lines {
		lines[i] = line{z.ZoneState, number(z.PerSecond), number(z.NX)}
	}
	p.json(http.StatusOK, map[string]any{"zones": lines, "first": v.First, "total": v.Total, "all": v.All, "with_problems": v.Bad})
	return nil
}

func (c *Console) apiFindings(p *page) error {
	v := c.findingsOf(p)
	if v.Lines == nil {
		v.Lines = []findings.Record{}
	}
	p.json(http.StatusOK, map[string]any{"findings": v.Lines, "total": v.Total})
	return nil
}

func (c *Console) apiLog(p *page) error {
	if p.Wrong != "" {
		return &httpError{http.StatusBadRequest, "error.period"}
	}
	v, err := c.logOf(p)
	if err != nil {
		return err
	}
	if v.NoLog {
		return &httpError{http.StatusNotFound, "log.none"}
	}
	if len(v.Filter.Errors) > 0 {
		p.json(http.StatusBadRequest, map[string]any{"errors": v.Filter.Errors})
		return nil
	}
	rows := make([]trail.Row, len(v.Rows))
	for i := range v.Rows {
		rows[i] = v.Rows[i].Row
	}
	p.json(http.StatusOK, map[string]any{"rows": rows, "complete": v.Complete, "searched_back_to": v.Since, "next": v.Further, "range": p.rangeAnswer()})
	return nil
}

// apiReload reads the configuration and changed zones again.
func (c *Console) apiReload(p *page) error {
	if !c.tokenRight(p.r) {
		return &httpError{http.StatusForbidden, "error.token"}
	}
	start := time.Now()
	err := c.opts.Node.Reload(p.r.Context(), p.User)
	facts := map[string]string{}
	if err != nil {
		facts["error"] = err.Error()
	}
	c.audit(p, "reload", facts)
	c.opts.Log.Info("reload by the console", "user", p.User, "client", remote(p.r), "error", err)
	if err != nil {
		p.json(http.StatusUnprocessableEntity, map[string]string{"error": err.Error()})
		return nil
	}
	p.json(http.StatusOK, map[string]any{"reloaded": true, "took_seconds": time.Since(start).Seconds()})
	return nil
}
