package console

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"anyu/watch/history"
)

// Handler answers everything under the console's address.
func (c *Console) Handler() http.Handler {
	mux := http.NewServeMux()
	page := func(pattern string, show func(*page) error) { mux.Handle(pattern, c.withLogin(c.page(show))) }
	page("GET /{$}", c.overview)
	page("GET /zones", c.zones)
	page("GET /zones/{name}", c.zone)
	page("GET /findings", c.findings)
	page("GET /findings/{id}", c.finding)
	page("POST /findings/{id}/ack", c.acknowledge)
	page("GET /log", c.log)
	page("GET /recursion", c.recursion)
	page("GET /sources", c.sources)
	page("GET /ledger", c.ledger)
	page("GET /storage", c.storage)
	page("GET /ledger/checkpoint", c.checkpoint)
	page("GET /rssac002", c.rssac)
	page("GET /rssac002/{path...}", c.rssacFile)
	page("GET /about", c.about)
	page("GET /live", c.live)
	mux.Handle("GET /login", c.page(c.loginForm))
	mux.Handle("POST /login", c.page(c.login))
	page("POST /logout", c.logout)
	mux.HandleFunc("GET /static/{name}", c.pages.static)

	page("GET /api/anyu/overview", c.apiOverview)
	page("GET /api/anyu/zones", c.apiZones)
	page("GET /api/anyu/findings", c.apiFindings)
	page("GET /api/anyu/log", c.apiLog)
	page("GET /api/anyu/recursion", c.apiRecursion)
	page("GET /api/anyu/sources", c.apiSources)
	page("GET /api/anyu/ledger", c.apiLedger)
	page("GET /api/anyu/storage", c.apiStorage)
	page("GET /api/anyu/rssac002", c.apiRSSAC)
	page("POST /api/anyu/reload", c.apiReload)
	mux.Handle(history.Prefix+"/", c.withLogin(c.opts.History.Handler()))
	mux.Handle("GET /metrics", c.metrics(promhttp.HandlerFor(c.opts.Metrics, promhttp.HandlerOpts{EnableOpenMetrics: true})))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := c.opts.Node.Ready(); err != nil {
			plain(w, http.StatusServiceUnavailable, err.Error()+"\n")
			return
		}
		plain(w, http.StatusOK, "ok\n")
	})
	page("/", c.notFound)
	return c.guarded(mux)
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	w.Write([]byte(text))
}

// withLogin lets nobody pass who must log in first.
func (c *Console) withLogin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := c.who(r, time.Now()); ok {
			next.ServeHTTP(w, r)
			return
		}
		c.askLogin(w, r)
	})
}

// metrics is open to programs on this machine; see the package comment.
func (c *Console) metrics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := c.who(r, time.Now()); ok || fromHere(r) {
			next.ServeHTTP(w, r)
			return
		}
		c.askLogin(w, r)
	})
}
