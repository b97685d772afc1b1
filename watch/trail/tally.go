package trail

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// What is counted are questions: a row of a time that was sampled counts for as many as it stands for, which estimates them.

// Counted is a value, how many questions had it, and the times of the first and the last one.
type Counted struct {
	Value       string    `json:"value"`
	Count       int64     `json:"count"`
	First, Last time.Time `json:"-"`
}

func (c *Counted) add(r *Row) {
	at := r.At()
	if c.Count == 0 || at.Before(c.First) {
		c.First = at
	}
	c.Count += r.Questions()
	if at.After(c.Last) {
		c.Last = at
	}
}

// maxCounted bounds the different values that are counted (stops: a count of random names that fills the memory).
const maxCounted = 1_000_000

// Ranking is a count of questions by the values of a column.
type Ranking struct {
	Top       []Counted // the most frequent first
	Rows      int64
	Questions int64 // that the rows stand for
	Values    int64 // different ones that were counted
	Others    int64 // values of rows for which there was no room
}

// Tops counts questions by the values of a column.
type Tops struct {
	column string
	values func(*Row) []string
	rank   Ranking // without its top
	counts map[string]*Counted
	one    [1]string
}

// TopColumns are what NewTops takes, and their columns in the log.
func TopColumns() map[string]string {
	return map[string]string{"client": clientColumn, "name": nameColumn, "type": "qtype", "rcode": "rcode", "source": "source", "node": "node", "answer": answerColumn,
		"server": "server", "upstream": "upstream", "transport": "transport", "zone": "zone", "from": "from", "policy": "policy", "ecs": "ecs"}
}

// NewTops counts by a name of TopColumns; nil where there is none of that name. A question with several answers counts for each.
func NewTops(name string) *Tops {
	column, ok := TopColumns()[name]
	if !ok {
		return nil
	}
	t := &Tops{column: column, counts: map[string]*Counted{}}
	f := fieldOf(column)
	if f.list != nil {
		t.values = func(r *Row) []string { return *f.list(r) }
	} else {
		t.values = func(r *Row) []string { t.one[0] = *f.text(r); return t.one[:] }
	}
	return t
}

// Columns are what a search has to read for it.
func (t *Tops) Columns() []string { return []string{t.column, sampleColumn} }

// Add counts a row.
func (t *Tops) Add(r *Row) error {
	t.rank.Rows++
	t.rank.Questions += r.Questions()
	for _, value := range t.values(r) {
		c := t.counts[value]
		if c == nil {
			if len(t.counts) == maxCounted {
				t.rank.Others++
				continue
			}
			c = &Counted{Value: strings.Clone(value)}
			t.counts[c.Value] = c
		}
		c.add(r)
	}
	return nil
}

// Ranking gives the n most frequent.
func (t *Tops) Ranking(n int) Ranking {
	list := make([]Counted, 0, len(t.counts))
	for _, c := range t.counts {
		list = append(list, *c)
	}
	slices.SortFunc(list, func(a, b Counted) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Value, b.Value)) })
	r := t.rank
	r.Top, r.Values = list[:min(n, len(list))], int64(len(list))
	return r
}

// Timeline counts questions by hour, and days from hours.
type Timeline struct {
	Rows      int64
	Questions int64 // that they stand for

	hours map[int64]int64
}

// NewTimeline begins one.
func NewTimeline() *Timeline { return &Timeline{hours: map[int64]int64{}} }

// TimelineColumns are what a search has to read for it.
func TimelineColumns() []string { return []string{sampleColumn} }

// Add counts a row.
func (l *Timeline) Add(r *Row) error {
	n := r.Questions()
	l.Rows, l.Questions = l.Rows+1, l.Questions+n
	l.hours[r.At().Truncate(time.Hour).Unix()] += n
	return nil
}

// Bar is a time and how many questions there were in it.
type Bar struct {
	From  time.Time `json:"from"`
	Count int64     `json:"count"`
}

// maxBars is how many hours are shown before days are.
const maxBars = 96

