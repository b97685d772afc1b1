package console_test

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

var updateScreens = flag.Bool("update-screens", false, "write docs/screens/*.png")

// browser is a new, empty Chromium. What it complains of is collected.
type browser struct {
	ctx  context.Context
	root string

	mu       sync.Mutex
	problems []string
}

func newBrowser(t *testing.T, w *world) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("chromium is not installed, and CI=true")
		}
		t.Skip("chromium is not installed: pages are not tested in a browser (apt-get install chromium)")
	}
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true), chromedp.Flag("hide-scrollbars", true),
		chromedp.WindowSize(1360, 1000),
	}
	allocated, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocated)
	limited, end := context.WithTimeout(ctx, 180*time.Second)
	b := &browser{ctx: limited, root: w.server.URL}
	t.Cleanup(func() {
		chromedp.Cancel(ctx) // waits until it has left its folder
		end()
		cancel()
		stop()
	})
	err = chromedp.Listen(limited, func(e any) {
		switch e := e.(type) {
		case *runtime.EventExceptionThrown:
			text := "exception: " + e.ExceptionDetails.Text
			if o := e.ExceptionDetails.Exception; o != nil {
				text += " " + o.Description
			}
			b.complain(text)
		case *runtime.EventConsoleAPICalled:
			if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
				b.complain("console: " + string(e.Args[0].Value))
			}
		case *cdplog.EventEntryAdded:
			if e.Entry.Level == cdplog.EntryLevelError || e.Entry.Level == cdplog.EntryLevelWarning {
				b.complain("log: " + e.Entry.Text + " " + e.Entry.URL)
			}
		}
	})
	if err != nil {
		t.Fatalf("starting chromium: %v", err)
	}
	return b
}

func (b *browser) complain(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.problems = append(b.problems, text)
}

// run does what a person does. Between the driver's look for an element and its click a live page may have put a new one in its place; a person would
// click that one, so the driver looks again.
func (b *browser) run(t *testing.T, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	err := chromedp.Do(b.ctx, actions...)
	for try := 0; err != nil && strings.Contains(err.Error(), "Could not find node with given id") && try < 3; try++ {
		err = chromedp.Do(b.ctx, actions...)
	}
	if err != nil {
		t.Fatalf("browser: %v; it complained of %q", err, b.problems)
	}
}

// open loads a page and waits for its script.
func (b *browser) open(t *testing.T, path string) {
	t.Helper()
	b.run(t, chromedp.Navigate(b.root+path), chromedp.WaitReady[chromedp.CSS]("main"))
	b.until(t, "loading "+path, `document.readyState === "complete"`) // styles too: before them, things stand elsewhere and clicks miss
}

func (b *browser) text(t *testing.T, script string) string {
	t.Helper()
	return eval[string](t, b, script)
}

// eval runs a script in the page.
func eval[T any](t *testing.T, b *browser, script string) T {
	t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](script))
	if err != nil {
		t.Fatalf("browser: %v; it complained of %q", err, b.problems)
	}
	return v
}

