package transfer

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"

	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/event"
)

var errExpired = errors.New("no primary confirmed the zone in time")

// keeper runs one secondary: it does what its Schedule wishes and tells it what came of it.
type keeper struct {
	room     *Room
	entry    *entry
	schedule *Schedule
	base     *zone.Zone // our version, also while it is expired
	memory   memory
	remotes  []Remote
	failures []string // of this round, one a primary
}

// keep starts the keeper of an entry. The channel is closed when the copy on disk, if any, is served. r.mu is held.
func (r *Room) keep(e *entry) chan struct{} {
	ctx, stop := context.WithCancel(r.started)
	e.mu.Lock()
	e.stop = stop
	e.mu.Unlock()
	loaded := make(chan struct{})
	r.running.Go(func() {
		defer close(e.ended)
		k := &keeper{room: r, entry: e}
		k.load(ctx, loaded)
		for ctx.Err() == nil {
			k.turn(ctx)
		}
	})
	return loaded
}

// load serves the copy on disk.
func (k *keeper) load(ctx context.Context, loaded chan struct{}) {
	r, e := k.room, k.entry
	k.remotes = e.conf.Load().Primaries
	k.schedule = NewSchedule(r.now(), k.direct(), spread(e.name))
	e.note(func(s *State) { s.Doing = "loading" })
	select {
	case r.loading <- struct{}{}:
	case <-ctx.Done():
		close(loaded)
		return
	}
	z, err := e.journal.load(ctx, e.name)
	<-r.loading
	if err != nil && ctx.Err() == nil {
		// The copy is only a copy: the zone is fetched again.
		r.troubled(e, kindJournal, err)
	}
	e.note(func(s *State) { s.Doing = "" })
	if z == nil {
		r.opts.Publish([]Served{{Name: e.name, Catalog: e.member.Load().catalogText(), Why: "zone is not fetched yet"}})
		close(loaded)
		return
	}
	k.memory = e.journal.recall()
	t := TimersOf(z)
	k.base = z
	until := k.memory.Refreshed.Add(t.expire)
	k.schedule.Loaded(z.Serial(), t, k.memory.Refreshed, until)
	if !r.now().Before(until) {
		close(loaded) // the next turn says that it has expired
		return
	}
	k.serve(z)
	if e.conf.Load().Catalog {
		r.running.Go(func() { defer close(loaded); r.applyCatalog(e, true) })
		return
	}
	close(loaded)
}

// spread is a fraction made from the name, the same after a restart.
func spread(name wire.Name) float64 {
	h := fnv.New32a()
	h.Write(name)
	return float64(h.Sum32()) / (1 << 32)
}

// direct: over TLS a question for the SOA costs as much as one for the changes.
func (k *keeper) direct() []bool {
	list := make([]bool, len(k.remotes))
	for i := range k.remotes {
		list[i] = k.remotes[i].TLS != nil
	}
	return list
}

// turn does one deed.
func (k *keeper) turn(ctx context.Context) {
	r, e := k.room, k.entry
	if conf := e.conf.Load(); &conf.Primaries[0] != &k.remotes[0] {
		k.remotes = conf.Primaries
		k.schedule.Primaries(k.direct())
	}
	do, primary, until := k.schedule.Wish(r.now())
	switch do {
	case DoWait:
		k.wait(ctx, until)
	case DoExpire:
		k.expire()
	case DoAsk:
		k.doing("asking", primary)
		got, err := r.ask(ctx, e, &k.remotes[primary])
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			k.failed(primary, err, false)
			return
		}
		k.answered(primary, got)
	default:
		k.doing("fetching", primary)
		k.fetch(ctx, do, primary)
	}
}

func (k *keeper) doing(what string, primary int) {
	k.entry.note(func(s *State) { s.Doing = what + " " + k.remotes[primary].String() })
}

// wait sleeps until a time or a notice.
func (k *keeper) wait(ctx context.Context, until time.Time) {
	r, e := k.room, k.entry
	e.note(func(s *State) { s.Doing, s.Next = "", until.UTC() })
	timer := time.NewTimer(until.Sub(r.now()))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case n := <-e.poke:
		from := slices.IndexFunc(k.remotes, func(p Remote) bool { return p.Address.Addr().Unmap() == n.from })
		k.schedule.told(r.now(), from, n)
	}
}

// expire: RFC 1034, Section 4.3.5: a zone that no primary confirmed in time is not served: SERVFAIL. (servers.md 5.1, case 39)
func (k *keeper) expire() {
	r, e := k.room, k.entry
	k.schedule.Expire()
	e.zone.Store(nil)
	r.opts.Publish([]Served{{Name: e.name, Catalog: e.member.Load().catalogText(), Why: "zone has expired: no primary confirmed it in time"}})
	e.note(func(s *State) { s.Expired = true })
	r.troubled(e, kindExpired, errExpired, event.Fact{Name: "serial", Value: strconv.FormatUint(uint64(k.schedule.serial), 10)})
}

// answered goes on after a primary told its serial.
func (k *keeper) answered(primary int, got PrimarySOA) {
	k.entry.note(func(s *State) { s.PrimarySerial = got.Serial })
	k.entry.hear(got.Serial, k.room.now())
	if err := k.schedule.Heard(k.room.now(), got); err != nil {
		k.note(primary, err)
		return
	}
	if k.schedule.step == DoWait {
		k.confirmed(primary)
	}
}

// confirmed: our version is the newest.
func (k *keeper) confirmed(primary int) {
	e := k.entry
	e.note(func(s *State) { s.In.UpToDate++ })
	if e.zone.Load() == nil && !k.schedule.expired {
		k.serve(k.base)
	}
	k.succeeded(primary)
}

