package history

import (
	"encoding/json"
	"net/http"
	"runtime"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/route"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/tsdb"
	apiv1 "github.com/prometheus/prometheus/web/api/v1"
)

// Prefix is where Handler expects to be mounted.
const Prefix = "/api/v1"

// maxForm bounds the body of a question (stops: memory filled by a POST).
const maxForm = 1 << 20

// posted are the questions that may also come as a form: long queries do not fit into an address.
var posted = []string{"/query", "/query_range", "/format_query", "/parse_query", "/labels", "/series"}

// asked are the questions that are answered at all. Everything else of Prometheus' API writes, deletes, administers, or
// tells about scraping, which we do not do.
var asked = append([]string{"/metadata", "/rules", "/alerts", "/status/buildinfo", "/status/runtimeinfo"}, posted...)

// Handler is Prometheus' HTTP API, the reading part, for Prefix. It has no login of its own: whoever mounts it decides who may ask.
func (s *Store) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := strings.TrimPrefix(r.URL.Path, Prefix)
		label := strings.HasPrefix(path, "/label/") && strings.HasSuffix(path, "/values")
		switch {
		case !label && !slices.Contains(asked, path):
			refuse(w, http.StatusNotFound, "not_found", "anyu does not offer this part of the Prometheus API")
			return
		case r.Method != http.MethodGet && r.Method != http.MethodHead && (r.Method != http.MethodPost || !slices.Contains(posted, path)):
			refuse(w, http.StatusMethodNotAllowed, "bad_data", "reading only")
			return
		}
		s.mu.RLock()
		defer s.mu.RUnlock() // the store is not closed under a query
		if s.api == nil {
			refuse(w, http.StatusServiceUnavailable, "unavailable", ErrNotOpen.Error())
			return
		}
		r = r.Clone(r.Context())
		r.Header.Del("Origin") // no cross-origin reading: that is the console's to decide
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		s.api().ServeHTTP(w, r)
	})
}

// newAPI is Prometheus' own API over our engine and store; parts that need its scraper are ours or missing.
func newAPI(engine *promql.Engine, db *tsdb.DB, opts Options) http.Handler {
	api := apiv1.NewAPI(
		engine, db, nil, nil, nil, // no appender: nothing can be written
		nil, nil, nil, // no scrape pools, targets, alert managers
		func() config.Config { return config.DefaultConfig }, map[string]string{}, apiv1.GlobalURLOptions{},
		func(next http.HandlerFunc) http.HandlerFunc { return next },
		nil, "", false, false, 0, // no administration, no search
		opts.Logger, nil,
		0, 1, 0, false, nil, // no remote read
		func() (apiv1.RuntimeInfo, error) { return apiv1.RuntimeInfo{}, nil },
		&apiv1.PrometheusVersion{Version: prometheusVersion, Revision: "anyu " + opts.Version, GoVersion: runtime.Version()},
		nil, nil, opts.Registry, nil, nil,
		false, nil, false, false, false, false,
		lookback, false, false, nil, nil,
		apiv1.OpenAPIOptions{IncludePaths: []string{"/query"}, Version: prometheusVersion}, nil,
	)
	router := route.New().WithPrefix(Prefix)
	api.Register(router)
	mux := http.NewServeMux()
	mux.HandleFunc(Prefix+"/metadata", func(w http.ResponseWriter, r *http.Request) { metadata(w, r, opts.Registry) })
	mux.HandleFunc(Prefix+"/rules", func(w http.ResponseWriter, _ *http.Request) { reply(w, map[string]any{"groups": []any{}}) })
	mux.HandleFunc(Prefix+"/alerts", func(w http.ResponseWriter, _ *http.Request) { reply(w, map[string]any{"alerts": []any{}}) })
	mux.Handle("/", router)
	return mux
}

// prometheusVersion is what status/buildinfo tells: Grafana chooses its questions by it.
const prometheusVersion = "3.15.0"

// metadata tells type and help of our own metrics, in the form of /api/v1/metadata.
func metadata(w http.ResponseWriter, r *http.Request, registry *prometheus.Registry) {
	type entry struct {
		Type string `json:"type"`
		Help string `json:"help"`
		Unit string `json:"unit"`
	}
	families, err := registry.Gather()
	if err != nil {
		refuse(w, http.StatusInternalServerError, "internal", err.Error())
		return
	}
	all := map[string][]entry{}
	for _, f := range families {
		if want := r.FormValue("metric"); want == "" || want == f.GetName() {
			all[f.GetName()] = []entry{{Type: strings.ToLower(f.GetType().String()), Help: f.GetHelp()}}
		}
	}
	reply(w, all)
}

func reply(w http.ResponseWriter, data any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": data}) // the client may be gone
}

func refuse(w http.ResponseWriter, status int, kind, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"status": "error", "errorType": kind, "error": text}) // the client may be gone
}
