package console

import (
	"cmp"
	"context"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"anyu/console/unit"
	"anyu/watch/findings"
	"anyu/watch/gauge"
	"anyu/watch/trail"
)

// pageOfZones is how many zones a page lists: a server of a million zones has pages, not a page of a hundred megabytes.
const pageOfZones = 100

type zonesView struct {
	*page
	Name, State, Sort string
	Down              bool
	States            []string
	Lines             []zoneLine
	Total, All, Bad   int
	First             int
	Prev, Next        string
}

// zoneLine is a zone with its traffic.
type zoneLine struct {
	ZoneState
	PerSecond float64
	NX        float64 // share of NXDOMAIN; NaN is unknown
	Link      string
}

func (l *zoneLine) Volume() string { return unit.PerSecond.Text(l.PerSecond) }

// Good tells states that need nobody.
func (z *ZoneState) Good() bool { return z.State == "ok" && z.Problem == "" }

func (c *Console) zones(p *page) error {
	p.Title = p.T("nav.zones")
	v, err := c.zonesOf(p)
	if err != nil {
		return err
	}
	return p.show("zones", http.StatusOK, v)
}

// zonesOf filters, sorts and pages the zones.
func (c *Console) zonesOf(p *page) (*zonesView, error) {
	q := p.r.URL.Query()
	v := &zonesView{page: p, Name: q.Get("name"), State: q.Get("state"), Sort: q.Get("sort"), Down: q.Get("order") == "down"}
	volumes, watched := c.zoneVolumes(p), c.watched(p)
	wanted := strings.ToLower(v.Name)
	for _, z := range c.opts.Zones.ZoneStates() {
		v.All++
		if !z.Good() {
			v.Bad++
		}
		if !slices.Contains(v.States, z.State) {
			v.States = append(v.States, z.State)
		}
		if !strings.Contains(z.Name, wanted) || v.State == "bad" && z.Good() || v.State != "" && v.State != "bad" && z.State != v.State {
			continue
		}
		share := volumes[z.Name]
		line := zoneLine{ZoneState: z, PerSecond: float64(share.Count) / watched, NX: gap, Link: p.ZoneLink(z.Name)}
		if share.Count > 0 {
			line.NX = float64(share.NX) / float64(share.Count)
		}
		v.Lines = append(v.Lines, line)
	}
	slices.Sort(v.States)
	v.sort()
	v.Total = len(v.Lines)
	at, _ := strconv.Atoi(q.Get("page"))
	at = min(max(at, 1), (v.Total+pageOfZones-1)/pageOfZones)
	at = max(at, 1)
	v.First = (at - 1) * pageOfZones
	v.Lines = v.Lines[min(v.First, v.Total):min(v.First+pageOfZones, v.Total)]
	if at > 1 {
		v.Prev = p.With("page", strconv.Itoa(at-1))
	}
	if v.First+len(v.Lines) < v.Total {
		v.Next = p.With("page", strconv.Itoa(at+1))
	}
	return v, nil
}

// watched is how much of moveWindow there are figures of, in seconds: a node that just started has not been idle before.
func (c *Console) watched(p *page) float64 {
	window := c.opts.Gauge.Summary(p.scope.set, p.now, moveWindow)
	return float64(max(1, window.Known))
}

func (c *Console) zoneVolumes(p *page) map[string]gauge.Share {
	all := map[string]gauge.Share{}
	for _, s := range c.opts.Gauge.Shares(p.scope.set, p.now, moveWindow, gauge.ByZone, gauge.Zones+1) {
		all[s.Name] = s
	}
	return all
}

// zoneColumns are what zones can be sorted by.
func (v *zonesView) Columns() []column {
	var all []column
	for _, key := range []string{"name", "role", "state", "serial", "records", "bytes", "loaded", "volume"} {
		col := column{Key: key, Text: v.T("zone." + key), Aria: "none", Numeric: key == "serial" || key == "records" || key == "bytes" || key == "volume"}
		order := ""
		if v.Sort == key || v.Sort == "" && key == "name" {
			col.Aria, order = "ascending", "down"
			if v.Down {
				col.Aria, order = "descending", ""
			}
		}
		col.Link = v.With("sort", key, "order", order, "page", "")
		all = append(all, col)
	}
	return all
}

type column struct {
	Key, Text, Link, Aria string
	Numeric               bool
}

