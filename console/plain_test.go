package console_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"anyu/console"
	"anyu/console/unit"
	"anyu/watch/findings"
)

func copyTo(b *strings.Builder, r *http.Response) (int64, error) { return io.Copy(b, r.Body) }

// Every page, with the longest range too, stays below 150 kB and has every text.
func TestPages_areCompleteAndSmall(t *testing.T) {
	w := newWorld(t)
	const maxPage = 150_000
	for _, lang := range []string{"zh", "en"} {
		for _, path := range []string{"/?", "/?last=1h&", "/?last=30d&", "/zones?", "/zones/bank.lab.?", "/zones/bank.lab.?last=24h&", "/findings?", "/findings?state=all&", "/findings/" + w.finding + "?", "/log?", "/log?rcode=NXDOMAIN&", "/log?show=top&by=answer&", "/log?show=timeline&last=24h&", "/log?show=pdns&", "/?source=edge&", "/?source=*&", "/?node=bj-2&last=24h&", "/zones/bank.lab.?source=*&", "/recursion?", "/sources?", "/ledger?", "/storage?", "/rssac002?", "/about?", "/login?", "/nothing?", "/?last=99d&"} {
			start := time.Now()
			answer, text := w.get(t, path+"lang="+lang, "Accept", "text/html")
			took := time.Since(start)
			if len(text) > maxPage {
				t.Errorf("%s is %d octets, at most %d", path, len(text), maxPage)
			}
			if took > 100*time.Millisecond {
				t.Logf("%s took %v", path, took)
			}
			if missing := regexp.MustCompile(`\[[a-z]+(\.[a-z0-9-]+)+\]`).FindAllString(text, -1); missing != nil {
				t.Errorf("%s in %s lacks texts %v", path, lang, missing)
			}
			if strings.Contains(text, " style=") || strings.Contains(text, " onclick=") || regexp.MustCompile(`(?:src|href)="(?:https?:)?//`).MatchString(text) {
				t.Errorf("%s has inline style or script, or loads something from elsewhere", path)
			}
			if want := map[string]string{"zh": `<html lang="zh-Hans"`, "en": `<html lang="en"`}[lang]; !strings.Contains(text, want) {
				t.Errorf("%s: no %s", path, want)
			}
			if answer.StatusCode != http.StatusOK && !strings.HasPrefix(path, "/nothing") {
				t.Errorf("%s: %s", path, answer.Status)
			}
			if n := strings.Count(text, "<h1"); n != 1 {
				t.Errorf("%s has %d h1", path, n)
			}
		}
	}
}

func TestLanguage_isChosenInOrder(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct{ path, accept, cookie, want string }{
		{"/about", "", "", "en"}, {"/about", "zh-CN,zh;q=0.9,en;q=0.8", "", "zh"}, {"/about", "fr,en", "", "en"}, {"/about", "zh", "anyu-lang=en", "en"}, {"/about?lang=zh", "en", "anyu-lang=en", "zh"},
	} {
		_, text := w.get(t, c.path, "Accept-Language", c.accept, "Cookie", c.cookie)
		if got := strings.Contains(text, `lang="zh-Hans" data-theme`); got != (c.want == "zh") {
			t.Errorf("%+v: Chinese is %v", c, got)
		}
	}
}

func TestGuard_refusesOtherNamesAndSites(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		name    string
		headers []string
		want    int
	}{
		{"loopback address", nil, 200}, {"localhost", []string{"Host", "localhost:9000"}, 200}, {"IPv6 loopback", []string{"Host", "[::1]:8053"}, 200}, {"configured name", []string{"Host", "DNS.example.org."}, 200},
		{"a name somebody else controls (DNS rebinding)", []string{"Host", "rebound.example.net:8053"}, 421}, {"an address that is not ours", []string{"Host", "192.0.2.1"}, 421}, {"nothing like localhost", []string{"Host", "localhost.example.net"}, 421},
		{"a script of another site", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors"}, 403}, {"an image of another site", []string{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "no-cors"}, 403},
		{"a link from another site", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, 200},
	} {
		for _, path := range []string{"/", "/api/anyu/overview", "/metrics", "/healthz"} {
			if answer, _ := w.get(t, path, c.headers...); answer.StatusCode != c.want {
				t.Errorf("%s, %s: %s, want %d", c.name, path, answer.Status, c.want)
			}
		}
	}
	answer, _ := w.get(t, "/")
	for name, want := range map[string]string{"Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"} {
		if !strings.Contains(answer.Header.Get(name), want) {
			t.Errorf("%s is %q", name, answer.Header.Get(name))
		}
	}
	if p := answer.Header.Get("Content-Security-Policy"); !strings.Contains(p, "frame-ancestors 'none'") || strings.Contains(p, "unsafe") {
		t.Errorf("the policy is %s", p)
	}
}

