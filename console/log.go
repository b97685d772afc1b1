package console

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"anyu/console/period"
	"anyu/console/unit"
	"anyu/watch/trail"
)

const (
	logRows  = 100
	logTime  = 2 * time.Second // then the page tells how far the search came
	logBatch = 1000            // rows of the trail at a time, where the console filters itself
)

// logFilter is what the log is searched for, as it stands in the address.
type logFilter struct {
	Name, Client, Answer, Zone, Type, Rcode, Transport, MS, Source string

	Store  string // where it is looked: inNode or inCluster
	trail  trail.Filter
	slow   int64 // us
	Errors map[string]string
}

// parse reads the filter. A field that cannot be meant is told and left out.
func (f *logFilter) parse(p *page) {
	q := p.r.URL.Query()
	get := func(name string) string { return strings.TrimSpace(q.Get(name)) }
	f.Name, f.Client, f.Zone, f.Type, f.Rcode, f.Transport, f.MS = get("name"), get("client"), get("zone"), get("type"), get("rcode"), get("transport"), get("ms")
	f.Source, f.Answer = get("source"), get("answer")
	if f.Store = get("store"); f.Store != inCluster && f.Store != inNode {
		f.Store = inNode
		if p.console.opts.InCluster {
			f.Store = inCluster
		}
	}
	f.Errors = map[string]string{}
	f.trail = trail.Filter{From: p.Period.From, To: p.Period.To, Name: f.Name, Type: strings.ToUpper(f.Type), Rcode: f.Rcode, Limit: logRows}
	if f.Source != everySource {
		f.trail.Source = f.Source
	}
	f.trail.Node = get("node")
	if f.Rcode != "none" {
		f.trail.Rcode = strings.ToUpper(f.Rcode)
	}
	if f.Zone != "" {
		f.trail.Zone = strings.ToLower(strings.TrimSuffix(f.Zone, ".") + ".")
	}
	if f.Client != "" {
		prefix, err := clientPrefix(f.Client)
		if err != nil {
			f.Errors["client"] = p.T("log.client.wrong")
		}
		f.trail.Client = prefix
	}
	if f.Answer != "" {
		prefix, err := clientPrefix(f.Answer)
		if err != nil {
			f.Errors["answer"] = p.T("log.answer.wrong")
		}
		f.trail.Answer = prefix
	}
	if f.MS != "" {
		ms, err := strconv.ParseFloat(f.MS, 64)
		if err != nil || ms < 0 || ms > 1e9 {
			f.Errors["ms"] = p.T("log.ms.wrong")
		} else {
			f.slow = int64(ms * 1000)
		}
	}
	if before := q.Get("before"); before != "" {
		if us, err := strconv.ParseInt(before, 10, 64); err == nil {
			f.trail.To = time.UnixMicro(us)
		}
	}
}

func clientPrefix(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen()), nil
	}
	return netip.ParsePrefix(text)
}

// What the form calls the places where rows are.
const (
	inNode    = "node"
	inCluster = "cluster"
)

// searcher is where rows are looked for.
func (c *Console) searcher(f *logFilter) Searcher {
	if f.Store == inCluster && c.opts.Cluster != nil {
		return c.opts.Cluster
	}
	return c.opts.Trail
}

// Clustered tells whether there is a choice.
func (v *logView) Clustered() bool { return v.console.opts.Cluster != nil }

// own tells whether the console has to look at rows itself.
func (f *logFilter) own() bool { return f.Transport != "" || f.slow > 0 }

func (f *logFilter) fits(r *trail.Row) bool {
	return (f.Transport == "" || r.Transport == strings.ToLower(f.Transport)) && (f.slow == 0 || r.Latency != nil && *r.Latency >= f.slow)
}

// search asks the trail, until there is a page of rows, everything was seen, or ctx ends.
func (c *Console) search(ctx context.Context, f *logFilter) (trail.Found, error) {
	if !f.own() {
		return c.searcher(f).Rows(ctx, f.trail)
	}
	ask := f.trail
	ask.Limit = logBatch
	var all trail.Found
	for {
		found, err := c.searcher(f).Rows(ctx, ask)
		if err != nil {
			return all, err
		}
		all.Scanned += found.Scanned
		all.Since, all.Complete = found.Since, found.Complete
		for i := range found.Rows {
			if r := &found.Rows[i]; f.fits(r) {
				all.Rows = append(all.Rows, *r)
			}
		}
		switch {
		case len(all.Rows) > logRows:
			last := all.Rows[logRows-1].Time
			n := logRows
			for n < len(all.Rows) && all.Rows[n].Time == last {
				n++
			}
			all.Rows, all.Complete, all.Since = all.Rows[:n], false, time.UnixMicro(last)
			return all, nil
		case found.Complete || ctx.Err() != nil || !found.Since.Before(ask.To):
			return all, nil
		}
		ask.To = found.Since
	}
}

type logView struct {
	*page
	Filter   logFilter
	Rows     []logRow
	Complete bool
	InTime   bool
	Since    time.Time
	Took     string
	Scanned  string
	Further  string // address of what is further back
	NoLog    bool
	Off      bool
	Sampled  bool // not every question of this time was logged
	Filtered bool

	Show           string // the view; "rows" is the first
	By             string // what "top" counts by
	Counted        int    // rows, of the other views
	Tops           []topLine
	Timeline       *chartView
	Records        []recordLine
	MoreRecords    int
	Ruled, Partial int // rows that passive DNS left out, and those without all their answers
}

