// Package node is the running node: it holds the configuration, checks, diffs and swaps it, owns the data folder, and starts
// and stops the rooms in order: sockets and figures first, then zones, then history, so that answers never wait for
// the past. Signals, the console and `anyu control` call it.
//
// It promises: a configuration or zone that is wrong is refused whole and the old one goes on; queries in hand are answered
// before it stops; one node a data folder. It refuses to decide anything about DNS.
//
// Limits today: a change of what fixed lists (name, data folder, workers, console, log ...) takes a restart, and reload says so.
package node

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"anyu/act/notify"
	"anyu/config"
	"anyu/console"
	"anyu/event"
	"anyu/serve"
	"anyu/serve/listen"
	"anyu/watch"
	"anyu/watch/detect"
	"anyu/watch/findings"
	"anyu/watch/gauge"
	"anyu/watch/history"
	"anyu/watch/load"
	"anyu/watch/rssac"
	"anyu/watch/store"
	"anyu/watch/tap/out"
	"anyu/watch/trail"
)

// Options are what a node is started with.
type Options struct {
	// SpareProcessors lets the node change GOMAXPROCS, which is the whole process's.
	SpareProcessors bool
	// Read gives the configuration, from file and flags; it is called at the start and at each reload.
	Read func() (*config.Config, error)
	// NoLimits and NoQueryLog are for measurements.
	NoLimits, NoQueryLog bool
	// Lab lets the node live in a simulated Internet, with clients.
	Lab     bool
	Version string
	Log     *slog.Logger
	Out     io.Writer // the first lines, for people
}

const (
	ringSize     = 16 << 20 // octets a UDP worker: some 80,000 observations at the least, most of a second at 100,000/s: who drains it may have to wait for a core that long. Touched only then
	streamRing   = 1 << 20  // octets a stream worker; one that finishes what was looked up, some 10,000 a second
	streamKept   = 4 << 20  // octets of compiled answers a stream worker
	drainTime    = 10 * time.Second
	tickInterval = time.Second
)

// Node is one running anyu.
type Node struct {
	opts    Options
	cpus    int // that the process may use
	started time.Time
	data    *Data
	names   *event.Names

	mu      sync.Mutex                    // reload
	current atomic.Pointer[config.Config] // swapped whole by Reload

	server   *serve.Server
	listen   *listen.Server
	zones    *zones
	moves    *moves
	gauge    *gauge.Gauge
	watch    *watch.Watch
	findings *findings.Store
	notify   []*notify.Receiver
	trail    *trail.Trail
	hider    *hider        // of the log; nil: clients are kept as they are
	cluster  *store.Search // of the console; nil: none
	store    *store.Store  // nil: the query log is on this machine only
	book     keptBook
	history  *history.Store
	registry *prometheus.Registry
	finder   atomic.Pointer[resolver] // nil: zones only, until a reload switches recursion on
	control  *controlServer

	simulation *simulation // nil: the world is the real one
	sender     *out.Sender // nil: nobody is told
	taps       taps
	tapped     atomic.Pointer[[]*openTap] // in the order of the configuration, for readers

	rssac   *rssac.Counter // nil: not configured
	console *console.Console
	systemd systemd
	secrets secrets

	stopWatch func()
	life      context.Context // of Run
	stopping  bool            // guarded by mu: what a reload would start is not to begin any more
	work      sync.WaitGroup
	opened    chan struct{} // start is through
	ready     chan struct{}
}

// New checks the configuration and opens the data folder. Nothing is listening yet.
func New(opts Options) (*Node, error) {
	c, err := opts.Read()
	if err != nil {
		return nil, err
	}
	if c.Node == "" {
		c.Node, _ = os.Hostname()
	}
	data, err := OpenData(c.Data)
	if err != nil {
		return nil, err
	}
	n := &Node{
		opts: opts, cpus: runtime.GOMAXPROCS(0), started: time.Now(), data: data, names: event.NewNames(), systemd: newSystemd(),
		opened: make(chan struct{}), ready: make(chan struct{}), taps: taps{ids: map[string]uint16{}},
	}
	n.current.Store(c)
	if n.secrets, err = openSecrets(data, c); err != nil {
		data.Close()
		return nil, err
	}
	return n, nil
}