// until waits for a script to be true.
func (b *browser) until(t *testing.T, what, script string) {
	t.Helper()
	for range 300 {
		if eval[bool](t, b, script) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("%s did not happen at %s; complaints %q", what, b.text(t, "location.href"), b.problems)
}

func allPages(w *world) []string {
	return []string{"/", "/zones", "/zones/bank.lab.", "/findings?state=all", "/findings/" + w.finding, "/log", "/log?show=top&by=answer", "/log?show=timeline", "/log?show=pdns", "/recursion", "/sources", "/ledger", "/storage", "/rssac002", "/about", "/login"}
}

func TestBrowser_pagesLoadWithoutComplaints(t *testing.T) {
	w := newWorld(t)
	b := newBrowser(t, w)
	if _, err := chromedp.Call(b.ctx, cdplog.Enable, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
	for _, lang := range []string{"zh", "en"} {
		for _, theme := range []string{"light", "dark"} {
			for _, path := range allPages(w) {
				mark := "?"
				if strings.Contains(path, "?") {
					mark = "&"
				}
				b.open(t, path+mark+"lang="+lang+"&theme="+theme)
				ground := b.text(t, `getComputedStyle(document.body).backgroundColor`)
				if want := map[string]string{"light": "rgb(243, 245, 248)", "dark": "rgb(14, 19, 25)"}[theme]; ground != want {
					t.Errorf("%s in %s has ground %s", path, theme, ground)
				}
				if overlong := b.text(t, `String(document.documentElement.scrollWidth > innerWidth)`); overlong == "true" {
					t.Errorf("%s scrolls sideways", path)
				}
			}
		}
	}
	if len(b.problems) > 0 {
		t.Errorf("the browser complains: %s", strings.Join(b.problems, "\n"))
	}
}

const volume = `document.querySelector("#f-volume b").textContent`

func TestBrowser_figuresMoveAndPauseHolds(t *testing.T) {
	w := newWorld(t)
	w.traffic(t)
	b := newBrowser(t, w)
	b.open(t, "/?last=5m")
	first := b.text(t, volume)
	b.until(t, "a new figure", volume+` !== "`+first+`"`)
	line := `document.querySelector("#c-volume path.line").getAttribute("d")`
	before := b.text(t, line)
	b.until(t, "a new line", line+` !== "`+before+`"`)
	eval[any](t, b, `document.querySelector("#c-speed").parentElement.querySelector("details").open = true`)
	b.run(t, chromedp.Click[chromedp.CSS]("#pause"))
	held := b.text(t, volume+` + document.querySelector(".age time").textContent`)
	time.Sleep(2500 * time.Millisecond)
	if now := b.text(t, volume+` + document.querySelector(".age time").textContent`); now != held {
		t.Errorf("paused at %q, then %q", held, now)
	}
	b.open(t, "/?last=5m") // still paused on the next page
	held = b.text(t, volume)
	time.Sleep(2500 * time.Millisecond)
	if now := b.text(t, volume); now != held || b.text(t, `document.querySelector("#pause").getAttribute("aria-pressed")`) != "true" {
		t.Errorf("the pause did not hold on the next page: %q, then %q", held, now)
	}
	b.until(t, "the age turning amber", `document.querySelector(".age").classList.contains("old")`)
	b.run(t, chromedp.Click[chromedp.CSS]("#pause"))
	b.until(t, "moving again", volume+` !== "`+held+`"`)
	if len(b.problems) > 0 {
		t.Errorf("the browser complains: %q", b.problems)
	}
}

func TestBrowser_chartsReadZoomAndLeadToTheLog(t *testing.T) {
	w := newWorld(t)
	b := newBrowser(t, w)
	middle := func(selector string) (x, y, width float64) {
		box := eval[[4]float64](t, b, `(() => { const r = document.querySelector("`+selector+`").getBoundingClientRect(); return [r.x, r.y, r.width, r.height] })()`)
		return box[0] + box[2]/2, box[1] + box[3]/2, box[2]
	}
	b.open(t, "/")
	x, y, width := middle("#c-volume svg.x")
	b.run(t, chromedp.MouseEvent("mouseMoved", x, y))
	b.until(t, "a value under the pointer", `/\d\d:\d\d:\d\d {2}.*\/s/.test(document.querySelector(".readout").textContent)`)
	// drag: a shorter time
	b.run(t, chromedp.MouseEvent("mousePressed", x-width/5, y, chromedp.ButtonLeft), chromedp.MouseEvent("mouseMoved", x, y, chromedp.ButtonLeft), chromedp.MouseEvent("mouseReleased", x, y, chromedp.ButtonLeft))
	b.until(t, "the zoom", `location.search.includes("from=") && location.pathname === "/"`)
	// click: what is behind the point
	b.open(t, "/")
	x, y, _ = middle("#c-volume svg.x")
	b.run(t, chromedp.MouseClickXY(x, y))
	b.until(t, "the log", `location.pathname === "/log" && document.querySelectorAll("table.log tbody tr").length > 0`)
	// a figure, and a bar
	b.open(t, "/")
	b.run(t, chromedp.Click[chromedp.CSS]("#f-volume"))
	b.until(t, "the log of a figure", `location.pathname === "/log" && document.querySelectorAll("table.log tbody tr").length === 100`)
	b.open(t, "/")
	eval[any](t, b, `[...document.querySelectorAll(".bars a")].find(a => a.textContent === "NXDOMAIN").click()`)
	b.until(t, "the log of a bar", `location.pathname === "/log" && [...document.querySelectorAll(".rcode")].length > 0 && [...document.querySelectorAll(".rcode")].every(e => e.textContent.includes("NXDOMAIN"))`)
	// the same by keyboard
	b.open(t, "/")
	b.run(t, chromedp.Focus[chromedp.CSS]("#c-volume svg.x"))
	const spoken = `document.querySelector("#said").textContent.includes("/s")`
	for presses := 0; presses < 60 && !eval[bool](t, b, spoken); presses++ { // the traffic of this world has ended: on a slow machine the last steps of the chart are empty by now
		b.run(t, chromedp.KeyEvent(kb.ArrowLeft))
	}
	b.until(t, "a value by keyboard", spoken)
	b.run(t, chromedp.KeyEvent(kb.Enter))
	b.until(t, "the log by keyboard", `location.pathname === "/log"`)
	if len(b.problems) > 0 {
		t.Errorf("the browser complains: %q", b.problems)
	}
}

// Every link, field and button is reached with the tab key, and each of them shows where the focus is.
func TestBrowser_keyboardReachesEverything(t *testing.T) {
	w := newWorld(t)
	b := newBrowser(t, w)
	for _, path := range []string{"/", "/zones", "/findings?state=all", "/log?rcode=SERVFAIL", "/recursion", "/findings/" + w.finding} {
		b.open(t, path)
		// Live figures replace elements, and this test remembers them: pause, as a reader would, and let the last event pass.
		eval[any](t, b, `(() => { const p = document.querySelector("#pause"); if (p && p.getAttribute("aria-pressed") !== "true") p.click(); return true })()`)
		time.Sleep(300 * time.Millisecond)
		eval[any](t, b, `window.stops = new Set(); window.hidden = []; true`)
		eval[any](t, b, `window.wanted = [...document.querySelectorAll("a[href], button, input, select, summary, [tabindex='0']")].filter(e => e.tabIndex >= 0 && e.checkVisibility({visibilityProperty: true}) && e.type !== "hidden" && !e.disabled && e.getClientRects().length); document.activeElement.blur(); wanted.length`)
		for range 400 {
			b.run(t, chromedp.KeyEvent(kb.Tab))
			if eval[bool](t, b, `(() => { const e = document.activeElement; if (!e || e === document.body) return stops.size > 0; if (stops.has(e)) return true; stops.add(e); if (getComputedStyle(e).outlineStyle === "none") hidden.push(e.outerHTML.slice(0, 80)); return false })()`) {
				break
			}
		}
		if missed := b.text(t, `wanted.filter(e => !stops.has(e)).map(e => e.outerHTML.slice(0, 100)).join("\n")`); missed != "" {
			t.Errorf("%s: not reached:\n%s", path, missed)
		}
		if hidden := b.text(t, `hidden.join("\n")`); hidden != "" {
			t.Errorf("%s: focus is not seen on:\n%s", path, hidden)
		}
	}
	b.open(t, "/")
	b.run(t, chromedp.KeyEvent("g"), chromedp.KeyEvent("z"))
	b.until(t, "g z", `location.pathname === "/zones" && document.readyState === "complete"`)
	b.run(t, chromedp.KeyEvent("/"))
	b.until(t, "/", `document.activeElement.name === "name"`)
	b.run(t, chromedp.KeyEvent(kb.Escape), chromedp.KeyEvent("j"), chromedp.KeyEvent("j"), chromedp.KeyEvent(kb.Enter))
	b.until(t, "j j Enter", `location.pathname === "/zones/gov.lab." && document.readyState === "complete"`)
	b.run(t, chromedp.KeyEvent("?"))
	b.until(t, "?", `document.querySelector("#help").open`)
	b.run(t, chromedp.KeyEvent(kb.Escape), chromedp.KeyEvent("t"))
	b.until(t, "t", `document.querySelector("#range").open`)
}

func TestBrowser_narrowScreenDoesNotScrollSideways(t *testing.T) {
	w := newWorld(t)
	b := newBrowser(t, w)
	b.run(t, chromedp.EmulateViewport(320, 640))
	for _, path := range allPages(w) {
		for _, lang := range []string{"zh", "en"} {
			mark := "?"
			if strings.Contains(path, "?") {
				mark = "&"
			}
			b.open(t, path+mark+"lang="+lang)
			wide := b.text(t, `document.documentElement.scrollWidth <= 320 ? "" : document.documentElement.scrollWidth + ": " + [...document.querySelectorAll("main *, header *")].filter(e => e.getBoundingClientRect().right > 321 && e.checkVisibility()).slice(0, 3).map(e => e.outerHTML.slice(0, 120)).join(" | ")`)
			if wide != "" {
				t.Errorf("%s in %s is %s", path, lang, wide)
			}
		}
	}
}

func TestBrowser_completeWithoutScript(t *testing.T) {
	w := newWorld(t)
	b := newBrowser(t, w)
	if _, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		t.Fatal(err)
	}
	b.run(t, chromedp.Navigate(b.root+"/"), chromedp.WaitVisible[chromedp.CSS]("#c-volume path.line"), chromedp.WaitVisible[chromedp.CSS]("#f-load b"))
	// Acknowledge, filter and page on without script: plain links and forms.
	b.run(t, chromedp.Navigate(b.root+"/findings"), chromedp.Click[chromedp.CSS]("td form button"), chromedp.WaitNotPresent[chromedp.CSS]("td form button"))
	b.run(t, chromedp.Navigate(b.root+"/log"), chromedp.SetValue[chromedp.CSS]("input[name=rcode]", "NXDOMAIN"), chromedp.Click[chromedp.CSS](".filter button"),
		chromedp.Click[chromedp.CSS]("a[rel=next][href*='rcode=NXDOMAIN']")) // of the filtered page: the one before has such a link, too
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		address, err := chromedp.Run(b.ctx, chromedp.Location())
		if err == nil && strings.Contains(address, "before=") && strings.Contains(address, "rcode=NXDOMAIN") {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("further back is %s, %v", address, err)
		}
	}
	if f, err := w.findings.Get(w.finding); err != nil || f.AckedBy == "" {
		t.Errorf("not acknowledged: %+v, %v", f, err)
	}
}