func (w *world) post(t *testing.T, path string, form url.Values, headers ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, w.server.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return do(t, r, headers...)
}

var tokenField = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

func token(t *testing.T, text string) string {
	t.Helper()
	m := tokenField.FindStringSubmatch(text)
	if m == nil {
		t.Fatal("no token on the page")
	}
	return m[1]
}

const right = "correct horse 电池"

// login gives the cookie of a session.
func (w *world) login(t *testing.T, password string) (*http.Response, string) {
	t.Helper()
	_, form := w.get(t, "/login")
	answer, _ := w.post(t, "/login", url.Values{"csrf": {token(t, form)}, "name": {"lin"}, "password": {password}, "next": {"/zones"}}, "Origin", w.server.URL)
	for _, c := range answer.Cookies() {
		if c.Value != "" {
			return answer, c.Name + "=" + c.Value
		}
	}
	return answer, ""
}

func TestLogin_isAskedForEverywhereOnceThereIsAnAccount(t *testing.T) {
	w := newWorld(t)
	if answer, _ := w.get(t, "/zones"); answer.StatusCode != 200 {
		t.Fatalf("on loopback without accounts: %s", answer.Status)
	}
	if _, err := w.users.Set("lin", right, time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/", "/zones", "/zones/bank.lab.", "/findings", "/log", "/about", "/live?page=overview", "/api/anyu/overview", "/api/anyu/log", "/api/v1/query?query=1", "/nothing"} {
		answer, text := w.get(t, path)
		if answer.StatusCode != http.StatusUnauthorized || strings.Contains(text, "bank.lab") {
			t.Errorf("%s without login: %s", path, answer.Status)
		}
	}
	if answer, _ := w.get(t, "/zones?x=1", "Accept", "text/html"); answer.StatusCode != http.StatusSeeOther || answer.Header.Get("Location") != "/login?next=%2Fzones%3Fx%3D1" {
		t.Errorf("people are sent to %s %q", answer.Status, answer.Header.Get("Location"))
	}
	if _, text := w.get(t, "/login"); strings.Contains(text, "bj-ns1") || strings.Contains(text, "0.1.0") {
		t.Error("the login page tells about the installation")
	}
	// A program on this machine may read the metrics; through a proxy it is somebody else.
	if answer, _ := w.get(t, "/metrics"); answer.StatusCode != 200 {
		t.Errorf("metrics on loopback: %s", answer.Status)
	}
	if answer, _ := w.get(t, "/metrics", "X-Forwarded-For", "198.51.100.7"); answer.StatusCode != 401 {
		t.Errorf("metrics through a proxy: %s", answer.Status)
	}
	answer, session := w.login(t, right)
	if answer.StatusCode != http.StatusSeeOther || session == "" || answer.Header.Get("Location") != "/zones" {
		t.Fatalf("login: %s, cookie %q, to %q", answer.Status, session, answer.Header.Get("Location"))
	}
	if set := answer.Header.Get("Set-Cookie"); !strings.Contains(set, "HttpOnly") || !strings.Contains(set, "SameSite=Strict") {
		t.Errorf("the cookie is %q", set)
	}
	for _, path := range []string{"/zones", "/api/anyu/zones", "/api/v1/query?query=1"} {
		if answer, _ := w.get(t, path, "Cookie", session); answer.StatusCode != 200 {
			t.Errorf("%s with a session: %s", path, answer.Status)
		}
		if answer, _ := w.get(t, path, "Cookie", session[:len(session)-2]+"AA"); answer.StatusCode != 401 {
			t.Errorf("%s with a wrong session: %s", path, answer.Status)
		}
	}
	r, _ := http.NewRequest(http.MethodGet, w.server.URL+"/api/anyu/zones", nil)
	r.SetBasicAuth("lin", right)
	if answer, _ := do(t, r); answer.StatusCode != 200 {
		t.Errorf("with Basic authentication: %s", answer.Status)
	}
	// A new password ends earlier sessions, a logout ends its own.
	if _, err := w.users.Set("lin", right+"2", time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if answer, _ := w.get(t, "/zones", "Cookie", session); answer.StatusCode != 401 {
		t.Errorf("after a new password: %s", answer.Status)
	}
}

func TestLogin_isSlowedDownForWhoGuesses(t *testing.T) {
	w := newWorld(t)
	if _, err := w.users.Set("lin", right, time.Now()); err != nil {
		t.Fatal(err)
	}
	var last *http.Response
	for range 6 {
		last, _ = w.login(t, "wrong password")
		if last.StatusCode == http.StatusTooManyRequests {
			break
		}
	}
	if last.StatusCode != http.StatusTooManyRequests {
		t.Errorf("the sixth wrong password: %s", last.Status)
	}
	if answer, session := w.login(t, right); session != "" {
		t.Errorf("the right one, too early: %s", answer.Status)
	}
}

// Many tries at once are no way around it.
func TestLogin_isSlowedDownForManyAtOnce(t *testing.T) {
	w := newWorld(t)
	if _, err := w.users.Set("lin", right, time.Now()); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 30 {
		all.Go(func() {
			r, _ := http.NewRequest(http.MethodGet, w.server.URL+"/zones", nil)
			r.SetBasicAuth("lin", "wrong password")
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Error(err)
				return
			}
			answer.Body.Close()
		})
	}
	all.Wait()
	// The wait doubles with each password that was looked at: 30 of them would make it a quarter of an hour.
	_, form := w.get(t, "/login")
	_, text := w.post(t, "/login", url.Values{"csrf": {token(t, form)}, "name": {"lin"}, "password": {right}}, "Origin", w.server.URL)
	found := regexp.MustCompile(`wait (\d+) s|请 (\d+) 秒`).FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("no wait after 30 wrong passwords at once:\n%s", text)
	}
	if seconds, _ := strconv.Atoi(found[1] + found[2]); seconds > 10 {
		t.Errorf("wait %d s: more passwords were looked at than are free", seconds)
	}
}

