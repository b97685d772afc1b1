package transfer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"anyu/dns/wire"
	"anyu/dns/zone"
)

// Bounds on the timers of a SOA. Below the least a primary, or who speaks for it, would make us ask without pause; above the most a
// secondary would sleep through a month.
const (
	leastRefresh = 10 * time.Second
	leastRetry   = 5 * time.Second
	mostTimer    = 28 * 24 * time.Hour
	mostExpire   = 366 * 24 * time.Hour

	// Without a zone to serve there is nothing to wait for: firstRetry, doubled each time up to lastRetry.
	firstRetry = 5 * time.Second
	lastRetry  = 10 * time.Minute

	// noticePause is the least time between two looks at a primary that NOTIFY causes. Stops a flood of NOTIFY.
	noticePause = time.Second

	// Where the primaries do not show the version that a NOTIFY named, or do not answer, they are asked again noticeLooks times, after
	// noticeAgain, each time twice that: the primary has its answer and will not send another. A made-up serial costs no more.
	noticeLooks = 4
	noticeAgain = 2 * time.Second
)

var errNotAuthoritative = errors.New("primary gives no authoritative SOA")

// Timers are those of a SOA, bounded (RFC 1035, Section 3.3.13).
type Timers struct{ refresh, retry, expire time.Duration }

// Expire is how long a version lives that no primary confirms.
func (t Timers) Expire() time.Duration { return t.expire }

func timersOf(soa []byte) Timers {
	b := soa[len(soa)-soaTimers:]
	field := func(at int) time.Duration { return time.Duration(binary.BigEndian.Uint32(b[at:])) * time.Second }
	t := Timers{refresh: between(field(4), leastRefresh, mostTimer), retry: between(field(8), leastRetry, mostTimer)}
	// RFC 1912, Section 2.2: a zone must live longer than it takes to ask twice.
	t.expire = between(field(12), t.refresh+t.retry, mostExpire)
	return t
}

// TimersOf are those of a version.
func TimersOf(z *zone.Zone) Timers {
	_, soa := soaOf(z)
	return timersOf(soa)
}

func between(d, least, most time.Duration) time.Duration { return min(max(d, least), most) }

// Schedule decides what a secondary does next (RFC 1034, Section 4.3.5; RFC 1996, Section 3). It is pure: what happened goes in with its
// time, the next deed comes out.
type Schedule struct {
	direct []bool // primaries that are asked for changes at once, without asking for the SOA before
	spread float64

	has     bool // there is a version
	expired bool
	serial  uint32
	timers  Timers
	until   time.Time // the version may be served

	next   time.Time // when the next round begins
	ended  time.Time // when the last one ended
	step   Deed      // Wait: no round
	at     int       // the primary whose turn it is
	tried  int
	failed int // rounds in a row
	whole  bool
	again  bool   // a notice came during the round
	named  uint32 // the newest serial of a notice
	looks  int    // how often it is looked for yet
	prefer int    // the primary to begin with
}

// Deed is one thing to do.
type Deed uint8

const (
	DoWait Deed = iota
	DoAsk       // for the SOA
	DoIXFR
	DoAXFR
	DoExpire
)

// asks is the type of the question.
func (d Deed) asks() wire.Type {
	switch d {
	case DoIXFR:
		return wire.TypeIXFR
	case DoAXFR:
		return wire.TypeAXFR
	}
	return wire.TypeSOA
}

// Query writes the question to a primary, with an OPT record that asks for EXPIRE. have is our version, which IXFR names (RFC 1995, Section 3).
func (d Deed) Query(id uint16, apex wire.Name, have *zone.Zone) []byte {
	return question(id, apex, d.asks(), have)
}

// Receiver takes the answer to Query, if that asks for a transfer.
func (d Deed) Receiver(apex wire.Name, have *zone.Zone, limits Limits) *Receiver {
	return NewReceiver(apex, d.asks(), have, limits)
}

// NewSchedule begins without a version. spread, from 0 to 1, moves refreshes apart: zones of one primary have equal timers.
func NewSchedule(now time.Time, direct []bool, spread float64) *Schedule {
	return &Schedule{direct: direct, spread: spread, next: now}
}

// Primaries replaces the list.
func (s *Schedule) Primaries(direct []bool) {
	s.direct = direct
	s.at, s.prefer = s.at%len(direct), s.prefer%len(direct)
}

// Loaded takes a version from disk, which a primary last confirmed at the given time.
func (s *Schedule) Loaded(serial uint32, t Timers, refreshed, until time.Time) {
	s.has, s.serial, s.timers, s.until = true, serial, t, until
	s.next = refreshed.Add(s.apart(t.refresh))
}

func (s *Schedule) apart(d time.Duration) time.Duration {
	return d - time.Duration(s.spread*float64(d)/10)
}

