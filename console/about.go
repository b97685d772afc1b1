package console

import (
	"math"
	"net/http"
	"runtime"
	"time"

	"anyu/console/account"
	"anyu/console/unit"
	"anyu/watch/trail"
)

type aboutView struct {
	*page
	About   About
	Uptime  string
	Go      string
	Log     trail.Usage
	HasLog  bool
	LogRows string
	Lost    string // rows of the log
	Figures int64
	Load    []pair
	Users   []account.User
	URLs    []string
}

func (c *Console) about(p *page) error {
	p.Title = p.T("nav.about")
	a := c.opts.Node.About()
	v := aboutView{page: p, About: a, Uptime: time.Since(a.Started).Round(time.Second).String(), Go: runtime.Version(), Figures: c.opts.History.Bytes()}
	var err error
	if c.opts.Trail != nil {
		v.HasLog = true
		if v.Log, err = c.opts.Trail.Usage(); err != nil {
			return err
		}
		v.LogRows, v.Lost = unit.Count.Text(float64(c.opts.Trail.Kept())), unit.Count.Text(float64(c.opts.Trail.Dropped()))
	}
	if l, ok := c.opts.Gauge.Load(); ok {
		v.Load = []pair{
			{p.T("series.cpu"), unit.Ratio.Text(l.CPU)}, {p.T("series.host"), unit.Ratio.Text(l.HostCPU)}, {p.T("series.resident"), unit.Bytes.Text(float64(l.Resident))},
			{p.T("series.heap"), unit.Bytes.Text(float64(l.Heap))}, {p.T("series.ring"), unit.Ratio.Text(l.Ring)}, {p.T("load.connections"), unit.Count.Text(math.Round(float64(l.Connections)))},
		}
	}
	for _, d := range a.Dropped {
		v.Load = append(v.Load, pair{p.T("load.dropped", "where", p.Or("dropped."+d.Name, d.Name)), unit.Count.Text(float64(d.N))})
	}
	if v.Users, err = c.opts.Users.List(); err != nil {
		return err
	}
	v.URLs = []string{"/metrics", "/api/v1/query?query=sum(rate(anyu_queries_total[1m]))", "/api/anyu/overview", "/api/anyu/zones", "/api/anyu/findings", "/api/anyu/log", "/api/anyu/recursion", "/api/anyu/sources", "/healthz", "/readyz"}
	return p.show("about", http.StatusOK, v)
}

// LogDays and Logged are for the notice on the first page.
func (p *page) LogDays() int { return p.console.opts.Node.About().LogDays }
func (p *page) Logged() bool { return p.console.opts.Node.About().LogOn }
