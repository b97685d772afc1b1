package console

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"anyu/console/period"
	"anyu/console/unit"
	"anyu/watch/gauge"
)

const (
	topLines   = 6
	moveLines  = 3 // of each kind
	moveWindow = 5 * time.Minute
)

type moverLine struct {
	Kind         string // key of its name
	Name, Link   string
	Now, Before  string
	Change, Sign string
}

type topList struct {
	Key   string
	Note  string
	Lines []topLine
}

type topLine struct {
	Name, Link   string
	Count, Share string
	Width        string // of its bar, percent
}

// ranking is a list that sketches keep: who asked, for what.
type ranking struct {
	key  string
	list gauge.List
	link func(p *page, name string) string // what is behind a line
}

var rankings = [...]ranking{
	{"client", gauge.Clients, func(p *page, name string) string { return p.LogLink("client", name) }},
	{"network", gauge.Networks, func(p *page, name string) string { return p.LogLink("client", name) }},
	{"name", gauge.QueryNames, func(p *page, name string) string { return p.LogLink("name", name) }},
	{"domain", gauge.Domains, func(p *page, name string) string { return p.LogLink("name", below(name)) }},
	{"unanswered", gauge.Unanswered, func(p *page, name string) string { return p.LogLink("name", name) }},
	{"server", gauge.Servers, func(p *page, _ string) string { return p.LogLink() }},
}

// below is the log's pattern of a domain.
func below(domain string) string {
	if domain == "." {
		return "*."
	}
	return "*." + domain
}

// moved lists what moved most: zones, clients and names.
func (c *Console) moved(p *page) (lines []moverLine) {
	of := p.scope.set
	if before := c.opts.Gauge.Live(of, p.now.Add(-moveWindow), moveWindow, moveWindow); before[0].Known == 0 {
		return nil // not watched long enough to compare
	}
	at := period.Between(p.now.Add(-2*moveWindow).Truncate(time.Minute), p.now)
	behind := func(pairs ...string) string { return link("/log", at, append(pairs, p.logScope()...)...) }
	for _, kind := range []struct {
		key    string
		moved  []gauge.Mover
		filter string
	}{
		{"zone", c.opts.Gauge.Movers(of, p.now, moveWindow, moveLines), "zone"},
		{"client", c.opts.Gauge.RankMovers(of, p.now, moveWindow, gauge.Clients, moveLines), "client"},
		{"name", c.opts.Gauge.RankMovers(of, p.now, moveWindow, gauge.QueryNames, moveLines), "name"},
	} {
		for _, m := range kind.moved {
			line := moverLine{Kind: kind.key, Name: m.Name, Link: behind(kind.filter, m.Name), Now: unit.PerSecond.Text(m.Now), Before: unit.PerSecond.Text(m.Before), Sign: "▲"}
			if kind.key == "zone" && m.Name == "other" {
				line.Name, line.Link = p.zoneName(m.Name), behind()
			}
			if m.Now < m.Before {
				line.Sign = "▼"
			}
			line.Change = unit.PerSecond.Text(math.Abs(m.Now - m.Before))
			lines = append(lines, line)
		}
	}
	return lines
}

// topLists are what was asked most: counted ones of any period, ranked ones of the last hour.
func (c *Console) topLists(p *page) (all []topList) {
	for _, by := range []struct {
		key string
		gauge.Dimension
	}{{"zone", gauge.ByZone}, {"rcode", gauge.ByRcode}, {"transport", gauge.ByTransport}, {"type", gauge.ByType}} {
		all = append(all, topList{Key: by.key, Lines: c.shares(p, by.Dimension, by.key)})
	}
	return all
}

// rank fills in the lists that sketches keep, and how many different clients and names there were.
func (c *Console) rank(p *page, v *overviewView) {
	if !p.Period.Moving() {
		return
	}
	last := min(p.Period.Span(), gauge.Hour)
	for _, r := range rankings {
		ranked := c.opts.Gauge.Rank(p.scope.set, p.now, last, r.list, topLines)
		if r.list == gauge.Servers && len(ranked.Lines) < 2 {
			continue // one address is no list
		}
		v.Asked = v.Asked || ranked.Total > 0
		list := topList{Key: r.key}
		if ranked.Every > 1 {
			list.Note = p.T("top.sampled", "n", ranked.Every)
		}
		for _, l := range ranked.Lines {
			list.Lines = append(list.Lines, lineOf(l.Name, r.link(p, l.Name), float64(l.Count), float64(ranked.Total), float64(ranked.Lines[0].Count)))
		}
		v.Ranked = append(v.Ranked, list)
	}
	d := c.opts.Gauge.Distinct(p.scope.set, p.now, last)
	v.Distinct = p.T("top.different", "span", p.span(last), "clients", unit.Count.Text(float64(d.Clients)), "names", unit.Count.Text(float64(d.Names)))
}

func lineOf(name, link string, count, total, highest float64) topLine {
	return topLine{Name: name, Link: link, Count: unit.Count.Text(count), Share: unit.Ratio.Text(min(count/total, 1)), Width: strconv.FormatFloat(100*count/highest, 'f', 1, 64)}
}

// shares are the largest of a dimension: of the last hour from the gauge, else from the history.
func (c *Console) shares(p *page, by gauge.Dimension, key string) (lines []topLine) {
	var shares []gauge.Share
	if recent(p.Period, p.now) && p.Period.Moving() {
		shares = c.opts.Gauge.Shares(p.scope.set, p.now, min(p.Period.Span(), gauge.Hour), by, 1000)
	} else {
		shares = c.keptTops(p, key)
	}
	total, highest := 0.0, 0.0
	for _, s := range shares {
		total += float64(s.Count)
		highest = max(highest, float64(s.Count))
	}
	for _, s := range shares[:min(topLines, len(shares))] {
		line := lineOf(s.Name, "", float64(s.Count), total, highest)
		switch {
		case key == "zone":
			line.Name, line.Link = p.zoneName(s.Name), p.zoneLink(s.Name)
		case s.Name == "other":
			line.Name, line.Link = p.T("other"), p.LogLink()
		default:
			line.Link = p.LogLink(key, s.Name)
		}
		lines = append(lines, line)
	}
	return lines
}

// keptTops are the largest of a dimension over the page's period, from the history.
func (c *Console) keptTops(p *page, dimension string) (shares []gauge.Share) {
	query := fmt.Sprintf("sum by (%s) (increase(anyu_queries_total%s[%ds]))", dimension, selector(p.scope.labels()...), int(p.Period.Span().Seconds()))
	list, err := c.opts.History.At(p.r.Context(), query, p.Period.To)
	if err != nil {
		return nil
	}
	for _, line := range list {
		if len(line.Samples) > 0 && line.Samples[0].Value >= 0.5 {
			shares = append(shares, gauge.Share{Name: line.Labels[dimension], Count: uint64(line.Samples[0].Value + 0.5)})
		}
	}
	slices.SortFunc(shares, func(a, b gauge.Share) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name)) })
	return shares
}

// zoneName and zoneLink know that "other" is no zone.
func (p *page) zoneName(name string) string {
	if name == "other" {
		return p.T("zone.other")
	}
	return name
}

func (p *page) zoneLink(name string) string {
	if name == "other" {
		return p.LogLink()
	}
	return p.ZoneLink(name)
}
