// Package console is the HTTP console: pages, the live stream, the JSON API, and the doors to /metrics and PromQL.
//
// It promises: every page is complete without script, below 150 kB, and loads nothing from elsewhere; Host, Origin and
// Sec-Fetch-Site are checked also on loopback (stops DNS rebinding); it does not listen beyond loopback until an account
// exists, and once one exists every page asks for a login. It refuses to decide: it shows what gauge, history, findings and
// trail tell, and everything else comes through the interfaces Zones and Node.
//
// /metrics: programs on this machine (a loopback connection that no proxy forwarded) may read it without a login, since it names zones
// and counts but no clients; others need a session or a user and password (HTTP Basic). Nothing else is open so.
//
// Limits today: no roles; sessions end with the process.
package console

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/netutil"

	"anyu/console/account"
	"anyu/console/language"
	"anyu/watch/findings"
	"anyu/watch/gauge"
	"anyu/watch/history"
	"anyu/watch/trail"
)

// Zones tells the states of all zones, by name.
type Zones interface{ ZoneStates() []ZoneState }

// Node is the running node.
type Node interface {
	// About is what does not change often.
	About() About
	// Reload reads the configuration and changed zones again, because somebody wants it.
	Reload(ctx context.Context, who string) error
	// Ready is nil when everything configured is served, else what is missing.
	Ready() error
}

// Searcher gives the newest rows of the query log that fit: this machine's log, or a cluster that has those of all nodes.
type Searcher interface {
	Rows(ctx context.Context, f trail.Filter) (trail.Found, error)
	Each(ctx context.Context, f trail.Filter, see func(*trail.Row) error) (scanned int, err error)
}

// Auditor keeps who did what. When Audit returns it is on disk.
type Auditor interface {
	Audit(who, act string, facts map[string]string)
	// Trace keeps that somebody searched the query log for a name or a client.
	Trace(who string, facts map[string]string)
}

// ZoneState is a zone as pages show it. What is zero is not shown.
type ZoneState struct {
	Name    string    `json:"name"`
	Role    string    `json:"role"`  // primary, secondary or lab
	State   string    `json:"state"` // ok, loading, refused, missing, expired ...
	Serial  uint32    `json:"serial"`
	Names   int       `json:"names"`
	Records int       `json:"records"`
	Bytes   int64     `json:"bytes"`
	Signed  bool      `json:"signed"`
	File    string    `json:"file,omitempty"`
	Source  string    `json:"source,omitempty"`
	Loaded  time.Time `json:"loaded,omitzero"`
	Refresh time.Time `json:"refresh,omitzero"`
	Expire  time.Time `json:"expire,omitzero"`
	Problem string    `json:"problem,omitempty"`

	In   *Transfers `json:"transfers_in,omitempty"` // of a secondary
	Out  *Transfers `json:"transfers_out,omitempty"`
	Told []Told     `json:"secondaries,omitempty"`
}

// Transfers counts a zone's transfers in one direction.
type Transfers struct {
	AXFR   uint64    `json:"axfr"`
	IXFR   uint64    `json:"ixfr"`
	Failed uint64    `json:"failed"`
	Last   time.Time `json:"last,omitzero"`
}

// Told is how far one secondary was told of the newest version by NOTIFY.
type Told struct {
	Address string `json:"address"`
	Serial  uint32 `json:"serial"`
	Acked   bool   `json:"acked"`
	Error   string `json:"error,omitempty"`
}

// About is what a person asks of an installation.
type About struct {
	Started    time.Time
	Listening  []Door
	Data       string
	LogOn      bool
	LogDays    int
	FigureDays int
	Dropped    []history.Count
}

// Door is one address that answers.
type Door struct{ Service, Address string }

// Options are what a console is made of. Trail may be nil: there is no query log then.
type Options struct {
	Name, Version string
	Language      string // where the browser does not say
	Clock         *time.Location

	Listen           netip.AddrPort
	Hosts            []string // names that requests may use, besides loopback and the address itself
	Certificate, Key string

	Users     *account.Store
	Gauge     *gauge.Gauge
	History   *history.Store
	Findings  *findings.Store
	Trail     *trail.Trail
	Cluster   Searcher // may be nil: the query log is on this machine only
	InCluster bool     // the log is searched there where nobody chooses
	Metrics   prometheus.Gatherer
	Zones     Zones
	Resolver  Resolver // may be nil
	Sources   Sources
	Node      Node
	Auditor   Auditor  // may be nil
	Book      Book     // may be nil
	Stores    Stores   // may be nil
	Measured  Measured // may be nil
	Log       *slog.Logger
}

// Limits of the server (stop: slow and large requests that hold connections and memory).
const (
	readTimeout  = 10 * time.Second
	writeTimeout = 30 * time.Second // longer than a PromQL query may run
	idleTimeout  = 2 * time.Minute
	maxHeader    = 32 << 10
	maxBody      = 64 << 10
	// maxConnections keeps the console from taking the descriptors that answers need; more wait in the kernel.
	maxConnections = 512
)

// Console is an opened console.
type Console struct {
	opts      Options
	words     language.Catalogues
	sessions  *sessions
	logins    *throttle
	pages     *pages
	secret    [32]byte // of this run, for tokens of those who need no login
	guard     *http.CrossOriginProtection
	lastWeek  lastWeek
	traces    sync.Mutex // guards traced
	traced    map[string]time.Time
	listening net.Listener
	server    *http.Server
	streams   chan struct{} // a place for each live page
	done      chan struct{}
	closeOnce sync.Once
}