// isOpen tells whether start is through: what it made may be looked at from other goroutines.
func (n *Node) isOpen() bool {
	select {
	case <-n.opened:
		return true
	default:
		return false
	}
}

// conf is the configuration in use.
func (n *Node) conf() *config.Config { return n.current.Load() }

// Run starts the node, serves until ctx ends, and drains.
func (n *Node) Run(ctx context.Context) error {
	defer n.data.Close()
	n.life = ctx
	if err := n.start(ctx); err != nil {
		n.stop()
		return err
	}
	close(n.opened)
	if err := n.dropPrivileges(); err != nil {
		n.stop()
		return err
	}
	n.announce()
	n.tendRecursion(ctx)
	if n.opts.Lab {
		clients, err := n.openLab(ctx)
		if err != nil {
			n.stop()
			return err
		}
		n.work.Go(func() { clients(ctx) })
	}
	n.moves.room.Start(ctx) // secondaries answer from their last copies
	loaded := n.zones.load(ctx, true)
	if loaded != nil && ctx.Err() == nil {
		n.opts.Log.Error("some zones are not served", "see", "anyu control zones")
	}
	close(n.ready)
	n.systemd.tell("READY=1\nSTATUS=serving %d zones", len(n.conf().Zones))
	n.background(ctx)
	<-ctx.Done()
	n.systemd.tell("STOPPING=1")
	n.stop()
	return nil
}

// start opens what must be there before the first answer: findings, figures, sockets, the control socket.
func (n *Node) start(ctx context.Context) (err error) {
	c := n.conf()
	n.gauge = gauge.New(n.names, c.Node, maphash.MakeSeed())
	n.gauge.SetNetworks(c.Figures.Networks)
	n.openLedger()
	if err := n.openFindings(); err != nil {
		return err
	}
	n.reportLedger()
	n.recordRules("start of anyu "+n.opts.Version, nil, c)
	if err := n.openStore(); err != nil {
		return err
	}
	n.openTrail()
	meter := load.New(n.cpus, n.connections)
	parts := watch.Parts{Gauge: n.gauge, Findings: n.findings, Load: func(now time.Time) gauge.Load { return n.measure(meter, now) }}
	if n.trail != nil {
		parts.Log = n.trail
	}
	parts.Detectors = []watch.Detector{detect.NewNXShare(n.names, c.Node)}
	n.openDnstap(&parts)
	if err := n.openRSSAC(&parts); err != nil {
		return err
	}
	n.watch = watch.New(parts)
	streamed := event.NewRing(streamRing)
	n.watch.Add(streamed)

	moved, err := planMoves(c)
	if err != nil {
		return err
	}
	if err := n.openSimulation(ctx); err != nil {
		return err
	}
	if err := n.openRecursion(c); err != nil {
		return err
	}
	n.moves = n.openMoves()
	n.server = serve.New(n.answers(c), n.names, n.moves, streamed)
	n.moves.server = n.server
	n.zones = &zones{server: n.server, findings: n.findings, log: n.opts.Log, node: c.Node, published: n.moves.room.Published, serves: n.serves, cpus: n.cpus, all: map[string]*primary{}}
	n.moves.take(moved)
	n.zones.configure(c.Zones)
	if err := n.discover(c); err != nil {
		return err
	}
	if err := n.attachRecursion(ctx); err != nil {
		return err
	}
	first := n.worker(ringSize, int(c.Answers.Compiled))
	made := 0
	answerer := func() listen.Answerer {
		made++
		if made == 1 {
			return first
		}
		if made <= n.workers() {
			return n.worker(ringSize, int(c.Answers.Compiled))
		}
		return n.worker(streamRing, streamKept)
	}
	if n.listen, err = listen.New(n.sockets(c), answerer, first, n.opts.Log); err != nil {
		return err
	}
	if err := n.listen.Start(); err != nil {
		return err
	}
	watching, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() { defer close(done); n.watch.Run(watching) }()
	stopSender := n.runDnstap()
	n.stopWatch = func() { cancel(); <-done; stopSender() }
	n.openFigures()
	tapped, err := n.planTaps(c)
	if err != nil {
		return err
	}
	n.takeTaps(tapped)
	if n.control, err = listenControl(n.data.Dir, n.handle); err != nil {
		return err
	}
	n.work.Go(func() { n.control.serve(ctx) })
	return n.openConsole()
}

