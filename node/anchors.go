package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"anyu/event"
	"anyu/serve/pending"
	"anyu/serve/resolve"
	"anyu/serve/validate"
	"anyu/serve/validate/anchor"
)

const anchorDir = "anchors"

// kindAnchorSave is the finding that what RFC 5011 has learned could not be written.
const kindAnchorSave = "anchors-not-saved"

// anchors are the trust anchors in use: as configured, or as RFC 5011 has brought them up to date.
type anchors struct {
	dir    string
	update bool
	fixed  map[string][]validate.Anchor
	points map[string]*trustPoint // by zone
}

// trustPoint is a zone whose keys are followed. The point belongs to the loop that follows it, the rest is what that told last.
type trustPoint struct {
	point *anchor.Point
	file  string
	list  []validate.Anchor
	keys  []AnchorKey
	last  string // what the last probe failed with
}

// note takes over what a point says.
func (p *trustPoint) note(err error) {
	p.list, p.keys, p.last = p.point.Anchors(), nil, ""
	if err != nil {
		p.last = err.Error()
	}
	for _, k := range p.point.Keys {
		key := AnchorKey{Zone: canonical(p.point.Zone), Type: k.Type.String(), Tag: tagOf(k.Type, k.Data), State: k.State.String(), Problem: p.last}
		if k.Changed > 0 {
			key.Since = time.Unix(k.Changed, 0).UTC()
		}
		if p.point.NextProbe > 0 {
			key.Probe = time.Unix(p.point.NextProbe, 0).UTC()
		}
		p.keys = append(p.keys, key)
	}
}

// openAnchors reads what was learned of the configured zones before. The name of a file holds a digest of what was configured: with other
// anchors, RFC 5011 begins again.
func openAnchors(dir string, p *recursionPlan) (*anchors, error) {
	a := &anchors{dir: dir, fixed: p.anchors, points: map[string]*trustPoint{}}
	a.update = dir != "" && followed(p)
	if !a.update {
		return a, nil
	}
	for zone, list := range p.anchors {
		text := anchorText(list)
		sum := sha256.Sum256([]byte(text))
		file := filepath.Join(dir, fileName(zone)+"-"+hex.EncodeToString(sum[:4])+".key")
		kept, err := os.ReadFile(file)
		if err == nil {
			text = string(kept)
		} else if !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("reading trust anchors: %w", err)
		}
		point, err := anchor.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("trust anchors of %s, %s: %w (move the file away to begin with the configured ones again)", zone, file, err)
		}
		a.points[zone] = &trustPoint{point: point, file: file}
		a.points[zone].note(nil)
	}
	return a, nil
}

// followed tells whether a plan wants keys to be followed.
func followed(p *recursionPlan) bool {
	return !p.conf.Off && !p.conf.Validation.Off && *p.conf.Validation.Update
}

// fileName makes a name of a zone that is safe in a path.
func fileName(zone string) string {
	if zone == "." {
		return "root"
	}
	return strings.Map(func(c rune) rune {
		if c == '-' || c == '.' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' {
			return c
		}
		return '_'
	}, strings.TrimSuffix(zone, "."))
}

// trusted are the anchors for the validator.
func (a *anchors) trusted() (list []validate.Anchor) {
	if !a.update {
		for _, l := range a.fixed {
			list = append(list, l...)
		}
		return list
	}
	for _, p := range a.points {
		list = append(list, p.list...)
	}
	return list
}

// followAnchors lets the first loop fetch the keys of zones with trust anchors when that is due (RFC 5011, Section 2.3). It begins with the
// first question of a client: who does not resolve asks nobody.
func (r *resolver) followAnchors(ctx context.Context) {
	select {
	case <-r.used:
	case <-ctx.Done():
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.follow()
}

// follow hands the points over. r.mu is held; the loop is not waited for, since it may wait for r.mu.
func (r *resolver) follow() {
	var list []*anchor.Point
	of := map[*anchor.Point]*trustPoint{}
	for _, p := range r.anchors.points {
		list = append(list, p.point)
		of[p.point] = p
	}
	signal := *r.plan.conf.Validation.Signal
	r.following = true
	r.work.Go(func() {
		r.loops.Each()[0].Call(func(_ *resolve.Engine, t *pending.Table) {
			t.Follow(r.validator, list, signal, func(p *anchor.Point, changed bool, err error) { r.observed(of[p], changed, err) })
		})
	})
}

// observed is told by the loop of each probe. What takes time is left to others.
func (r *resolver) observed(p *trustPoint, changed bool, err error) {
	r.mu.Lock()
	p.note(err)
	zone, text, over := p.point.Zone.String(), p.point.Text(), p.point.Over()
	if changed {
		r.validator.Configure(r.trust())
	}
	r.mu.Unlock()
	r.work.Go(func() {
		switch {
		case err != nil:
			r.log.Warn("trust anchors were not checked", "zone", zone, "error", err)
		case over:
			r.log.Error("the owner has revoked all trust anchors: the zone counts as unsigned now (RFC 5011, Section 5)", "zone", zone)
		case changed:
			r.log.Info("trust anchors changed", "zone", zone)
		}
		r.keeping.Lock()
		defer r.keeping.Unlock()
		err := keep(p.file, text)
		if err != nil {
			r.log.Warn("trust anchors were not kept", "error", err)
		}
		report(r.sink, kindAnchorSave, r.node, event.Warning, err == nil, func() []event.Fact {
			return []event.Fact{{Name: "error", Value: err.Error()}, {Name: "file", Value: p.file}}
		})
	})
}

func keep(file, text string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
		return fmt.Errorf("keeping trust anchors: %w", err)
	}
	return writeFile(file, []byte(text), 0o640)
}