func TestPost_needsTheTokenOfAPage(t *testing.T) {
	w := newWorld(t)
	_, text := w.get(t, "/findings")
	ack := "/findings/" + w.finding + "/ack"
	for name, c := range map[string]struct {
		form    url.Values
		headers []string
		want    int
	}{
		"no token, a browser":             {url.Values{}, []string{"Origin", w.server.URL}, 403},
		"wrong token":                     {url.Values{"csrf": {"x"}}, nil, 403},
		"another site, with the token":    {url.Values{"csrf": {token(t, text)}}, []string{"Origin", "https://elsewhere.example"}, 403},
		"another site by Sec-Fetch-Site":  {url.Values{"csrf": {token(t, text)}}, []string{"Sec-Fetch-Site", "cross-site"}, 403},
		"another name, with the token":    {url.Values{"csrf": {token(t, text)}}, []string{"Host", "rebound.example.net"}, 421},
		"a redirection to somewhere else": {url.Values{"csrf": {token(t, text)}, "next": {"//elsewhere.example/"}}, []string{"Origin", w.server.URL}, 303},
	} {
		answer, _ := w.post(t, ack, c.form, c.headers...)
		if answer.StatusCode != c.want {
			t.Errorf("%s: %s, want %d", name, answer.Status, c.want)
		}
		if to := answer.Header.Get("Location"); to != "" && to != "/" {
			t.Errorf("%s: sent to %q", name, to)
		}
	}
	if f, err := w.findings.Get(w.finding); err != nil || f.AckedBy == "" {
		t.Errorf("the right token did not acknowledge: %+v, %v", f, err)
	}
	if list, n := w.findings.List(findings.Query{Unacked: true}); n != 1 {
		t.Errorf("not acknowledged: %v", list)
	}
}

