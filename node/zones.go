package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"anyu/config"
	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/event"
	"anyu/serve"
	"anyu/serve/filter"
	"anyu/serve/transfer"
)

// Kinds of findings about zones.
const (
	kindRefused = "zone-refused"
	kindSerial  = "zone-serial"
)

// zones keeps the primary zones: it reads their files, publishes what is right and refuses what is wrong. The last good
// version of a refused zone goes on being served.
type zones struct {
	server    *serve.Server
	findings  event.Sink
	log       *slog.Logger
	node      string
	cpus      int
	published func(name wire.Name, old, new *zone.Zone)               // after a change, for NOTIFY and the journal; may be nil
	serves    func(name wire.Name, fresh *zone.Zone, known time.Time) // after a change, for RSSAC002; may be nil

	mu    sync.Mutex
	all   map[string]*primary // by canonical name
	fixed []ZoneState         // zones of the lab, set before others look
	busy  sync.Mutex          // one reload at a time
}

// primary is one zone from a file.
type primary struct {
	conf  config.Zone
	name  wire.Name
	zone  *zone.Zone
	seen  stamp // the file as it was last read, whether it was good or not
	state ZoneState
}

// stamp tells whether a file changed, or what is asked of it. Another file may have the size and time of the one before.
type stamp struct {
	file, zonemd string
	size         int64
	mod          time.Time
}

// ZoneState is what a person wants to know of a zone.
type ZoneState struct {
	Name    string    `json:"name"`
	Role    string    `json:"role"`  // primary or secondary
	State   string    `json:"state"` // loading, ok, refused (the old version is served), missing (none is)
	Serial  uint32    `json:"serial"`
	Names   int       `json:"names"`
	Records int       `json:"records"`
	Bytes   int64     `json:"bytes"`
	Signed  bool      `json:"signed"`
	File    string    `json:"file,omitempty"`
	Loaded  time.Time `json:"loaded,omitzero"`
	Took    float64   `json:"took_seconds"`
	Error   string    `json:"error,omitempty"`
	Source  string    `json:"source,omitempty"` // the primary it came from
	Refresh time.Time `json:"refresh,omitzero"` // when a secondary asks again
	Expire  time.Time `json:"expire,omitzero"`  // when a secondary stops to answer
	// Moves is what transfers and NOTIFY of the zone did; nil for zones that do not move.
	Moves *transfer.State `json:"moves,omitempty"`
}

// configure takes the zones of a configuration: new ones are served as "not ready" until load, removed ones are gone at once.
func (z *zones) configure(list []config.Zone) {
	z.mu.Lock()
	defer z.mu.Unlock()
	keep, moved := map[string]bool{}, map[string]bool{}
	var change serve.Change
	for _, c := range list {
		name, err := wire.ParseName(c.Name)
		if err != nil {
			continue // config.Check refused it
		}
		key := canonical(name)
		if len(c.Primaries) > 0 {
			moved[key] = true // a secondary: the transfers serve it
			continue
		}
		keep[key] = true
		p := z.all[key]
		if p == nil {
			p = &primary{name: name, state: ZoneState{Name: key, Role: "primary", State: "loading"}}
			z.all[key] = p
		}
		p.conf, p.state.File = c, c.File
		change.Put = append(change.Put, p.served())
	}
	for key, p := range z.all {
		if !keep[key] {
			delete(z.all, key)
			if !moved[key] {
				change.Remove = append(change.Remove, p.name)
			}
		}
	}
	z.server.Change(change)
}

// served is the zone as the server gets it.
func (p *primary) served() serve.Zone {
	s := serve.Zone{Name: p.name, Zone: p.zone, Allow: allowQuery(p.conf)}
	if p.zone == nil {
		s.Why = "zone is not loaded"
	}
	return s
}

// allowQuery is who may ask for a zone; nil: who may ask at all.
func allowQuery(c config.Zone) *filter.ACL {
	if c.AllowQuery == nil {
		return nil
	}
	acl := filter.NewACL(c.AllowQuery)
	return &acl
}

// load reads the files that changed since they were last read, or all of them. It returns what went wrong, joined.
func (z *zones) load(ctx context.Context, all bool) error {
	z.busy.Lock()
	defer z.busy.Unlock()
	work := make(chan *primary)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	for range min(z.cpus, 8) {
		wg.Go(func() {
			for p := range work {
				if err := z.loadOne(ctx, p, all); err != nil {
					mu.Lock()
					errs = append(errs, err)
					mu.Unlock()
				}
			}
		})
	}
	for _, p := range z.list() {
		work <- p
	}
	close(work)
	wg.Wait()
	return errors.Join(errs...)
}

func (z *zones) list() []*primary {
	z.mu.Lock()
	defer z.mu.Unlock()
	list := make([]*primary, 0, len(z.all))
	for _, p := range z.all {
		list = append(list, p)
	}
	return list
}

// settings are those of a zone as last configured.
func (z *zones) settings(p *primary) config.Zone {
	z.mu.Lock()
	defer z.mu.Unlock()
	return p.conf
}

