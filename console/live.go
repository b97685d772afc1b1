package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// maxStreams bounds the pages that are kept fresh at a time (stops: connections opened until memory is gone).
const maxStreams = 64

// liveEvery is the pace of the figures; charts that have longer steps come less often.
const liveEvery = time.Second

// part is a piece of a page that the script puts in the place of the element with the same id.
type part struct {
	ID   string `json:"id"`
	HTML string `json:"html"`
}

type update struct {
	At    int64  `json:"at"` // Unix time of the data
	Parts []part `json:"parts"`
}

// live streams the changing parts of a page as server-sent events, in the very form the page itself has them.
func (c *Console) live(p *page) error {
	select {
	case c.streams <- struct{}{}:
		defer func() { <-c.streams }()
	default:
		return &httpError{http.StatusServiceUnavailable, "error.streams"}
	}
	kind, name := p.r.URL.Query().Get("page"), p.r.URL.Query().Get("name")
	if kind != "overview" && kind != "zone" {
		return &httpError{http.StatusNotFound, "error.missing"}
	}
	out := http.NewResponseController(p.w)
	p.w.Header().Set("Content-Type", "text/event-stream")
	p.w.Header().Set("X-Accel-Buffering", "no")
	last := p.Period.Last
	sent := map[string]string{}
	tick := time.NewTicker(liveEvery)
	defer tick.Stop()
	for turn := 0; ; turn++ {
		u, err := c.updateOf(p, kind, name, turn)
		if err != nil {
			return nil // the head is sent; the browser asks again
		}
		u.Parts = changed(u.Parts, sent)
		if err := send(p.w, out, u); err != nil {
			return nil
		}
		select {
		case <-c.done:
			return nil
		case <-p.r.Context().Done():
			return nil
		case <-tick.C:
		}
		if _, ok := c.who(p.r, time.Now()); !ok {
			return nil // logged out meanwhile
		}
		fresh := c.newPage(discard{p.w}, p.r)
		fresh.Period.Last = last
		*p = *fresh
	}
}

// discard is a writer whose header is not sent any more.
type discard struct{ http.ResponseWriter }

func (discard) Header() http.Header { return http.Header{} }

func send(w http.ResponseWriter, out *http.ResponseController, u *update) error {
	b, err := json.Marshal(u)
	if err != nil {
		return err
	}
	if err := out.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	if err := out.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, "data: %s\n\n", b); err != nil {
		return err
	}
	return out.Flush()
}

// changed leaves out what the page has already. What is left may be nothing, but never nil: the script goes through a list, and JSON would say null.
func changed(parts []part, sent map[string]string) []part {
	out := []part{}
	for _, one := range parts {
		if sent[one.ID] != one.HTML {
			sent[one.ID] = one.HTML
			out = append(out, one)
		}
	}
	return out
}

// updateOf makes the parts that are due in a turn: figures each second, charts as often as their last step moves visibly, lists
// each five seconds.
func (c *Console) updateOf(p *page, kind, name string, turn int) (*update, error) {
	var charts []chartView
	var view any
	var templates []string
	if kind == "zone" {
		if turn%5 != 0 {
			return &update{At: p.now.Unix()}, nil
		}
		v, err := c.zoneOf(p, name)
		if err != nil {
			return nil, err
		}
		charts, view, templates = v.Charts, v, []string{"zonefacts", "rows"}
	} else {
		lists := turn%5 == 0
		v := c.overviewOf(p, lists)
		charts, view, templates = v.Charts, v, []string{"figures"}
		if lists {
			templates = append(templates, "openfindings", "beside", "movers", "tops", "ranked")
		}
		if every := max(1, int(p.Period.Step(time.Second, 240)/(5*time.Second))); turn%every != 0 {
			charts = nil
		}
	}
	u := &update{At: p.DataAt.Unix()}
	for _, t := range templates {
		b, err := p.render(kind, t, view)
		if err != nil {
			return nil, err
		}
		u.Parts = append(u.Parts, part{t, string(bytes.TrimSpace(b))})
	}
	for _, one := range charts {
		u.Parts = append(u.Parts, part{one.ID, string(one.SVG)})
	}
	return u, nil
}