// logRow is a row with its texts and links.
type logRow struct {
	trail.Row
	When, Full                                             string
	MS, Size                                               string
	Steps                                                  int // 0 to 3: how slow, beside the page's other rows
	Bad                                                    bool
	ByName, ByClient, ByZone, ByType, ByRcode, ByTransport string
	EDEText                                                string
	Told                                                   string // the answers, in a line
}

func (c *Console) log(p *page) error {
	p.Title = p.T("nav.log")
	v, err := c.logOf(p)
	if err != nil {
		return err
	}
	return p.show("log", http.StatusOK, v)
}

func (c *Console) logOf(p *page) (*logView, error) {
	v := &logView{page: p, NoLog: c.opts.Trail == nil, InTime: true, Show: p.r.URL.Query().Get("show")}
	if !slices.Contains(v.Shows(), v.Show) {
		v.Show = v.Shows()[0]
	}
	v.Filter.parse(p)
	f := &v.Filter
	v.Filtered = f.Name+f.Client+f.Answer+f.Zone+f.Type+f.Rcode+f.Transport+f.MS+f.trail.Source+f.trail.Node != ""
	if v.NoLog || len(f.Errors) > 0 {
		return v, nil
	}
	v.Off = c.opts.Trail.Off()
	v.Sampled = c.sampled(f)
	c.trace(p, f)
	start := time.Now()
	ctx, cancel := context.WithTimeout(p.r.Context(), logTime)
	defer cancel()
	if v.Show != v.Shows()[0] {
		scanned, err := c.count(ctx, p, v)
		v.InTime, v.Complete = ctx.Err() == nil, ctx.Err() == nil
		v.Took, v.Scanned = unit.Seconds.Text(time.Since(start).Seconds()), unit.Count.Text(float64(scanned))
		return v, err
	}
	found, err := c.search(ctx, f)
	if err != nil {
		return nil, err
	}
	v.Rows, v.Complete, v.InTime, v.Since = p.rows(found.Rows), found.Complete, ctx.Err() == nil, found.Since
	v.Took, v.Scanned = unit.Seconds.Text(time.Since(start).Seconds()), unit.Count.Text(float64(found.Scanned))
	if !found.Complete {
		from, to := period.Between(p.Period.From, p.Period.To), url.Values{}
		from.Put(to)
		v.Further = p.With("last", "", "from", to.Get("from"), "to", to.Get("to"), "before", strconv.FormatInt(found.Since.UnixMicro(), 10))
	}
	return v, nil
}

// sampled tells whether the log left questions out in the filter's time. Where that is unknown it may have.
func (c *Console) sampled(f *logFilter) bool {
	list, err := c.opts.Trail.Sampled(f.trail.From, f.trail.To)
	return err != nil || len(list) > 0
}

// Transports, Types and Rcodes are what the filter suggests.
func (v *logView) Transports() []string { return []string{"udp", "tcp", "tls", "https", "quic"} }
func (v *logView) Types() []string {
	return []string{"A", "AAAA", "NS", "SOA", "MX", "TXT", "CNAME", "PTR", "SRV", "HTTPS", "DS", "DNSKEY", "ANY", "AXFR", "IXFR"}
}
func (v *logView) Rcodes() []string {
	return []string{"NOERROR", "NXDOMAIN", "SERVFAIL", "REFUSED", "FORMERR", "NOTIMP", "NOTAUTH", "BADVERS", "none"}
}

// rows makes texts and links. The links narrow this page's filter down.
func (p *page) rows(list []trail.Row) []logRow {
	rows := make([]logRow, len(list))
	bounds := speeds(list)
	narrow := func(name, value string) string {
		if p.Here == "/log" {
			return p.With(name, value, "before", "")
		}
		return p.Link("/log", name, value)
	}
	for i, r := range list {
		row := logRow{Row: r, Told: shortly(&r), When: r.At().In(p.Clock).Format("15:04:05.000"), Full: r.At().In(p.Clock).Format("2006-01-02 15:04:05.000000 -07:00"), MS: unit.Unknown, Size: unit.Unknown}
		if r.Latency != nil {
			row.MS = strconv.FormatFloat(float64(*r.Latency)/1000, 'f', 3, 64)
			for _, b := range bounds {
				if *r.Latency > b {
					row.Steps++
				}
			}
		}
		if r.ReplySize != nil {
			row.Size = strconv.Itoa(int(*r.ReplySize))
		}
		row.Bad = r.Rcode == "SERVFAIL" || r.Rcode == "none"
		row.ByName, row.ByClient, row.ByType = narrow("name", r.Name), narrow("client", r.Client), narrow("type", r.Type)
		row.ByRcode, row.ByTransport, row.ByZone = narrow("rcode", r.Rcode), narrow("transport", r.Transport), narrow("zone", r.Zone)
		if r.EDE != nil {
			row.EDEText = "EDE " + strconv.Itoa(int(*r.EDE))
		}
		rows[i] = row
	}
	return rows
}

// speeds are the median, the 95th and the 99th percentile of the rows shown.
func speeds(list []trail.Row) [3]int64 {
	var all []int64
	for i := range list {
		if list[i].Latency != nil {
			all = append(all, *list[i].Latency)
		}
	}
	slices.Sort(all)
	if len(all) < 20 {
		return [3]int64{1 << 62, 1 << 62, 1 << 62}
	}
	return [3]int64{all[len(all)/2], all[len(all)*95/100], all[len(all)*99/100]}
}