// loadOne reads one file and publishes it, or says why not. z.busy is held.
func (z *zones) loadOne(ctx context.Context, p *primary, force bool) error {
	conf := z.settings(p)
	info, err := os.Stat(conf.File)
	if err != nil {
		p.seen = stamp{} // it may come back as it was
		return z.refuse(p, fmt.Errorf("reading zone %s: %w", p.state.Name, err))
	}
	now := stamp{conf.File, conf.ZONEMD, info.Size(), info.ModTime()}
	if !force && now == p.seen {
		return nil
	}
	p.seen = now
	start := time.Now()
	fresh, warnings, err := readZone(ctx, p.name, conf.File)
	if err == nil {
		err = acceptable(fresh, conf.ZONEMD)
	}
	if err != nil && ctx.Err() != nil {
		p.seen = stamp{}
		return ctx.Err() // the node stops: nothing is wrong with the file
	}
	if err != nil {
		return z.refuse(p, err)
	}
	for _, w := range warnings[:min(len(warnings), 20)] {
		z.log.Warn("zone file", "zone", p.state.Name, "warning", w.String())
	}
	z.publish(p, fresh, time.Since(start))
	return nil
}

// readZone reads a master file from disk.
func readZone(ctx context.Context, name wire.Name, file string) (*zone.Zone, []zone.Warning, error) {
	return zone.Load(ctx, zone.LoadOptions{Name: name, File: file, Open: func(f string) (io.ReadCloser, error) { return os.Open(f) }})
}

// acceptable applies the policy for digests (RFC 8976, Section 4).
func acceptable(z *zone.Zone, policy string) error {
	if policy == "off" {
		return nil
	}
	verdict, reason := z.CheckZONEMD()
	switch {
	case verdict == zone.ZONEMDFailed:
		return fmt.Errorf("zone %s: its ZONEMD digest does not hold: %s", z.Apex(), reason)
	case verdict != zone.ZONEMDVerified && policy == "require":
		return fmt.Errorf("zone %s: no ZONEMD digest that holds, and the configuration requires one: %s", z.Apex(), reason)
	}
	return nil
}

// publish swaps a new version in.
func (z *zones) publish(p *primary, fresh *zone.Zone, took time.Duration) {
	old := p.zone
	z.mu.Lock()
	if z.all[p.state.Name] != p {
		z.mu.Unlock()
		return // removed from the configuration meanwhile
	}
	p.zone = fresh
	p.state.State, p.state.Error = "ok", ""
	p.measure(fresh, took)
	// Still under the lock: a zone that is taken out of the configuration at this moment must not come back.
	z.server.Change(serve.Change{Put: []serve.Zone{p.served()}})
	z.mu.Unlock()
	z.log.Info("zone loaded", "zone", p.state.Name, "serial", fresh.Serial(), "records", p.state.Records, "took", took.Round(time.Millisecond))
	z.report(kindRefused, p, "", true)
	z.compare(p, old, fresh)
	if z.published != nil {
		z.published(p.name, old, fresh)
	}
	if z.serves != nil && old != nil && old.Serial() != fresh.Serial() {
		z.serves(p.name, fresh, p.seen.mod)
	}
}

// measure notes what a version holds.
func (p *primary) measure(z *zone.Zone, took time.Duration) {
	s := &p.state
	s.Serial, s.Signed, s.Loaded, s.Took = z.Serial(), z.Signed(), time.Now().UTC(), took.Seconds()
	s.Names, s.Records, s.Bytes = z.Size()
}

// compare says plainly when a file changed and its serial did not: secondaries will not fetch it.
func (z *zones) compare(p *primary, old, fresh *zone.Zone) {
	if old == nil {
		return
	}
	same := true
	zone.Diff(old, fresh, func(zone.Record) error { same = false; return errDiffers }, func(zone.Record) error { same = false; return errDiffers })
	newer := int32(fresh.Serial()-old.Serial()) > 0 // RFC 1982, Section 3.2
	if !same && !newer {
		z.log.Warn("zone content changed, serial did not rise", "zone", p.state.Name, "serial", fresh.Serial(), "before", old.Serial())
		z.report(kindSerial, p, fmt.Sprintf("serial %d after %d: secondaries will not take this version", fresh.Serial(), old.Serial()), false)
		return
	}
	z.report(kindSerial, p, "", true)
}

var errDiffers = errors.New("differs")

// refuse keeps what is served and says why the new version is not.
func (z *zones) refuse(p *primary, err error) error {
	z.mu.Lock()
	p.state.Error, p.state.State = err.Error(), "refused"
	if p.zone == nil {
		p.state.State = "missing"
	}
	serial, state := p.state.Serial, p.state.State
	z.mu.Unlock()
	z.log.Error("zone refused", "zone", p.state.Name, "error", err, "state", state, "serial", serial)
	z.report(kindRefused, p, err.Error(), false)
	return err
}

func (z *zones) report(kind string, p *primary, why string, over bool) {
	if z.findings == nil {
		return
	}
	now := time.Now().UTC()
	f := event.Finding{Kind: kind, Subject: p.state.Name, Node: z.node, Severity: event.Warning, Opened: now, Updated: now}
	if p.zone == nil {
		f.Severity = event.Critical
	}
	if over {
		f.Opened, f.Closed = time.Time{}, now // with both it would be a finding of a moment
	} else {
		f.Facts = []event.Fact{{Name: "error", Value: why}, {Name: "serial", Value: strconv.FormatUint(uint64(p.state.Serial), 10)}, {Name: "file", Value: z.settings(p).File}}
	}
	z.findings.Report(f)
}

// states are in order of name.
func (z *zones) states() []ZoneState {
	z.mu.Lock()
	defer z.mu.Unlock()
	list := slices.Clone(z.fixed)
	for _, p := range z.all {
		list = append(list, p.state)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	return list
}

// folders are those to watch for changed files.
func (z *zones) folders() []string {
	var dirs []string
	for _, p := range z.list() {
		if dir := filepath.Dir(z.settings(p).File); !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

func canonical(n wire.Name) string { return strings.ToLower(n.String()) }