// worker makes an answerer with a ring of its own.
func (n *Node) worker(ring, compiled int) *serve.Worker {
	r := event.NewRing(ring)
	n.watch.Add(r)
	return n.server.NewWorker(r, compiled)
}

func (n *Node) workers() int {
	if n.conf().Listen.Workers > 0 {
		return n.conf().Listen.Workers
	}
	return n.cpus
}

// openTrail opens the query log. Without it answers go on: a full disk is no reason to stop.
func (n *Node) openTrail() {
	spare := load.NewSpare(n.cpus)
	t, err := trail.Open(trail.Options{
		Spare: func() float64 { return spare.Processors(time.Now()) },
		Hider: n.hideClients(), Witness: segments{n}, Holds: n.held(), SealEvery: n.sealEvery(),
		Dir: n.data.Path(logDir), Node: n.conf().Node, Off: n.opts.NoQueryLog || !*n.conf().Log.Queries, Names: n.names, Source: n.gauge.Source,
		Sample: n.conf().Log.Sample, Rules: logRules(n.conf().Log.Rules), Reserve: int64(n.conf().Log.Reserve), SyncEvery: time.Duration(n.conf().Log.Sync),
		Findings: n.findings, Retain: time.Duration(n.conf().Log.Days) * 24 * time.Hour, MaxBytes: int64(n.conf().Log.Space), Without: n.conf().Log.Without, Logger: n.opts.Log,
	})
	if err != nil {
		n.opts.Log.Error("no query log", "error", err)
		return
	}
	n.trail = t
}

// background starts what may take its time: history, file watching, the watchdog.
func (n *Node) background(ctx context.Context) {
	n.work.Go(func() { n.openHistory(ctx) })
	n.work.Go(func() { n.watchFiles(ctx) })
	n.work.Go(func() { n.tendLedger(ctx) })
	n.work.Go(func() { n.askWitnesses(ctx) })
	n.work.Go(func() { n.mailLedger(ctx) })
	n.work.Go(func() { n.tendRSSAC(ctx) })
	n.work.Go(func() { n.tendPseudonyms(ctx) })
	if every := n.systemd.watchdog(); every > 0 {
		n.work.Go(func() { n.feedWatchdog(ctx, every) })
	}
}

// stop drains and closes in the opposite order of start.
func (n *Node) stop() {
	n.mu.Lock()
	n.stopping = true
	n.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	if n.listen != nil {
		if err := n.listen.Drain(ctx); err != nil {
			n.opts.Log.Warn("stopping", "error", err)
		}
	}
	n.closeRecursion()
	n.simulation.close()
	n.closeConsole(ctx)
	if n.control != nil {
		n.control.close()
	}
	n.work.Wait()
	if n.moves != nil {
		n.moves.room.Wait()
	}
	n.closeTaps()
	if n.stopWatch != nil {
		n.stopWatch()
	}
	n.closeRSSAC()
	if n.trail != nil {
		if err := n.trail.Close(); err != nil {
			n.opts.Log.Error("closing the query log", "error", err)
		}
	}
	n.closeStore()
	if n.isOpen() {
		n.audit(n.conf().Node, "stop") // so that a gap in the log is one that somebody made, or (log-loss) that nobody meant
	}
	n.silenceBook()
	n.closeFindings(ctx)
	n.closeLedger()
}