func (v *zonesView) sort() {
	by := map[string]func(a, b *zoneLine) int{
		"role":    func(a, b *zoneLine) int { return cmp.Compare(a.Role, b.Role) },
		"state":   func(a, b *zoneLine) int { return cmp.Compare(a.State, b.State) },
		"serial":  func(a, b *zoneLine) int { return cmp.Compare(a.Serial, b.Serial) },
		"records": func(a, b *zoneLine) int { return cmp.Compare(a.Records, b.Records) },
		"bytes":   func(a, b *zoneLine) int { return cmp.Compare(a.Bytes, b.Bytes) },
		"loaded":  func(a, b *zoneLine) int { return a.Loaded.Compare(b.Loaded) },
		"volume":  func(a, b *zoneLine) int { return cmp.Compare(a.PerSecond, b.PerSecond) },
	}[v.Sort]
	slices.SortStableFunc(v.Lines, func(a, b zoneLine) int {
		order := 0
		if by != nil {
			order = by(&a, &b)
		}
		order = cmp.Or(order, cmp.Compare(a.Name, b.Name))
		if v.Down {
			return -order
		}
		return order
	})
}

type zoneView struct {
	*page
	Zone   zoneLine
	Charts []chartView
	Rows   []logRow
	Part   bool // the log could not be searched in time
	Found  []findings.Record
	Log    string
	NoLog  bool

	Clients, Names, Speed string // of the last hour
}

const (
	zoneRows     = 15
	zoneRowsTime = 500 * time.Millisecond
)

func (c *Console) zone(p *page) error {
	v, err := c.zoneOf(p, p.r.PathValue("name"))
	if err != nil {
		return err
	}
	if p.Period.Moving() {
		p.Live = "/live?page=zone&name=" + url.QueryEscape(v.Zone.Name) + "&last=" + unit.Span(p.Period.Last)
	}
	return p.show("zone", http.StatusOK, v)
}

func (c *Console) zoneOf(p *page, name string) (*zoneView, error) {
	name = strings.ToLower(name)
	if !strings.HasSuffix(name, ".") {
		name += "."
	}
	states := c.opts.Zones.ZoneStates()
	i := slices.IndexFunc(states, func(z ZoneState) bool { return z.Name == name })
	if i < 0 {
		return nil, &httpError{http.StatusNotFound, "error.zone"}
	}
	p.Title, p.Here = name, "/zones"
	v := &zoneView{page: p, Zone: zoneLine{ZoneState: states[i], NX: gap}, Log: p.LogLink("zone", name), NoLog: c.opts.Trail == nil}
	if share, ok := c.zoneVolumes(p)[name]; ok {
		v.Zone.PerSecond, v.Zone.NX = float64(share.Count)/c.watched(p), float64(share.NX)/float64(share.Count)
	}
	v.Clients, v.Names, v.Speed = unit.Unknown, unit.Unknown, unit.Unknown
	if hour, before, ok := c.opts.Gauge.ZoneDistinct(p.now, name); ok {
		v.Clients = p.T("zone.distinct.text", "hour", unit.Count.Text(float64(hour.Clients)), "before", unit.Count.Text(float64(before.Clients)))
		v.Names = p.T("zone.distinct.text", "hour", unit.Count.Text(float64(hour.Names)), "before", unit.Count.Text(float64(before.Names)))
	}
	s := c.figures(p, name)
	if !math.IsNaN(s.latest(s.p95)) {
		v.Speed = p.T("sources.speed", "p50", unit.Seconds.Text(s.latest(s.p50)), "p95", unit.Seconds.Text(s.latest(s.p95)), "p99", unit.Seconds.Text(s.latest(s.p99)))
	}
	p.DataAt = dataAt(s, p)
	v.Charts = c.zoneCharts(p, s, name)
	v.Found, _ = c.opts.Findings.List(findings.Query{Subject: name, Limit: 5})
	if c.opts.Trail != nil {
		ctx, cancel := context.WithTimeout(p.r.Context(), zoneRowsTime)
		defer cancel()
		found, err := c.opts.Trail.Rows(ctx, trail.Filter{From: p.Period.From, To: p.Period.To, Zone: name, Limit: zoneRows})
		if err != nil {
			return nil, err
		}
		v.Rows, v.Part = p.rows(found.Rows), !found.Complete && len(found.Rows) < zoneRows
	}
	return v, nil
}

// ZoneLink is the page of a zone.
func (p *page) ZoneLink(name string) string { return p.Link("/zones/" + segment(name)) }