// Screens are kept for the documentation: go test ./console -run TestScreens -update-screens
func TestScreens(t *testing.T) {
	if !*updateScreens {
		t.Skip("not a test: writes docs/screens, with -update-screens only")
	}
	w := newWorld(t)
	w.traffic(t)
	b := newBrowser(t, w)
	dir := filepath.Join("..", "docs", "screens")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, s := range []struct {
		name, path    string
		width, height int64
	}{
		{"overview-zh", "/?lang=zh&theme=light", 1360, 1180}, {"overview-en-dark", "/?lang=en&theme=dark", 1360, 1180}, {"zones-zh", "/zones?lang=zh&theme=light", 1360, 560},
		{"zone-en", "/zones/bank.lab.?lang=en&theme=light", 1360, 1000}, {"findings-zh-dark", "/findings?state=all&lang=zh&theme=dark", 1360, 480}, {"finding-zh", "/findings/" + w.finding + "?lang=zh&theme=light", 1360, 820},
		{"overview-all-en", "/?source=*&lang=en&theme=light", 1360, 1900}, {"sources-zh", "/sources?lang=zh&theme=light", 1360, 560}, {"rssac-en-dark", "/rssac002?lang=en&theme=dark", 1360, 620},
		{"log-zh", "/log?lang=zh&theme=light", 1360, 800}, {"log-en-dark", "/log?rcode=NXDOMAIN&lang=en&theme=dark", 1360, 800}, {"recursion-zh", "/recursion?lang=zh&theme=light", 1360, 1100}, {"recursion-en-dark", "/recursion?lang=en&theme=dark", 1360, 1100}, {"about-zh", "/about?lang=zh&theme=light", 1360, 900}, {"storage-zh", "/storage?lang=zh&theme=light", 1360, 1100}, {"storage-en-dark", "/storage?lang=en&theme=dark", 1360, 900}, {"login-zh", "/login?lang=zh&theme=light", 1000, 520},
		{"phone-zh", "/?lang=zh&theme=light", 360, 1400}, {"phone-log-en", "/log?lang=en&theme=dark", 360, 900}, {"wall-zh-dark", "/?wall=1&lang=zh&theme=dark", 1920, 1080},
	} {
		b.run(t, chromedp.EmulateViewport(s.width, s.height))
		b.open(t, s.path)
		b.run(t, chromedp.Sleep(1500*time.Millisecond))
		png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, s.name+".png"), png, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
