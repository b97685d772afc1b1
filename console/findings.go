package console

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"anyu/console/period"
	"anyu/event"
	"anyu/watch/findings"
)

const pageOfFindings = 100

type findingsView struct {
	*page
	State, Kind, Severity string
	Lines                 []findings.Record
	Total                 int
	Kinds                 []string
}

func (c *Console) findings(p *page) error {
	p.Title = p.T("nav.findings")
	return p.show("findings", http.StatusOK, c.findingsOf(p))
}

// findingsOf filters. Open findings are shown whatever the period: they are what somebody has to look at.
func (c *Console) findingsOf(p *page) *findingsView {
	q := p.r.URL.Query()
	v := &findingsView{page: p, State: q.Get("state"), Kind: q.Get("kind"), Severity: q.Get("severity")}
	if v.State == "" {
		v.State = "open"
	}
	ask := findings.Query{OnlyOpen: v.State == "open", Unacked: v.State == "unacked", Kind: v.Kind, Limit: pageOfFindings}
	for s := event.Info; s <= event.Critical; s++ {
		if s.String() == v.Severity {
			ask.Severity = s
		}
	}
	if v.State == "period" {
		ask.From, ask.To = p.Period.From, p.Period.To
	}
	v.Lines, v.Total = c.opts.Findings.List(ask)
	all, _ := c.opts.Findings.List(findings.Query{Limit: 10_000})
	for _, f := range all {
		if !slices.Contains(v.Kinds, f.Kind) {
			v.Kinds = append(v.Kinds, f.Kind)
		}
	}
	slices.Sort(v.Kinds)
	return v
}

type findingView struct {
	*page
	Finding *findings.Record
	Charts  []chartView
	Around  string
	Advice  []string
	IsZone  bool
}

// around is how much is shown before and after a finding.
const around = 10 * time.Minute

func (c *Console) finding(p *page) error {
	f, err := c.opts.Findings.Get(p.r.PathValue("id"))
	if errors.Is(err, findings.ErrNoFinding) {
		return &httpError{http.StatusNotFound, "error.finding"}
	}
	if err != nil {
		return err
	}
	p.Title, p.Here = p.KindName(f.Kind)+" · "+f.Subject, "/findings"
	v := findingView{page: p, Finding: &f, Advice: p.advice(f.Kind)}
	end := f.Closed
	if f.Open() {
		end = p.now
	}
	from, to := f.Opened.Add(-around), end.Add(around)
	if to.After(p.now) {
		to = p.now
	}
	if to.Sub(from) > period.MaxSpan {
		from = to.Add(-period.MaxSpan)
	}
	p.Period = period.Between(from, to)
	v.IsZone = slices.ContainsFunc(c.opts.Zones.ZoneStates(), func(z ZoneState) bool { return z.Name == f.Subject })
	if v.IsZone {
		v.Around = p.ZoneLink(f.Subject)
		v.Charts = c.zoneCharts(p, c.figures(p, f.Subject), f.Subject)
	} else {
		v.Around = p.Link("/")
		v.Charts = c.overviewCharts(p, c.figures(p, ""))[:3]
	}
	return p.show("finding", http.StatusOK, v)
}

// Evidence leads to the logged queries a finding rests on.
func (p *page) Evidence(f findings.Record) string {
	end := f.Closed
	if f.Open() {
		end = p.now
	}
	at := period.Between(f.Opened.Add(-30*time.Second), end.Add(time.Second))
	if at.Span() > period.MaxSpan {
		at.From = at.To.Add(-period.MaxSpan)
	}
	if f.Evidence != "" && strings.HasPrefix(f.Evidence, "/") {
		return local(f.Evidence)
	}
	switch f.Kind {
	case "nx-share":
		return link("/log", at, "zone", f.Subject, "rcode", "NXDOMAIN")
	case "log-disk", "log-segment", "log-space", "log-cut", "log-pseudonyms", "store-unreachable", "store-spool-full", "store-segment", "store-retention":
		return p.Link("/storage")
	}
	if strings.HasPrefix(f.Kind, "zone-") {
		return p.ZoneLink(f.Subject)
	}
	return link("/log", at)
}

// advice is what to do, step by step.
func (p *page) advice(kind string) (steps []string) {
	for _, n := range []string{"1", "2", "3", "4"} {
		if key := "advice." + kind + "." + n; p.words.Has(key) {
			steps = append(steps, p.T(key))
		}
	}
	if len(steps) == 0 {
		steps = append(steps, p.T("advice.none"))
	}
	return steps
}

// StateChoices and SeverityChoices are what the filter offers.
func (v *findingsView) StateChoices() []string    { return []string{"open", "unacked", "period", "all"} }
func (v *findingsView) SeverityChoices() []string { return []string{"warning", "critical"} }

// AckLink is where an acknowledgement is sent.
func (p *page) AckLink(f findings.Record) string { return "/findings/" + segment(f.ID) + "/ack" }

// KindName, SeverityName, Fact and Value name what findings hold; what has no text yet shows itself.
func (p *page) KindName(kind string) string          { return p.Or("kind."+kind, kind) }
func (p *page) SeverityName(s event.Severity) string { return p.T("severity." + s.String()) }
func (p *page) Sign(s event.Severity) string {
	return [...]string{"i", "!", "✕"}[min(s, event.Critical)]
}
func (p *page) Fact(name string) string              { return p.Or("fact."+name, name) }
func (p *page) FindingLink(f findings.Record) string { return p.Link("/findings/" + segment(f.ID)) }
func (p *page) Lasted(f findings.Record) string {
	end := f.Closed
	if f.Open() {
		end = p.now
	}
	return end.Sub(f.Opened).Round(time.Second).String()
}

func segment(s string) string { return url.PathEscape(s) }

// acknowledge notes that somebody looks after a finding.
func (c *Console) acknowledge(p *page) error {
	if !c.tokenRight(p.r) {
		return &httpError{http.StatusForbidden, "error.token"}
	}
	user := p.User
	if user == "" {
		user = remote(p.r).String()
	}
	err := c.opts.Findings.Ack(p.r.PathValue("id"), user, p.now)
	if err == nil {
		c.audit(p, "acknowledge", map[string]string{"finding": p.r.PathValue("id")})
	}
	if errors.Is(err, findings.ErrNoFinding) {
		return &httpError{http.StatusNotFound, "error.finding"}
	}
	if err != nil {
		return err
	}
	http.Redirect(p.w, p.r, local(p.r.PostFormValue("next")), http.StatusSeeOther)
	return nil
}