// Reload reads the configuration again, because somebody wants it, and takes what changed; then it reads changed zone files. On an error of the
// configuration nothing changes.
func (n *Node) Reload(ctx context.Context, who string, allZones bool) error {
	if !n.isOpen() {
		return errors.New("reload refused: anyu is only starting")
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.stopping {
		return errors.New("reload refused: anyu is stopping")
	}
	c, err := n.opts.Read()
	if err != nil {
		return fmt.Errorf("reload refused, the old configuration stays: %w", err)
	}
	if c.Node == "" {
		c.Node = n.conf().Node
	}
	if err := n.fixed(c); err != nil {
		return fmt.Errorf("reload refused, the old configuration stays: %w", err)
	}
	moved, err := planMoves(c)
	if err != nil {
		return fmt.Errorf("reload refused, the old configuration stays: %w", err)
	}
	recursion, undo, err := n.planReload(c)
	if err != nil {
		return fmt.Errorf("reload refused, the old configuration stays: %w", err)
	}
	tapped, err := n.planTaps(c)
	if err != nil {
		undo()
		return fmt.Errorf("reload refused, the old configuration stays: %w", err)
	}
	if err := n.listen.Reload(n.sockets(c)); err != nil {
		undo()
		tapped.drop()
		return fmt.Errorf("reload refused, the old configuration stays: %w", err)
	}
	recursion()
	n.server.Configure(n.answers(c))
	n.recordRules(who, n.conf(), c)
	n.current.Store(c)
	n.noticeReload()
	n.takeTaps(tapped)
	n.moves.take(moved)
	n.zones.configure(c.Zones)
	return n.zones.load(ctx, allZones)
}

// fixed finds changes that need a restart: a reload takes effect whole or not at all.
func (n *Node) fixed(c *config.Config) error {
	old := n.conf()
	for _, part := range []struct {
		key         string
		before, now any
	}{
		{"node", old.Node, c.Node},
		{"data", filepath.Clean(old.Data), filepath.Clean(c.Data)},
		{"user", old.User, c.User},
		{"language", old.Language, c.Language},
		{"console", old.Console, c.Console},
		{"listen.workers", old.Listen.Workers, c.Listen.Workers},
		{"answers.compiled", old.Answers.Compiled, c.Answers.Compiled},
		{"answers.cookie_secret", old.Answers.CookieSecret, c.Answers.CookieSecret},
		{"log", old.Log, c.Log},
		{"ledger", old.Ledger, c.Ledger},
		{"figures", old.Figures, c.Figures},
		{"rssac002", old.RSSAC002, c.RSSAC002},
		{"notify", old.Notify, c.Notify},
		{"mail", old.Mail, c.Mail},
		{"dnstap", old.Dnstap, c.Dnstap},
	} {
		if !reflect.DeepEqual(part.before, part.now) {
			return fmt.Errorf("%s cannot change while anyu runs: restart it", part.key)
		}
	}
	return nil
}

// openFigures makes the registry of metrics and the store that keeps them, which is opened later.
func (n *Node) openFigures() {
	n.registry = prometheus.NewRegistry()
	figures := &history.Figures{
		Gauge: n.gauge, Node: n.conf().Node, Version: n.opts.Version, Started: n.started, CPUTime: load.CPUTime, Dropped: n.dropped,
		Findings: func() (list []history.Count) {
			for kind, count := range n.findings.Counts() {
				list = append(list, history.Count{Name: kind, N: count})
			}
			return list
		},
	}
	if n.trail != nil {
		figures.Rows = n.trail.Kept
	}
	n.registry.MustRegister(figures, newTapFigures(n))
	if n.store != nil {
		n.registry.MustRegister(newStoreFigures(n.store))
	}
	if r := n.resolver(); r != nil {
		n.registry.MustRegister(&resolverFigures{r, n.conf().Node})
	}
	n.history = history.New(history.Options{
		Dir: n.data.Path(figuresDir), Registry: n.registry, Retention: time.Duration(n.conf().Figures.Days) * 24 * time.Hour,
		Version: n.opts.Version, Logger: slog.New(warnings{n.opts.Log.Handler()}),
	})
}

func (n *Node) openHistory(ctx context.Context) {
	aside, why, err := n.history.Open(time.Now())
	if err != nil {
		n.opts.Log.Error("no history of figures", "error", err)
		return
	}
	if aside != "" {
		n.opts.Log.Error("the history of figures could not be read and was moved aside", "to", aside, "error", why)
		now := time.Now().UTC()
		n.findings.Report(event.Finding{Kind: kindHistory, Subject: n.conf().Node, Node: n.conf().Node, Severity: event.Warning, Opened: now, Updated: now,
			Facts: []event.Fact{{Name: "error", Value: why.Error()}, {Name: "dir", Value: aside}}})
	}
	n.history.Run(ctx)
	if err := n.history.Close(time.Now()); err != nil {
		n.opts.Log.Error("closing the history of figures", "error", err)
	}
}

// kindHistory is the finding about a history that could not be read.
const kindHistory = "history-aside"