// ErrNoAccount is why a console does not open beyond loopback.
var ErrNoAccount = errors.New("the console would be open to everybody: create an account first with `anyu user add NAME`, or let console.listen be on loopback (127.0.0.1 or ::1)")

// Open opens the console's socket; Serve begins to answer on it.
func Open(opts Options) (*Console, error) {
	c, err := New(opts)
	if err != nil {
		return nil, err
	}
	if !opts.Listen.Addr().IsLoopback() && !opts.Users.Any() {
		return nil, fmt.Errorf("opening the console on %s: %w", opts.Listen, ErrNoAccount)
	}
	if c.listening, err = net.Listen("tcp", opts.Listen.String()); err != nil {
		return nil, fmt.Errorf("opening the console: %w (choose another address with --http, or --http off)", err)
	}
	c.listening = netutil.LimitListener(c.listening, maxConnections)
	if opts.Certificate == "" {
		return c, nil
	}
	pair := &certificate{certificate: opts.Certificate, key: opts.Key}
	if _, err := pair.get(nil); err != nil {
		c.listening.Close()
		return nil, fmt.Errorf("opening the console: %w", err)
	}
	c.listening = tls.NewListener(c.listening, &tls.Config{GetCertificate: pair.get, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}})
	return c, nil
}

// New makes a console without a socket of its own; Handler answers.
func New(opts Options) (*Console, error) {
	c := &Console{traced: map[string]time.Time{}, opts: opts, sessions: newSessions(), logins: newThrottle(), guard: http.NewCrossOriginProtection(), streams: make(chan struct{}, maxStreams), done: make(chan struct{})}
	rand.Read(c.secret[:])
	if c.opts.Clock == nil {
		c.opts.Clock = time.Local
	}
	if c.opts.Log == nil {
		c.opts.Log = slog.New(slog.DiscardHandler)
	}
	var err error
	if c.words, err = language.Load(); err != nil {
		return nil, err
	}
	if c.pages, err = parsePages(); err != nil {
		return nil, err
	}
	c.server = &http.Server{
		Handler: c.Handler(), ReadTimeout: readTimeout, ReadHeaderTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(c.opts.Log.Handler(), slog.LevelDebug),
	}
	return c, nil
}

// Address is where it listens, with the port that was given for port 0.
func (c *Console) Address() string {
	scheme := "http://"
	if c.opts.Certificate != "" {
		scheme = "https://"
	}
	return scheme + c.listening.Addr().String()
}

// Serve answers until Close.
func (c *Console) Serve() error {
	if err := c.server.Serve(c.listening); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the console: %w", err)
	}
	return nil
}

// Close ends live streams, lets other requests finish until ctx ends, and closes the rest.
func (c *Console) Close(ctx context.Context) error {
	c.closeOnce.Do(func() { close(c.done) })
	if err := c.server.Shutdown(ctx); err != nil {
		return errors.Join(err, c.server.Close())
	}
	return nil
}

// certificate is a pair of files, read again when it changed; a broken new one is not taken.
type certificate struct {
	certificate, key string

	mu   sync.Mutex
	seen time.Time
	pair *tls.Certificate
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	info, err := os.Stat(c.certificate)
	if err == nil && info.ModTime().Equal(c.seen) {
		return c.pair, nil
	}
	pair, err := tls.LoadX509KeyPair(c.certificate, c.key)
	if err != nil {
		if c.pair != nil {
			return c.pair, nil
		}
		return nil, fmt.Errorf("reading the certificate: %w", err)
	}
	c.pair, c.seen = &pair, info.ModTime()
	return c.pair, nil
}

// audit keeps an act of who sent the request.
func (c *Console) audit(p *page, act string, facts map[string]string) {
	if c.opts.Auditor != nil {
		c.opts.Auditor.Audit(c.actor(p), act, c.from(p, facts))
	}
}

// trace keeps a search for a name or a client, once for each that follows: a page that is loaded again or turned over is the same search.
func (c *Console) trace(p *page, f *logFilter) {
	if c.opts.Auditor == nil || f.Name+f.Client == "" {
		return
	}
	facts := c.from(p, map[string]string{"name": f.Name, "client prefix": f.Client, "range": p.Range()})
	key := c.actor(p) + "\n" + f.Name + "\n" + f.Client
	c.traces.Lock()
	last, again := c.traced[key]
	if len(c.traced) >= maxTraced {
		clear(c.traced)
	}
	c.traced[key] = p.now
	c.traces.Unlock()
	if !again || p.now.Sub(last) > sameTrace {
		c.opts.Auditor.Trace(c.actor(p), facts)
	}
}

const (
	// sameTrace is how long a search counts as the one before.
	sameTrace = 10 * time.Minute
	// maxTraced bounds the searches remembered for that.
	maxTraced = 1000
)

func (c *Console) actor(p *page) string {
	if p.User == "" {
		return "nobody logged in"
	}
	return p.User
}

func (c *Console) from(p *page, facts map[string]string) map[string]string {
	if facts == nil {
		facts = map[string]string{}
	}
	facts["by"], facts["client"] = "console", remote(p.r).String()
	return facts
}
