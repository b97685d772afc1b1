package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/event"
	"anyu/serve/mirror"
	"anyu/serve/validate"
)

// Kinds of findings about the local root.
const (
	kindRootRefused = "root-copy-refused"   // a source gave a version that is altered, not authentic or older
	kindRootSave    = "root-copy-not-saved" // the copy in use is not on disk: a restart begins without it
	kindRootOld     = "root-copy-old"       // no source gives a good version, and the one in use is about to expire, or has
)

// The copies in DATA/mirror: the last good one, and the one before.
const (
	mirrorDir    = "mirror"
	rootFile     = "root.zone"
	rootFileBack = "root.zone.old"
)

// rootLook bounds how long the keeper sleeps: a clock that was set is noticed then.
const rootLook = time.Minute

// rootCopyParts are what a rootCopy is made of.
type rootCopyParts struct {
	dir     string // of the copies on disk
	trust   mirror.Truster
	anchors func() []validate.Anchor // of the root, as trusted now
	use     func(*zone.Zone)         // told when another version is to be used; nil: none
	look    lookup
	sink    event.Sink
	node    string
	log     *slog.Logger
}

// rootCopy keeps the local root (RFC 8806): it fetches for the machine in serve/mirror and keeps the last good copies on disk. One goroutine
// runs it; state and configure are for all.
type rootCopy struct {
	rootCopyParts
	machine *mirror.Mirror // nil: no source is configured
	sources []*rootSource
	used    *zone.Zone // what use was told last
	saved   *zone.Zone // what the file holds
	changed chan struct{}

	mu    sync.Mutex
	fresh *[]*rootSource // configured and not yet taken
	state *mirror.State
}

func newRootCopy(parts rootCopyParts, sources []*rootSource) *rootCopy {
	return &rootCopy{rootCopyParts: parts, changed: make(chan struct{}, 1), fresh: &sources}
}

// configure takes other sources with the next turn.
func (c *rootCopy) configure(sources []*rootSource) {
	c.mu.Lock()
	c.fresh = &sources
	c.mu.Unlock()
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// State is nil where no source is configured.
func (c *rootCopy) State() *mirror.State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// run keeps the copy until ctx ends.
func (c *rootCopy) run(ctx context.Context) {
	for {
		wait := c.turn(ctx, time.Now().UnixNano())
		select {
		case <-time.After(wait):
		case <-c.changed:
		case <-ctx.Done():
			return
		}
	}
}

// turn does what is due at a time, and returns how long nothing will be.
func (c *rootCopy) turn(ctx context.Context, now int64) time.Duration {
	c.mu.Lock()
	fresh := c.fresh
	c.fresh = nil
	c.mu.Unlock()
	if fresh != nil {
		c.begin(ctx, now, *fresh)
	}
	if c.machine == nil {
		c.show(now)
		return rootLook
	}
	if source, at := c.machine.Due(); at <= now {
		c.ask(ctx, now, c.sources[source])
	}
	c.show(now)
	_, next := c.machine.Due()
	wait := time.Duration(next - now)
	if s := c.state; s.Usable {
		wait = min(wait, s.Expires.Sub(time.Unix(0, now)))
	}
	return min(max(wait, 0), rootLook)
}

// begin takes sources, and the copies on disk as if they came now.
func (c *rootCopy) begin(ctx context.Context, now int64, sources []*rootSource) {
	c.sources, c.machine, c.saved = sources, nil, nil
	for _, s := range sources {
		s.look = c.look
	}
	if len(sources) == 0 {
		return
	}
	names := make([]string, len(sources))
	for i, s := range sources {
		names[i] = s.text
	}
	c.machine = mirror.New(wire.Root(), names, c.trust, 0)
	for _, name := range []string{rootFile, rootFileBack} {
		file := filepath.Join(c.dir, name)
		z, err := c.restore(ctx, now, file)
		switch {
		case errors.Is(err, os.ErrNotExist):
			continue
		case err != nil:
			c.log.Warn("a kept copy of the root zone is not used", "file", file, "error", err)
			continue
		}
		if name == rootFile {
			c.saved = z
		}
		c.log.Info("local root restored", "serial", z.Serial())
		return
	}
}

// restore offers a kept copy at the time when it was last found to be current, which is that of the file: it must not live longer than without a
// restart. It must verify now, too.
func (c *rootCopy) restore(ctx context.Context, now int64, file string) (*zone.Zone, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	z, err := readRoot(ctx, file, f)
	if err != nil {
		return nil, err
	}
	anchors := c.anchors()
	if err := mirror.Verify(now, z, c.trust, anchors, 0); err != nil {
		return nil, err
	}
	fetched := min(info.ModTime().UnixNano(), now)
	probe := mirror.New(wire.Root(), nil, c.trust, 0) // a failure here is no failure of a source
	if err := probe.Offer(fetched, z, "disk", anchors); err != nil {
		return nil, err
	}
	if probe.Zone(now) == nil {
		return nil, errors.New("it has expired")
	}
	return z, c.machine.Offer(fetched, z, "disk", anchors)
}

// ask lets one source give what it has.
func (c *rootCopy) ask(ctx context.Context, now int64, from *rootSource) {
	have := c.machine.Zone(now)
	z, err := from.fetch(ctx, have)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		c.machine.Failed(now, err)
		c.log.Warn("the root zone was not fetched", "error", err)
		return
	}
	err = c.machine.Offer(now, z, from.text, c.anchors())
	report(c.sink, kindRootRefused, c.node, event.Warning, err == nil, func() []event.Fact {
		return []event.Fact{{Name: "source", Value: from.text}, {Name: "serial", Value: fmt.Sprint(z.Serial())}, {Name: "error", Value: err.Error()}}
	})
	if err != nil {
		from.mark = "" // what it gives next time is looked at, not compared
		c.log.Error("a version of the root zone was refused", "error", err)
		return
	}
	c.save(now)
}