// Wish is what to do now: with which primary, or until when to wait. The same is wished until something happens.
func (s *Schedule) Wish(now time.Time) (do Deed, primary int, until time.Time) {
	if s.has && !s.expired && !now.Before(s.until) {
		return DoExpire, 0, until
	}
	if s.step == DoWait {
		if now.Before(s.next) {
			until = s.next
			if s.has && !s.expired && s.until.Before(until) {
				until = s.until
			}
			return DoWait, 0, until
		}
		s.at, s.tried, s.again = s.prefer, 0, false
		s.prefer = 0
		s.step = s.opening()
	}
	return s.step, s.at, until
}

// opening is how a primary is first spoken to.
func (s *Schedule) opening() Deed {
	switch {
	case !s.has || s.whole:
		return DoAXFR
	case s.direct[s.at]:
		return DoIXFR
	}
	return DoAsk
}

// told takes a NOTIFY, from the primary with this number or -1, or the wish of a person (force).
func (s *Schedule) told(now time.Time, from int, n notice) {
	if n.known && s.has && !s.expired && !newer(n.serial, s.serial) && !n.force {
		return // RFC 1996, Section 3.11: the serial says that we have it
	}
	s.whole = s.whole || n.force
	if n.known && (s.looks == 0 || newer(n.serial, s.named)) {
		s.named, s.looks = n.serial, noticeLooks
	}
	if s.step != DoWait {
		s.again = true
		return
	}
	if from >= 0 && from < len(s.direct) {
		s.prefer = from
	}
	when := now
	if earliest := s.ended.Add(noticePause); earliest.After(when) && !n.force {
		when = earliest
	}
	if when.Before(s.next) {
		s.next = when
	}
}

// Heard takes what a primary says about its version. An error says why its word does not count: the next one's turn comes.
func (s *Schedule) Heard(now time.Time, got PrimarySOA) error {
	// RFC 1034, Section 4.3.5: only who is authoritative can confirm our version. That there is a newer one is worth a look whoever says it:
	// the transfer shows.
	if !got.Authoritative && !newer(got.Serial, s.serial) {
		s.Fail(now, false)
		return errNotAuthoritative
	}
	if s.answered(now, got.Serial, got.Expire) {
		return fmt.Errorf("%w: it has serial %d, we have %d and keep it", errLower, got.Serial, s.serial)
	}
	return nil
}

// answered takes the serial a primary has. lower says that it is behind us: ours is kept, the next primary is asked.
func (s *Schedule) answered(now time.Time, serial uint32, expire time.Duration) (lower bool) {
	switch {
	case newer(serial, s.serial):
		s.step = DoIXFR
	case serial == s.serial:
		s.current(now, expire)
	default:
		s.Fail(now, false)
		return true
	}
	return false
}

// current says that our version is the newest. expire, if not negative, is the EXPIRE that the primary told (RFC 7314, Section 4).
func (s *Schedule) current(now time.Time, expire time.Duration) {
	life := s.timers.expire
	if expire >= 0 {
		life = min(life, expire)
	}
	// RFC 7314, Section 4: a secondary that knows better than its primary keeps what it knows.
	if until := now.Add(life); until.After(s.until) || s.expired {
		s.until = until
	}
	s.expired = !now.Before(s.until)
	s.finish(now, s.apart(s.timers.refresh))
	s.failed = 0
}

// Fetched takes a new version.
func (s *Schedule) Fetched(now time.Time, serial uint32, t Timers, expire time.Duration) {
	s.has, s.expired, s.serial, s.timers, s.whole, s.until = true, false, serial, t, false, now
	s.current(now, expire)
}

// Fail says that the deed failed; whole that the zone may still be fetched whole from the same primary.
func (s *Schedule) Fail(now time.Time, whole bool) {
	if s.step == DoIXFR && whole {
		s.step = DoAXFR
		return
	}
	s.tried++
	s.at = (s.at + 1) % len(s.direct)
	if s.tried < len(s.direct) {
		s.step = s.opening()
		return
	}
	wait := min(firstRetry<<min(s.failed, 10), lastRetry)
	if s.has && !s.expired {
		wait = s.apart(s.timers.retry)
	} else if s.has {
		wait = min(wait, s.timers.retry)
	}
	s.failed++
	s.whole = false
	s.finish(now, wait)
}

// Expire says that the version is out of service.
func (s *Schedule) Expire() { s.expired = true }

func (s *Schedule) finish(now time.Time, wait time.Duration) {
	s.step, s.ended, s.next = DoWait, now, now.Add(wait)
	if s.has && !newer(s.named, s.serial) {
		s.looks = 0
	}
	if s.looks > 0 {
		if next := now.Add(noticeAgain << (noticeLooks - s.looks)); next.Before(s.next) {
			s.next = next
		}
		s.looks--
	}
	if s.again {
		s.again, s.next = false, now.Add(noticePause)
	}
}