// succeeded closes what was open and remembers the time.
func (k *keeper) succeeded(primary int) {
	r, e := k.room, k.entry
	now := r.now().UTC()
	k.memory.Refreshed, k.memory.Primary = now, k.remotes[primary].Address.String()
	if m := e.member.Load(); m != nil {
		k.memory.Catalog, k.memory.ID = m.catalogText(), m.id
	}
	e.expires.Store(k.schedule.until.Unix())
	e.note(func(s *State) {
		s.Refreshed, s.Expires, s.Error, s.Expired, s.Primary = now, k.schedule.until.UTC(), "", false, k.remotes[primary].String()
	})
	if err := e.journal.remember(k.memory); err != nil {
		r.troubled(e, kindJournal, err)
	}
	k.failures = nil
	r.settled(e, kindTransfer)
	r.settled(e, kindExpired)
}

// failed goes on after a deed that failed.
func (k *keeper) failed(primary int, err error, whole bool) {
	k.schedule.Fail(k.room.now(), whole)
	if whole {
		k.room.log.Info("changes cannot be used, fetching the whole zone", "zone", k.entry.text, "primary", k.remotes[primary].String(), "error", err)
		return
	}
	k.note(primary, err)
}

// note keeps a failure. People are told when the round is over, that is when no primary is left: one that is dead beside others that
// live does not make the zone old.
func (k *keeper) note(primary int, err error) {
	r, e := k.room, k.entry
	text := k.remotes[primary].String() + ": " + err.Error()
	k.failures = append(k.failures, text)
	e.note(func(s *State) { s.Error = text; s.In.Failed++ })
	if k.schedule.step != DoWait {
		r.log.Warn("primary fails, trying the next", "zone", e.text, "primary", k.remotes[primary].String(), "error", err)
		return
	}
	r.troubled(e, kindTransfer, errors.New(strings.Join(k.failures, "; ")), event.Fact{Name: "primary", Value: k.remotes[primary].String()},
		event.Fact{Name: "serial", Value: strconv.FormatUint(uint64(k.schedule.serial), 10)})
	k.failures = nil
}

// fetch transfers and commits.
func (k *keeper) fetch(ctx context.Context, do Deed, primary int) {
	r, e := k.room, k.entry
	t := do.asks()
	start := r.now()
	in, err := r.fetch(ctx, e, &k.remotes[primary], t, k.base)
	if ctx.Err() != nil {
		return
	}
	if err == nil && !in.UpToDate() {
		_, err = in.Version(k.schedule.whole, e.conf.Load().Accept)
	}
	if err != nil {
		k.failed(primary, fmt.Errorf("%v: %w", t, err), t == wire.TypeIXFR && WholeMayHelp(err))
		return
	}
	e.note(func(s *State) { s.PrimarySerial = in.serial })
	e.hear(in.serial, r.now())
	if in.UpToDate() {
		k.answered(primary, in.SOA())
		return
	}
	k.commit(in, primary, start)
}

// commit puts the versions of a transfer on disk and the last of them into service.
func (k *keeper) commit(in *Receiver, primary int, start time.Time) {
	r, e := k.room, k.entry
	fresh := in.versions[len(in.versions)-1]
	kind := kindAXFR
	if in.last != nil {
		kind = kindIXFR
	}
	if err := k.store(in.versions); err != nil {
		r.troubled(e, kindJournal, err) // answers go on: the next start fetches what is missing
	} else {
		r.settled(e, kindJournal)
	}
	k.base = fresh
	k.schedule.Fetched(r.now(), fresh.Serial(), TimersOf(fresh), in.SOA().Expire)
	k.serve(fresh)
	took := r.now().Sub(start)
	e.note(func(s *State) { s.In.add(kind, int(in.bytes), r.now(), nil); s.In.Took = took.Seconds() })
	k.succeeded(primary)
	r.log.Info("zone fetched", "zone", e.text, "primary", k.remotes[primary].String(), "kind", kind, "serial", fresh.Serial(),
		"octets", in.bytes, "records", in.records, "outside", in.dropped, "took", took)
	r.tell(e, fresh.Serial())
	if e.conf.Load().Catalog {
		r.running.Go(func() { r.applyCatalog(e, false) })
	}
	if e.journal.stale() {
		if err := e.journal.snapshot(fresh); err != nil {
			r.troubled(e, kindJournal, err)
		}
	}
}

// store writes the versions: as steps from ours where that is possible, else as a snapshot.
func (k *keeper) store(versions []*zone.Zone) error {
	j, fresh := k.entry.journal, versions[len(versions)-1]
	if k.base == nil || !newer(fresh.Serial(), k.base.Serial()) || !j.based() {
		return errors.Join(j.clear(), j.snapshot(fresh))
	}
	old := k.base
	for _, v := range versions {
		err := j.append(old, v)
		if errors.Is(err, errTooLong) {
			return j.snapshot(fresh)
		}
		if err != nil {
			j.distrust()
			return err
		}
		old = v
	}
	return nil
}

// serve publishes a version.
func (k *keeper) serve(z *zone.Zone) {
	e := k.entry
	e.zone.Store(z)
	e.expires.Store(k.schedule.until.Unix())
	k.room.opts.Publish([]Served{{Name: e.name, Catalog: e.member.Load().catalogText(), Zone: z, Expires: &e.expires, Heard: e.heardOf(z.Serial())}})
	e.note(func(s *State) {
		s.Serial, s.Steps, s.Expired = z.Serial(), e.journal.depth(), false
		s.Refreshed, s.Expires, s.Loaded, s.Signed = k.memory.Refreshed, k.schedule.until.UTC(), k.room.now().UTC(), z.Signed()
		s.Names, s.Records, s.Octets = z.Size()
	})
}