func TestReload_byProgramAndByPage(t *testing.T) {
	w := newWorld(t)
	if answer, text := w.post(t, "/api/anyu/reload", nil); answer.StatusCode != 200 {
		t.Errorf("a program on loopback: %s %s", answer.Status, text)
	}
	if answer, _ := w.post(t, "/api/anyu/reload", nil, "Origin", w.server.URL); answer.StatusCode != 403 {
		t.Errorf("a browser without token: %s", answer.Status)
	}
	if answer, _ := w.get(t, "/api/anyu/reload"); answer.StatusCode != 405 && answer.StatusCode != 404 {
		t.Errorf("by GET: %s", answer.Status)
	}
	if w.reloaded != 1 {
		t.Errorf("reloaded %d times", w.reloaded)
	}
}

func TestAPI_tellsWhatPagesShow(t *testing.T) {
	w := newWorld(t)
	_, text := w.get(t, "/api/anyu/overview?last=5m")
	var o struct {
		Now    map[string]*float64
		Series map[string][]*float64
		Step   float64 `json:"step_seconds"`
	}
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		t.Fatal(err)
	}
	if len(o.Series["queries_per_second"]) != 150 || o.Step != 2 || o.Series["queries_per_second"][20] == nil {
		t.Errorf("%s", text)
	}
	_, text = w.get(t, "/api/anyu/log?rcode=NXDOMAIN&zone=bank.lab&last=1h")
	var l struct {
		Rows []struct{ Qname, Rcode, Zone string }
		Next string
	}
	if err := json.Unmarshal([]byte(text), &l); err != nil {
		t.Fatal(err)
	}
	if len(l.Rows) < 100 || l.Next == "" {
		t.Fatalf("%d rows, next %q", len(l.Rows), l.Next)
	}
	for _, r := range l.Rows {
		if r.Rcode != "NXDOMAIN" || r.Zone != "bank.lab." {
			t.Errorf("%+v does not fit the filter", r)
		}
	}
	if answer, _ := w.get(t, "/api/anyu/log?client=nonsense"); answer.StatusCode != 400 {
		t.Errorf("a client that is none: %s", answer.Status)
	}
	_, text = w.get(t, "/api/anyu/zones?state=bad")
	if !strings.Contains(text, `"news.lab."`) || strings.Contains(text, `"gov.lab."`) {
		t.Errorf("zones with problems: %s", text)
	}
}

// The log goes on further back without a hole and without showing a row twice.
func TestLog_pagesJoin(t *testing.T) {
	w := newWorld(t)
	seen := map[string]int{}
	next := "/log?last=1h&transport=tcp"
	pages := 0
	for ; next != "" && pages < 20; pages++ {
		_, text := w.get(t, next)
		for _, m := range regexp.MustCompile(`<time title="([^"]+)"`).FindAllStringSubmatch(text, -1) {
			seen[m[1]]++
		}
		next = ""
		if m := regexp.MustCompile(`<a href="([^"]+)" rel="next"`).FindStringSubmatch(text); m != nil {
			next = strings.ReplaceAll(m[1], "&amp;", "&")
		}
	}
	for at, n := range seen {
		if n > 1 {
			t.Errorf("the row of %s is shown %d times", at, n)
		}
	}
	if len(seen) < 150 || pages < 2 {
		t.Errorf("%d rows on %d pages", len(seen), pages)
	}
}

func TestOpen_refusesToListenBeyondLoopbackWithoutAccount(t *testing.T) {
	w := newWorld(t)
	opts := console.Options{Listen: netip.MustParseAddrPort("0.0.0.0:0"), Users: w.users, Gauge: w.gauge, Findings: w.findings, Zones: w, Node: w}
	_, err := console.Open(opts)
	if err == nil || !strings.Contains(err.Error(), "anyu user add") {
		t.Fatalf("it says %v", err)
	}
}