// Bars gives every hour, or every day of a clock where hours would be too many, from the first row to the last, those without a row included.
func (l *Timeline) Bars(step time.Duration, clock *time.Location) (bars []Bar, used time.Duration) {
	if len(l.hours) == 0 {
		return nil, step
	}
	first, last := int64(1<<62), int64(-1<<62)
	for hour := range l.hours {
		first, last = min(first, hour), max(last, hour)
	}
	if step == 0 {
		if step = time.Hour; last-first >= maxBars*3600 {
			step = 24 * time.Hour
		}
	}
	begin := time.Unix(first, 0).In(clock)
	if step > time.Hour {
		begin = time.Date(begin.Year(), begin.Month(), begin.Day(), 0, 0, 0, 0, clock)
	}
	hour := first
	for ; begin.Unix() <= last && len(bars) < maxSpan; begin = following(begin, step) {
		bar, end := Bar{From: begin}, following(begin, step).Unix()
		for ; hour < end && hour <= last; hour += 3600 {
			bar.Count += l.hours[hour]
		}
		bars = append(bars, bar)
	}
	return bars, step
}

// maxSpan bounds the bars (stops: one row of 1970 beside those of today).
const maxSpan = 24 * 366 * 10

// following is the next hour, or day, which may have 23 or 25 hours.
func following(t time.Time, step time.Duration) time.Time {
	if step > time.Hour {
		return t.AddDate(0, 0, 1)
	}
	return t.Add(step)
}

// PassiveDNS puts together what clients were told: each record of the answers once, with its first and last time.
type PassiveDNS struct {
	Rows      int64 // with answers
	Questions int64 // that they stand for
	Ruled     int64 // questions left out, for a rule of the operator made the answer
	Partial   int64 // questions whose answers are not all kept
	Others    int64 // records of rows for which there was no room

	records map[string]*Counted // by "OWNER TYPE RDATA"
}

// NewPassiveDNS begins.
func NewPassiveDNS() *PassiveDNS { return &PassiveDNS{records: map[string]*Counted{}} }

// PassiveColumns is what a search has to read for it.
func PassiveColumns() []string {
	return []string{"answers", "answers_left_out", "policy", sampleColumn}
}

// Add takes the answers of a row.
func (p *PassiveDNS) Add(r *Row) error {
	if r.LeftOut != nil && *r.LeftOut > 0 {
		p.Partial += r.Questions()
	}
	if len(r.Answers) == 0 {
		return nil
	}
	if r.Policy != "" && r.Policy != "none" {
		p.Ruled += r.Questions()
		return nil
	}
	p.Rows, p.Questions = p.Rows+1, p.Questions+r.Questions()
	for _, text := range r.Answers {
		c := p.records[text]
		if c == nil {
			if len(p.records) == maxCounted {
				p.Others++
				continue
			}
			c = &Counted{Value: strings.Clone(text)}
			p.records[c.Value] = c
		}
		c.add(r)
	}
	return nil
}

// Len is how many different records there are.
func (p *PassiveDNS) Len() int { return len(p.records) }

// Record is a line of the passive DNS view; its JSON is the Common Output Format (draft-dulaunoy-dnsop-passive-dns-cof-13).
type Record struct {
	Name  string `json:"rrname"`
	Type  string `json:"rrtype"`
	RData string `json:"rdata"`
	First int64  `json:"time_first"` // s since 1970 UTC
	Last  int64  `json:"time_last"`
	Count int64  `json:"count"`
}

// Records gives them by name (labels from the right), type, and the first time.
func (p *PassiveDNS) Records() []Record {
	list := make([]Record, 0, len(p.records))
	keys := map[string]string{}
	for text, c := range p.records {
		name, rest, _ := strings.Cut(text, " ")
		kind, rdata, _ := strings.Cut(rest, " ")
		list = append(list, Record{name, kind, rdata, c.First.Unix(), c.Last.Unix(), c.Count})
		if _, ok := keys[name]; !ok {
			keys[name] = string(nameKey(name))
		}
	}
	slices.SortFunc(list, func(a, b Record) int {
		return cmp.Or(cmp.Compare(keys[a.Name], keys[b.Name]), cmp.Compare(a.Type, b.Type), cmp.Compare(a.First, b.First), cmp.Compare(a.RData, b.RData))
	})
	return list
}
