package console

import (
	"errors"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"anyu/watch/rssac"
)

// Measured tells the RSSAC002 measurements.
type Measured interface {
	// RSSAC002 is the day so far; nil where nothing is measured.
	RSSAC002() *rssac.Today
	// RSSAC002File is a file of a day that is over, by the path that RSSAC002 told.
	RSSAC002File(path string) ([]byte, error)
}

type rssacView struct {
	*page
	D    *rssac.Today
	Kept []keptDay
}

// keptDay are the files of a day that is over.
type keptDay struct {
	Day   string
	Files []pair // metric and address
}

// Measures tells whether there is such a page: it is in the menu only then.
func (p *page) Measures() bool {
	return p.console.opts.Measured != nil
}

func (c *Console) rssac(p *page) error {
	p.Title = p.T("nav.rssac")
	v := rssacView{page: p}
	if c.opts.Measured != nil {
		v.D = c.opts.Measured.RSSAC002()
	}
	if v.D != nil {
		v.Kept = days(v.D.Kept)
	}
	return p.show("rssac", http.StatusOK, v)
}

// days groups paths like 2026/11/load-time/x-root-20261124-load-time.yaml, which come newest day first.
func days(paths []string) (all []keptDay) {
	for _, at := range paths {
		name := strings.TrimSuffix(path.Base(at), ".yaml")
		metric := path.Base(path.Dir(at))
		before, after, found := strings.Cut(name, "-"+metric)
		if !found || len(before) < 8 {
			continue
		}
		day := before[len(before)-8:]
		if len(all) == 0 || all[len(all)-1].Day != day {
			all = append(all, keptDay{Day: day})
		}
		last := &all[len(all)-1]
		last.Files = append(last.Files, pair{metric + after, "/rssac002/" + at})
	}
	return all
}

// Missing is what of the day so far was not counted.
func (v rssacView) Missing() string { return v.span(time.Duration(v.D.Missing) * time.Second) }

func (c *Console) rssacFile(p *page) error {
	if c.opts.Measured == nil {
		return &httpError{http.StatusNotFound, "error.missing"}
	}
	at := p.r.PathValue("path")
	b, err := c.opts.Measured.RSSAC002File(at)
	if errors.Is(err, fs.ErrNotExist) {
		return &httpError{http.StatusNotFound, "error.missing"}
	}
	if err != nil {
		return err
	}
	p.w.Header().Set("Content-Disposition", `attachment; filename="`+path.Base(at)+`"`)
	p.w.Header().Set("Content-Type", "application/yaml")
	p.w.Write(b)
	return nil
}

// apiRSSAC is the day so far for programs; null where nothing is measured.
func (c *Console) apiRSSAC(p *page) error {
	var d *rssac.Today
	if c.opts.Measured != nil {
		d = c.opts.Measured.RSSAC002()
	}
	p.json(http.StatusOK, map[string]any{"rssac002": d})
	return nil
}