// save keeps the copy in use, or notes that it is still current.
func (c *rootCopy) save(now int64) {
	z, file := c.machine.Zone(now), filepath.Join(c.dir, rootFile)
	err := func() error {
		if z == c.saved {
			at := time.Unix(0, now)
			return os.Chtimes(file, at, at)
		}
		var b bytes.Buffer
		if err := z.WriteText(&b); err != nil {
			return err
		}
		if err := os.MkdirAll(c.dir, 0o750); err != nil {
			return err
		}
		if err := os.Rename(file, filepath.Join(c.dir, rootFileBack)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if err := writeFile(file, b.Bytes(), 0o640); err != nil {
			return err
		}
		at := time.Unix(0, now)
		return os.Chtimes(file, at, at)
	}()
	report(c.sink, kindRootSave, c.node, event.Warning, err == nil, func() []event.Fact {
		return []event.Fact{{Name: "error", Value: err.Error()}, {Name: "file", Value: file}}
	})
	if err != nil {
		c.saved = nil
		c.log.Warn("the copy of the root zone was not kept on disk", "error", err)
		return
	}
	c.saved = z
}

// show lets others see, and resolving use, what is there now.
func (c *rootCopy) show(now int64) {
	var s *mirror.State
	var z *zone.Zone
	if c.machine != nil {
		state := c.machine.State(now)
		s, z = &state, c.machine.Zone(now)
	}
	c.mu.Lock()
	c.state = s
	c.mu.Unlock()
	if z != c.used {
		c.used = z
		c.use(z)
		if z != nil {
			c.log.Info("local root in use", "serial", z.Serial(), "source", s.Source, "expires", s.Expires.UTC())
		} else {
			c.log.Warn("no local root: the root servers are asked")
		}
	}
	c.judge(now, s)
}

// judge finds a copy that nobody renews: half of its life is over, or all of it, and the sources were asked in vain.
func (c *rootCopy) judge(now int64, s *mirror.State) {
	over := s == nil || s.Failed == 0 || s.Failed < len(c.sources)
	if !over && s.Usable {
		life := s.Expires.Sub(s.Verified)
		over = s.Expires.Sub(time.Unix(0, now)) > life/2
	}
	report(c.sink, kindRootOld, c.node, event.Warning, over, func() []event.Fact {
		facts := []event.Fact{{Name: "error", Value: s.Error}}
		if !s.Expires.IsZero() {
			facts = append(facts, event.Fact{Name: "serial", Value: fmt.Sprint(s.Serial)}, event.Fact{Name: "expires", Value: s.Expires.UTC().Format(time.RFC3339)})
		}
		return facts
	})
}
