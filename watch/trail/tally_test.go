package trail_test

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"
	"time"

	"anyu/watch/trail"
)

func TestTops_countValuesAndTheirTimes(t *testing.T) {
	top := trail.NewTops("answer")
	at := begin.UnixMicro()
	for i, ips := range [][]string{{"192.0.2.1", "192.0.2.2"}, {"192.0.2.2"}, nil, {"192.0.2.3"}} {
		if err := top.Add(&trail.Row{Time: at - int64(i)*1e6, AnswerIPs: ips}); err != nil {
			t.Fatal(err)
		}
	}
	r := top.Ranking(2)
	list := r.Top
	if len(list) != 2 || list[0].Value != "192.0.2.2" || list[0].Count != 2 || !list[0].First.Equal(begin.Add(-time.Second)) || !list[0].Last.Equal(begin) || list[1].Value != "192.0.2.1" || r.Questions != 4 || r.Rows != 4 || r.Values != 3 {
		t.Errorf("%+v", list)
	}
	for name, column := range trail.TopColumns() {
		if top := trail.NewTops(name); top == nil || top.Columns()[0] != column || top.Add(&trail.Row{}) != nil {
			t.Errorf("%s cannot be counted", name)
		}
	}
	if trail.NewTops("latency") != nil {
		t.Error("latency has no top")
	}
}

// A row of a time that was sampled counts for as many questions as it stands for; what is no such number is one question.
func TestCounts_areOfQuestions(t *testing.T) {
	top, line, told := trail.NewTops("name"), trail.NewTimeline(), trail.NewPassiveDNS()
	one := func(name string, sample ...int64) {
		r := trail.Row{Time: begin.UnixMicro(), Name: name, Answers: []string{name + " A 192.0.2.1"}}
		if len(sample) > 0 {
			r.Sample = &sample[0]
		}
		for _, add := range []func(*trail.Row) error{top.Add, line.Add, told.Add} {
			if err := add(&r); err != nil {
				t.Fatal(err)
			}
		}
	}
	one("a.")
	one("a.")
	one("a.", 0)
	one("a.", -7)
	one("b.", 10)
	one("c.", math.MaxInt64) // of a file put there: it is bounded
	r := top.Ranking(10)
	if text := fmt.Sprintf("%s %d %s %d %s %d", r.Top[0].Value, r.Top[0].Count, r.Top[1].Value, r.Top[1].Count, r.Top[2].Value, r.Top[2].Count); text != "c. 2147483648 b. 10 a. 4" || r.Rows != 6 || r.Questions != 2147483648+14 {
		t.Errorf("%s of %+v", text, r)
	}
	if bars, _ := line.Bars(0, time.UTC); line.Rows != 6 || len(bars) != 1 || bars[0].Count != r.Questions {
		t.Errorf("%d rows, %v", line.Rows, bars)
	}
	if list := told.Records(); list[0].Count != 4 || list[1].Count != 10 || told.Rows != 6 {
		t.Errorf("%+v", list)
	}
}

func TestTimeline_hoursAndDays(t *testing.T) {
	l := trail.NewTimeline()
	if bars, _ := l.Bars(0, time.UTC); bars != nil {
		t.Error(bars)
	}
	for _, h := range []int{0, 0, 3} {
		if err := l.Add(&trail.Row{Time: begin.Add(time.Duration(h) * time.Hour).UnixMicro()}); err != nil {
			t.Fatal(err)
		}
	}
	bars, step := l.Bars(0, time.UTC)
	if step != time.Hour || fmt.Sprint(counts(bars)) != "[2 0 0 1]" || !bars[0].From.Equal(begin.Truncate(time.Hour)) {
		t.Errorf("%v %v", step, bars)
	}
	// Days of a clock with summer time: the last Sunday of March has 23 hours.
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("SKIPPED: no time zones on this machine: days of 23 hours are not tried")
	}
	l = trail.NewTimeline()
	first := time.Date(2026, 3, 28, 0, 0, 0, 0, berlin)
	for h := range 24 * 5 {
		if err := l.Add(&trail.Row{Time: first.Add(time.Duration(h) * time.Hour).UnixMicro()}); err != nil {
			t.Fatal(err)
		}
	}
	if bars, step := l.Bars(0, berlin); step != 24*time.Hour || fmt.Sprint(counts(bars)) != "[24 23 24 24 24 1]" {
		t.Errorf("%v %v", step, counts(bars))
	}
}

func counts(bars []trail.Bar) (n []int64) {
	for _, b := range bars {
		n = append(n, b.Count)
	}
	return n
}

// Each record once, by name from the right, with the first and the last time; what an operator's rule answered is not what the DNS said.
func TestPassiveDNS_isTheCommonOutputFormat(t *testing.T) {
	p := trail.NewPassiveDNS()
	one := int32(1)
	for i, r := range []trail.Row{
		{Answers: []string{"www.example.cn. CNAME a.cdn.net.", "a.cdn.net. A 192.0.2.1"}, Policy: "none"},
		{Answers: []string{"a.cdn.net. A 192.0.2.1"}, LeftOut: &one},
		{Answers: []string{`b.example.cn. TXT "a b"`}},
		{Answers: []string{"www.example.cn. A 203.0.113.66"}, Policy: "local-redirect"},
		{},
	} {
		r.Time = begin.Add(time.Duration(i) * time.Minute).UnixMicro()
		if err := p.Add(&r); err != nil {
			t.Fatal(err)
		}
	}
	text := ""
	for _, r := range p.Records() {
		line, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		text += string(line) + "\n"
	}
	want := `{"rrname":"b.example.cn.","rrtype":"TXT","rdata":"\"a b\"","time_first":1795438919,"time_last":1795438919,"count":1}
{"rrname":"www.example.cn.","rrtype":"CNAME","rdata":"a.cdn.net.","time_first":1795438799,"time_last":1795438799,"count":1}
{"rrname":"a.cdn.net.","rrtype":"A","rdata":"192.0.2.1","time_first":1795438799,"time_last":1795438859,"count":2}
`
	if text != want || p.Rows != 3 || p.Ruled != 1 || p.Partial != 1 {
		t.Errorf("%+v\n%s", p, text)
	}
}