// Connections to the console are bounded: name service needs the descriptors more.
func TestServe_boundsConnections(t *testing.T) {
	w := newWorld(t)
	c, err := console.Open(console.Options{Listen: netip.MustParseAddrPort("127.0.0.1:0"), Users: w.users, Gauge: w.gauge, Findings: w.findings, Zones: w, Node: w})
	if err != nil {
		t.Fatal(err)
	}
	go c.Serve()
	t.Cleanup(func() { c.Close(t.Context()) })
	at := strings.TrimPrefix(c.Address(), "http://")
	var held []net.Conn
	for range 512 {
		one, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer one.Close()
		held = append(held, one)
	}
	last, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer last.Close()
	fmt.Fprintf(last, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
	last.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	if n, err := last.Read(make([]byte, 16)); err == nil {
		t.Fatalf("connection %d is answered: %d octets", len(held)+1, n)
	}
	held[0].Close()
	last.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := last.Read(make([]byte, 16)); err != nil {
		t.Errorf("after one was closed: %v", err)
	}
}

func TestEvidence_leadsToTheQueries(t *testing.T) {
	w := newWorld(t)
	_, text := w.get(t, "/findings/"+w.finding)
	m := regexp.MustCompile(`href="(/log\?[^"]*rcode=NXDOMAIN[^"]*)"`).FindStringSubmatch(text)
	if m == nil {
		t.Fatal("no evidence")
	}
	_, log := w.get(t, strings.ReplaceAll(m[1], "&amp;", "&"))
	if n := strings.Count(log, "NXDOMAIN</a>"); n < 50 {
		t.Errorf("the evidence shows %d queries", n)
	}
}

// Palette: WCAG 2.2, 1.4.3 (text 4.5:1) and 1.4.11 (lines 3:1), in both themes.
func TestPalette_hasContrast(t *testing.T) {
	b, err := os.ReadFile("static/console.css")
	if err != nil {
		t.Fatal(err)
	}
	css := string(b)
	dark := css[strings.Index(css, `:root[data-theme="dark"]`):]
	if auto := css[strings.Index(css, "@media (prefers-color-scheme: dark)"):]; colours(auto)["--text"] != colours(dark)["--text"] || len(colours(auto)) != len(colours(dark)) {
		t.Error("dark by system and dark by choice differ")
	}
	for name, theme := range map[string]map[string]string{"light": colours(css), "dark": colours(dark)} {
		check := func(front, back string, least float64) {
			if got := contrast(theme[front], theme[back]); got < least {
				t.Errorf("%s: %s on %s is %.2f:1, at least %.1f", name, front, back, got, least)
			}
		}
		for _, front := range []string{"--text", "--muted", "--link"} {
			check(front, "--card", 4.5)
			check(front, "--ground", 4.5)
		}
		check("--text", "--infobed", 4.5)
		check("--link", "--infobed", 4.5)
		check("--ok", "--okbed", 4.5)
		check("--warn", "--warnbed", 4.5)
		check("--bad", "--badbed", 4.5)
		check("--bad", "--card", 4.5)
		check("--ok", "--card", 4.5)
		for _, line := range []string{"--s1", "--s2", "--s3", "--s4", "--ghost", "--field", "--focus", "--warn"} {
			check(line, "--card", 3)
		}
	}
}

// The page of the resolver says what an operator looks for, with what others wrote as text; without a resolver it says how to get one.
func TestRecursion_isShown(t *testing.T) {
	w := newWorld(t)
	for lang, texts := range map[string][]string{
		"en": {"92.3\u202fMB", "537\u202fMB", "75.0\u202f%", "120,411 RRsets", "61 of 4,200 known servers", "The first 50", "38696", "waiting to be trusted", "broken.example.", "&lt;b&gt;key", "dot.example", "2026112300", "axfr:192.0.32.132", "in use", "i/o timeout", "198.51.100.7:53"},
		"zh": {"信任锚", "等待信任", "本地根", "使用中", "61 台无应答", "暂不验证"},
	} {
		_, text := w.get(t, "/recursion?lang="+lang)
		for _, want := range texts {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q", lang, want)
			}
		}
	}
	_, text := w.get(t, "/api/anyu/recursion")
	var answer struct{ Recursion console.Recursion }
	if err := json.Unmarshal([]byte(text), &answer); err != nil || answer.Recursion.Cache.Hits != 90_000 || len(answer.Recursion.Anchors) != 2 {
		t.Errorf("%v: %.200s", err, text)
	}
	w.nothingResolved = true
	if _, text := w.get(t, "/recursion?lang=en"); !strings.Contains(text, "answers from its zones only") {
		t.Errorf("without a resolver: %.300s", text)
	}
}

