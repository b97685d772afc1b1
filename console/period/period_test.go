package period_test

import (
	"net/url"
	"testing"
	"time"

	"anyu/console/period"
)

var (
	now      = time.Date(2026, 11, 23, 6, 3, 12, 0, time.UTC)
	shanghai = time.FixedZone("+08:00", 8*3600)
)

func TestParse_readsWhatIsWritten(t *testing.T) {
	for _, query := range []string{"last=1m", "last=15m", "last=24h", "last=30d", "from=2026-11-23T05:00:00Z&to=2026-11-23T06:00:00Z",
		"from=2026-11-23T13:00&to=2026-11-23T14:00", "from=2026-11-23T05:00:00.123456Z&to=2026-11-23T06:00:00Z"} {
		q, _ := url.ParseQuery(query)
		p, err := period.Parse(q, now, shanghai)
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		again := url.Values{}
		p.Put(again)
		if same, err := period.Parse(again, now, time.UTC); err != nil || !same.From.Equal(p.From) || !same.To.Equal(p.To) || same.Last != p.Last {
			t.Errorf("%s is written as %s and read as %v, %v", query, again.Encode(), same, err)
		}
	}
}

func TestParse_takesFieldsInTheZoneOfThePage(t *testing.T) {
	p, err := period.Parse(url.Values{"from": {"2026-11-23T13:00"}, "to": {"2026-11-23T14:00"}}, now, shanghai)
	if err != nil || !p.From.Equal(time.Date(2026, 11, 23, 5, 0, 0, 0, time.UTC)) || p.Span() != time.Hour {
		t.Errorf("%v, %v", p, err)
	}
}

func TestParse_refusesButStillGivesAPiece(t *testing.T) {
	for _, query := range []string{"last=1s", "last=-5m", "last=90d", "last=x", "last=99999999d", "from=2026&to=2027", "from=2026-11-23T06:00:00Z&to=2026-11-23T05:00:00Z",
		"from=2020-01-01T00:00:00Z&to=2026-11-23T05:00:00Z"} {
		q, _ := url.ParseQuery(query)
		p, err := period.Parse(q, now, time.UTC)
		if err == nil {
			t.Errorf("%s was taken as %v", query, p)
		}
		if s := p.Span(); s < period.MinSpan || s > period.MaxSpan {
			t.Errorf("%s: a piece of %v", query, s)
		}
	}
}

func TestStep_isRoundAndFits(t *testing.T) {
	for _, last := range period.Presets() {
		p := period.Of(last, now)
		if step := p.Step(time.Second, 240); last/step > 240 || last/step < 30 {
			t.Errorf("%v by %v", last, step)
		}
	}
}
