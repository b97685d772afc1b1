package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"anyu/console/language"
	"anyu/console/period"
	"anyu/console/unit"
	"anyu/watch/gauge"
)

//go:embed pages/*.html static/*
var files embed.FS

// pages are the parsed templates and the files beside them.
type pages struct {
	byName  map[string]*template.Template
	assets  map[string][]byte
	version string // of the assets, part of their addresses
}

func parsePages() (*pages, error) {
	p := &pages{byName: map[string]*template.Template{}, assets: map[string][]byte{}}
	base, err := template.ParseFS(files, "pages/layout.html", "pages/parts.html")
	if err != nil {
		return nil, fmt.Errorf("parsing pages: %w", err)
	}
	names, err := fs.Glob(files, "pages/*.html")
	if err != nil {
		return nil, fmt.Errorf("parsing pages: %w", err)
	}
	for _, path := range names {
		one, err := base.Clone()
		if err == nil {
			one, err = one.ParseFS(files, path)
		}
		if err != nil {
			return nil, fmt.Errorf("parsing pages: %w", err)
		}
		p.byName[strings.TrimSuffix(strings.TrimPrefix(path, "pages/"), ".html")] = one
	}
	sum := sha256.New()
	entries, err := files.ReadDir("static")
	if err != nil {
		return nil, fmt.Errorf("reading static files: %w", err)
	}
	for _, e := range entries {
		b, err := files.ReadFile("static/" + e.Name())
		if err != nil {
			return nil, fmt.Errorf("reading static files: %w", err)
		}
		sum.Write(b)
		p.assets[e.Name()] = b
	}
	p.version = hex.EncodeToString(sum.Sum(nil)[:6])
	return p, nil
}

var contentTypes = map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

func (p *pages) static(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	b, ok := p.assets[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", contentTypes[name[strings.LastIndexByte(name, '.'):]])
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Write(b)
}

// page is one request and everything its templates need. Views embed it.
type page struct {
	console *Console
	w       http.ResponseWriter
	r       *http.Request
	now     time.Time
	words   *language.Catalogue

	Period period.Period
	Wrong  string // what was wrong with the address, in the reader's language
	Clock  *time.Location
	Theme  string // auto, light or dark
	Wall   bool
	User   string
	Title  string
	Here   string // path of the section, for the menu
	Live   string // address of the stream that keeps the page fresh; "" where it stands still
	DataAt time.Time
	Open   [3]int // findings by severity

	wrongKey string // of Wrong
	scope    scope
	sources  []gauge.Watched
}

// httpError is an error with its status.
type httpError struct {
	status int
	key    string // text of the page that says so
}

func (e *httpError) Error() string { return http.StatusText(e.status) }

// page makes a handler of a view.
func (c *Console) page(show func(*page) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := c.newPage(w, r)
		err := show(p)
		if err == nil {
			return
		}
		status, key := http.StatusInternalServerError, "error.inside"
		if known := (*httpError)(nil); errors.As(err, &known) {
			status, key = known.status, known.key
		} else {
			c.opts.Log.Error("console page", "path", r.URL.Path, "error", err)
		}
		p.fail(status, key)
	})
}

const cookieLife = 365 * 24 * 3600

func (c *Console) newPage(w http.ResponseWriter, r *http.Request) *page {
	q := r.URL.Query()
	p := &page{console: c, w: w, r: r, now: time.Now(), Clock: c.opts.Clock, Theme: "auto", Wall: q.Get("wall") == "1", Here: r.URL.Path}
	p.words = c.words.Choose(p.preference("lang", "zh", "en"), "", r.Header.Get("Accept-Language"), c.opts.Language)
	if theme := p.preference("theme", "auto", "light", "dark"); theme != "" {
		p.Theme = theme
	}
	if p.preference("clock", "server", "utc") == "utc" {
		p.Clock = time.UTC
	}
	var err error
	if p.Period, err = period.Parse(q, p.now, p.Clock); err != nil {
		p.wrong("error.period")
	}
	p.parseScope(q)
	p.User, _ = c.who(r, p.now)
	p.Open = c.opts.Findings.OpenCount()
	p.DataAt = p.now
	return p
}

// wrong notes what cannot be meant in the address.
func (p *page) wrong(key string) { p.Wrong, p.wrongKey = p.T(key), key }

// preference is a choice of the reader: from the address, and then kept in a cookie, or from the cookie.
func (p *page) preference(name string, choices ...string) string {
	asked := p.r.URL.Query().Get(name)
	for _, choice := range choices {
		if asked == choice {
			http.SetCookie(p.w, &http.Cookie{Name: "anyu-" + name, Value: choice, Path: "/", MaxAge: cookieLife, SameSite: http.SameSiteLaxMode,
				HttpOnly: true, Secure: p.console.opts.Certificate != ""})
			return choice
		}
	}
	cookie, err := p.r.Cookie("anyu-" + name)
	if err != nil {
		return ""
	}
	for _, choice := range choices {
		if cookie.Value == choice {
			return choice
		}
	}
	return ""
}

// show writes the page of a view.
func (p *page) show(name string, status int, view any) error {
	b, err := p.render(name, "layout", view)
	if err != nil {
		return err
	}
	p.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	p.w.Header().Set("Content-Language", p.words.HTML)
	p.w.WriteHeader(status)
	p.w.Write(b)
	return nil
}