// Each source has its four figures; what is unknown is a dash, and what others wrote is text.
func TestSources_areShown(t *testing.T) {
	w := newWorld(t)
	for lang, texts := range map[string][]string{
		"en": {"edge", "&lt;b&gt;edge-1", "98.8\u202f%", "p95 2.5\u202fms", "observed", "silent", "waiting for a connection", "tls:192.0.2.1:6000", "p95 " + unit.Unknown},
		"zh": {"观测来源", "观测中", "等待连接", "未配对"},
	} {
		_, text := w.get(t, "/sources?lang="+lang)
		for _, want := range texts {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q", lang, want)
			}
		}
	}
	_, text := w.get(t, "/api/anyu/sources")
	var answer struct{ Sources []console.Source }
	if err := json.Unmarshal([]byte(text), &answer); err != nil || len(answer.Sources) != 3 || answer.Sources[0].Messages != 120_411 || answer.Sources[1].PerSecond != nil {
		t.Errorf("%v: %.300s", err, text)
	}
	w.nothingResolved = true
	if _, text := w.get(t, "/sources?lang=en"); !strings.Contains(text, "No other server is observed") {
		t.Errorf("without sources: %.300s", text)
	}
}

// kept is an auditor for tests.
type kept struct {
	mu    sync.Mutex
	lines []string
}

func (k *kept) Audit(who, act string, facts map[string]string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.lines = append(k.lines, "act "+act)
}

func (k *kept) Trace(who string, facts map[string]string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.lines = append(k.lines, "trace "+facts["name"]+" "+facts["client prefix"])
}

// A search for a name or a client is kept, once however often its page is loaded; looking at the newest rows is none.
func TestLog_searchesAreKept(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/log", "/log?rcode=NXDOMAIN", "/log?name=www.shop.lab", "/log?name=www.shop.lab&rcode=NOERROR", "/log?client=127.0.0.1", "/ledger"} {
		w.get(t, path)
	}
	w.kept.mu.Lock()
	defer w.kept.mu.Unlock()
	if got, want := strings.Join(w.kept.lines, ", "), "trace www.shop.lab , trace  127.0.0.1"; got != want {
		t.Errorf("kept %q, want %q", got, want)
	}
}

func TestLedger_pageAndCheckpoint(t *testing.T) {
	w := newWorld(t)
	_, text := w.get(t, "/ledger?lang=zh")
	for _, want := range []string{"4,711", "校验通过", "投诉 17", "args=&lt;example&gt;"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if r, text := w.get(t, "/ledger/checkpoint"); !strings.HasPrefix(text, "anyu/ns1\n4711\n") || !strings.Contains(r.Header.Get("Content-Disposition"), "attachment") {
		t.Errorf("%v %q", r.Header, text)
	}
}

// A trace's other views: who was told an address, when, and the records that clients were told.
func TestLog_topTimelineAndPassiveDNS(t *testing.T) {
	w := newWorld(t)
	for path, want := range map[string][]string{
		"/log?name=www.shop.lab&show=pdns":                {"<td data-label=\"Type\">A</td>", "203.0.113.37", "answer=203.0.113.37", "First seen"},
		"/log?answer=203.0.113.37&show=top&by=name":       {"www.shop.lab.", `<svg class="bar"`, "queries counted"},
		"/log?answer=203.0.113.37&show=top&by=answer":     {"203.0.113.37", "100"},
		"/log?answer=203.0.113.37&show=timeline&last=24h": {`id="c-timeline"`, "<svg", "queries counted"},
		"/log?answer=203.0.113.37":                        {"table class=\"log", "203.0.113.37"},
		"/log?answer=203.0.113.250&show=pdns":             {"No query of this time"},
		"/log?answer=here":                                {"Write an answer as an address"},
		"/log?show=everything":                            {"table class=\"log"},
	} {
		_, text := w.get(t, path+"&lang=en")
		for _, one := range want {
			if !strings.Contains(text, one) {
				t.Errorf("%s has no %q", path, one)
			}
		}
	}
}
