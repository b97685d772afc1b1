package transfer

import (
	"bytes"
	"context"
	"time"

	"anyu/dns/wire"
	"anyu/dns/zone"
)

// What the tests of the pure machines look at.

func (r *Receiver) Versions() []*zone.Zone { return r.versions }
func (r *Receiver) Dropped() int           { return r.dropped }

var (
	ErrInconsistent = errInconsistent
	ErrStream       = errStream
	ErrLimit        = errLimit
	ErrCatalog      = errCatalog
)

type Notice = notice

func NewNotice(serial uint32, known, force bool) Notice {
	return notice{serial: serial, known: known, force: force}
}

func NewTimers(refresh, retry, expire time.Duration) Timers { return Timers{refresh, retry, expire} }
func TimersIn(soa []byte) (refresh, retry, expire time.Duration) {
	t := timersOf(soa)
	return t.refresh, t.retry, t.expire
}

func (s *Schedule) Told(now time.Time, from int, n Notice) { s.told(now, from, n) }
func (s *Schedule) Answered(now time.Time, serial uint32, expire time.Duration) bool {
	return s.answered(now, serial, expire)
}
func (s *Schedule) Expired() bool { return s.expired }

// Journal is the journal of one zone.
type Journal struct{ j *journal }

func OpenJournal(dir string, limit int64) (Journal, error) {
	j, err := openJournal(dir, limit)
	return Journal{j}, err
}
func (j Journal) Append(old, fresh *zone.Zone) error { return j.j.append(old, fresh) }
func (j Journal) Snapshot(z *zone.Zone) error        { return j.j.snapshot(z) }
func (j Journal) Depth() int                         { return j.j.depth() }
func (j Journal) Load(ctx context.Context, name wire.Name) (*zone.Zone, error) {
	return j.j.load(ctx, name)
}

// EncodeStep and ReadSteps are the two directions of a history file.
func EncodeStep(old, fresh *zone.Zone) ([]byte, error) { return encodeStep(old, fresh, 1<<30) }

const JournalMagic = journalMagic

// ReadSteps applies the steps of a file to a version as far as they are whole.
func ReadSteps(file []byte, z *zone.Zone) (*zone.Zone, int) {
	in := bytes.NewReader(file)
	steps, whole, err := scanSteps(in, int64(len(file)))
	if err != nil {
		return z, 0
	}
	if whole > int64(len(file)) {
		panic("steps end behind the file")
	}
	n := 0
	for _, s := range steps {
		next, err := applyStep(in, s, z)
		if err != nil {
			break
		}
		z = next
		n++
	}
	return z, n
}

// ReadCatalog returns the names of the members with their ids.
func ReadCatalog(z *zone.Zone, most int) (map[string]string, error) {
	list, err := readCatalog(z, most)
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	for _, m := range list {
		names[m.name.String()] = m.id
	}
	return names, nil
}

func Folder(n wire.Name) string { return folder(n) }

// Waiting is the notice that waits at a keeper to whom these came while it was busy.
func Waiting(notices []Notice) Notice {
	e := &entry{poke: make(chan notice, 1)}
	for _, n := range notices {
		e.wake(n)
	}
	return <-e.poke
}
