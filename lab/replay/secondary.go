package replay

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"anyu/dns/dnssec"
	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/serve/resolve"
	"anyu/serve/transfer"
)

// secondary drives serve/transfer's machines for one zone over the simulated network: what its Schedule wishes is sent, what came of it is
// told to the Schedule. At most one question is under way.
type secondary struct {
	x        *Subject
	zone     AuthZone
	schedule *transfer.Schedule
	remotes  []netip.AddrPort
	current  *zone.Zone

	asked   uint64 // ID of the question under way; 0: none
	deed    transfer.Deed
	to      int
	stream  bool
	in      *transfer.Receiver
	looking int // look-ups of names under way
}

// firstCopyID keeps the IDs of transfers apart from those of the engine.
const firstCopyID = 1 << 62

var (
	errNoReply   = errors.New("no reply")
	errNoAddress = errors.New("no primary has an address")
)

func newSecondary(x *Subject, a AuthZone, z *zone.Zone) *secondary {
	s := &secondary{x: x, zone: a, remotes: a.Primaries, current: z}
	now := time.Unix(0, x.now)
	s.schedule = transfer.NewSchedule(now, make([]bool, max(1, len(a.Primaries))), 0)
	if z != nil {
		t := transfer.TimersOf(z)
		s.schedule.Loaded(z.Serial(), t, now, now.Add(t.Expire()))
	}
	return s
}

// copyOf is the secondary whose question has the ID.
func (x *Subject) copyOf(id uint64) *secondary {
	for _, s := range x.copies {
		if id != 0 && s.asked == id {
			return s
		}
	}
	return nil
}

// due is when the secondary wants to be woken.
func (s *secondary) due() (at int64, waits bool) {
	if s.asked != 0 || s.looking > 0 {
		return 0, false
	}
	do, _, until := s.schedule.Wish(time.Unix(0, s.x.now))
	if do != transfer.DoWait {
		return s.x.now, true
	}
	return until.UnixNano(), true
}

// turn does what is wished.
func (s *secondary) turn() {
	for s.asked == 0 && s.looking == 0 {
		do, primary, _ := s.schedule.Wish(time.Unix(0, s.x.now))
		switch {
		case do == transfer.DoWait:
			return
		case do == transfer.DoExpire:
			s.schedule.Expire()
			s.x.withdraw(s.zone, "zone has expired: no primary confirmed it in time")
		case len(s.remotes) == 0:
			s.lookUp()
		default:
			s.ask(do, primary, do != transfer.DoAsk)
		}
	}
}

// lookUp finds the addresses of primaries that are given by name; what did not validate is not used.
func (s *secondary) lookUp() {
	s.looking = 2 * len(s.zone.PrimaryHosts)
	for _, host := range s.zone.PrimaryHosts {
		for _, t := range [...]wire.Type{wire.TypeA, wire.TypeAAAA} {
			q := message.Question{Name: host, Type: t, Class: wire.ClassIN}
			s.x.engine.Resolve(s.x.now, q, resolve.Options{Priority: true}, s.found)
		}
	}
}

func (s *secondary) found(a *resolve.Answer) {
	if a.Rcode == wire.NoError && a.Security != dnssec.Bogus {
		for _, set := range a.Answer {
			if set.Type != a.Question.Type {
				continue
			}
			for _, d := range set.Data {
				if addr, ok := netip.AddrFromSlice(d); ok {
					s.remotes = append(s.remotes, netip.AddrPortFrom(addr, 53))
				}
			}
		}
	}
	if s.looking--; s.looking > 0 {
		return
	}
	if len(s.remotes) == 0 {
		s.failed(errNoAddress, false)
		return
	}
	s.schedule.Primaries(make([]bool, len(s.remotes)))
	s.turn()
}

// ask sends a question to a primary.
func (s *secondary) ask(do transfer.Deed, primary int, stream bool) {
	s.x.copied++
	s.asked, s.deed, s.to, s.stream = firstCopyID+s.x.copied, do, primary, stream
	msg := do.Query(uint16(s.x.random()), s.zone.Name, s.current)
	if do != transfer.DoAsk {
		s.in = do.Receiver(s.zone.Name, s.current, transfer.Limits{})
	}
	s.x.out = append(s.x.out, Output{Kind: Send, ID: s.asked, To: s.remotes[primary], TCP: stream, Msg: msg})
}

// outcome takes what came of the question.
func (s *secondary) outcome(in Input) {
	if in.Kind != Reply {
		s.asked = 0
		s.failed(errNoReply, false)
		return
	}
	if s.deed == transfer.DoAsk {
		s.asked = 0
		s.told(in.Msg)
		return
	}
	done, err := s.in.Message(in.Msg)
	if err == nil && !done {
		if in.More {
			return
		}
		err = errNoReply
	}
	if in.More {
		s.x.out = append(s.x.out, Output{Kind: Cancel, ID: s.asked})
	}
	s.asked = 0
	var fresh *zone.Zone
	if err == nil && !s.in.UpToDate() {
		fresh, err = s.in.Version(false, func(z *zone.Zone) error { return s.x.accept(s.zone, z) })
	}
	switch {
	case err != nil:
		s.failed(err, s.deed == transfer.DoIXFR && transfer.WholeMayHelp(err))
	case s.in.UpToDate():
		s.heard(s.in.SOA())
	default:
		s.serve(fresh)
	}
}

// told takes the answer to the question for the SOA. What is truncated or not authoritative is asked for again over TCP.
func (s *secondary) told(msg []byte) {
	got, err := transfer.ReadSOA(msg, s.zone.Name)
	truncated := binary.BigEndian.Uint16(msg[2:])&wire.FlagTC != 0
	switch {
	case !s.stream && (truncated || err == nil && !got.Authoritative):
		s.ask(s.deed, s.to, true)
	case err != nil:
		s.failed(err, false)
	default:
		s.heard(got)
	}
}

func (s *secondary) heard(got transfer.PrimarySOA) {
	if err := s.schedule.Heard(time.Unix(0, s.x.now), got); err != nil {
		s.note(err)
	} else if s.current != nil && got.Serial == s.current.Serial() {
		s.x.put(s.zone, s.current)
	}
	s.turn()
}

func (s *secondary) failed(err error, whole bool) {
	s.note(err)
	s.schedule.Fail(time.Unix(0, s.x.now), whole)
	s.turn()
}

func (s *secondary) note(err error) {
	s.x.out = append(s.x.out, Output{Kind: Note, Text: fmt.Sprintf("secondary %s: %v", s.zone.Name, err)})
}

// serve puts a new version into its file and into service.
func (s *secondary) serve(z *zone.Zone) {
	s.current = z
	s.schedule.Fetched(time.Unix(0, s.x.now), z.Serial(), transfer.TimersOf(z), s.in.SOA().Expire)
	if s.zone.File != "" {
		var b bytes.Buffer
		if err := z.WriteText(&b); err != nil {
			s.note(err)
		}
		s.x.settings.Files.Write(s.zone.File, b.Bytes())
	}
	s.x.put(s.zone, z)
}