// render makes one template of a page.
func (p *page) render(name, part string, view any) ([]byte, error) {
	t := p.console.pages.byName[name]
	if t == nil {
		return nil, fmt.Errorf("there is no page %s", name)
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, part, view); err != nil {
		return nil, fmt.Errorf("rendering %s: %w", name, err)
	}
	return b.Bytes(), nil
}

// fail writes an error in words: as a page, or as JSON where a program asked.
func (p *page) fail(status int, key string) {
	if strings.HasPrefix(p.r.URL.Path, "/api/") {
		p.json(status, map[string]string{"error": p.T(key)})
		return
	}
	p.Title = p.T("error.title")
	view := struct {
		*page
		Text string
	}{p, p.T(key)}
	if err := p.show("error", status, view); err != nil {
		http.Error(p.w, p.T(key), status)
	}
}

func (c *Console) notFound(*page) error { return &httpError{http.StatusNotFound, "error.missing"} }

// Methods for templates.

// T is a text in the reader's language.
func (p *page) T(key string, arguments ...any) string { return p.words.Text(key, arguments...) }

// Or is a text, or a word where there is none.
func (p *page) Or(key, otherwise string) string { return p.words.Or(key, otherwise) }

// Inside tells whether the reader may see anything of this installation: the login page shows nothing.
func (p *page) Inside() bool { return p.Here != "/login" }

// Lang is for <html lang>, Tag for choices.
func (p *page) Lang() string { return p.words.HTML }
func (p *page) Tag() string  { return p.words.Tag }

// Node and Version name the installation.
func (p *page) Node() string    { return p.console.opts.Name }
func (p *page) Version() string { return p.console.opts.Version }

// Assets is the version of the static files.
func (p *page) Assets() string { return p.console.pages.version }

// CSRF is the token for forms.
func (p *page) CSRF() string { return p.console.token(p.r) }

// Link is an address of ours with the page's period, its choice of sources and the given pairs; empty values are left out.
func (p *page) Link(path string, pairs ...string) string {
	return link(path, p.Period, append(p.scope.pairs(), pairs...)...)
}

func link(path string, at period.Period, pairs ...string) string {
	q := url.Values{}
	at.Put(q)
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return path + "?" + q.Encode()
}

// Plain is an address without a period.
func (p *page) Plain(path string, segment string) string { return path + url.PathEscape(segment) }

// With is this page's address with some values changed; empty ones are taken out.
func (p *page) With(pairs ...string) string {
	q := p.r.URL.Query()
	for _, once := range []string{"lang", "theme", "clock"} {
		q.Del(once)
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			q.Del(pairs[i])
		} else {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	path := p.r.URL.EscapedPath()
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// Rest are the values of this page's address without some, for forms that set those.
func (p *page) Rest(without ...string) []pair {
	var kept []pair
	for name, values := range p.r.URL.Query() {
		skip := false
		for _, w := range append(without, "lang", "theme", "clock") {
			skip = skip || w == name
		}
		if !skip && len(values) > 0 && values[0] != "" {
			kept = append(kept, pair{name, values[0]})
		}
	}
	slices.SortFunc(kept, func(a, b pair) int { return strings.Compare(a.Name, b.Name) })
	return kept
}

type pair struct{ Name, Value string }

// Presets are the offered periods with their addresses.
func (p *page) Presets() (all []preset) {
	for _, d := range period.Presets() {
		text := unit.Span(d)
		all = append(all, preset{p.span(d), p.With("last", text, "from", "", "to", "", "before", "", "page", ""), p.Period.Last == d})
	}
	return all
}

type preset struct {
	Text, Link string
	Chosen     bool
}

// span is a length of time in words.
func (p *page) span(d time.Duration) string {
	text := unit.Span(d)
	return p.T("span."+text[len(text)-1:], "n", text[:len(text)-1])
}

// Range tells the page's period in words, with its end.
func (p *page) Range() string {
	if p.Period.Moving() {
		return p.T("range.last", "span", p.span(p.Period.Last))
	}
	to := p.Period.To.In(p.Clock).Format("15:04:05")
	if p.Period.To.In(p.Clock).YearDay() != p.Period.From.In(p.Clock).YearDay() {
		to = p.Period.To.In(p.Clock).Format("01-02 15:04:05")
	}
	return p.Period.From.In(p.Clock).Format("01-02 15:04:05") + " – " + to
}

// Time, Short and Offset write times of the page's clock.
func (p *page) Time(t time.Time) string {
	if t.IsZero() {
		return unit.Unknown
	}
	return t.In(p.Clock).Format("2006-01-02 15:04:05 -07:00")
}

// Short leaves out the day where it is today, and the zone, which stands at the head of the page.
func (p *page) Short(t time.Time) string {
	if t.IsZero() {
		return unit.Unknown
	}
	t, now := t.In(p.Clock), p.now.In(p.Clock)
	if t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format(time.TimeOnly)
	}
	return t.Format("01-02 15:04:05")
}

// Machine is for <time datetime>.
func (p *page) Machine(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Field is for date fields.
func (p *page) Field(t time.Time) string { return t.In(p.Clock).Format("2006-01-02T15:04:05") }

// Offset is the zone of the page's clock.
func (p *page) Offset() string { return "UTC" + p.now.In(p.Clock).Format("-07:00") }

// Number groups thousands.
func (p *page) Number(n int) string { return unit.Group(fmt.Sprint(n)) }

// Octets writes a size.
func (p *page) Octets(n int64) string { return unit.Bytes.Text(float64(n)) }

// OpenAll counts the open findings.
func (p *page) OpenAll() int { return p.Open[0] + p.Open[1] + p.Open[2] }
