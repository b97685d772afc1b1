package nameserver

import (
	"net/netip"
	"time"

	"anyu/dns/wire"
)

const (
	firstRTO = 376 * time.Millisecond // before anything is known, as Unbound's: most servers answer in that time
	minRTO   = 50 * time.Millisecond  // a server next door is given time to look something up
	maxRTO   = 120 * time.Second
	// downRTO is where back-off has shown a server to be down (phantom domains hold no more than one query each): six timeouts of a
	// server that nothing was known of, so that one more question than a single resolution asks finds it out.
	downRTO = 13 * time.Second
	// dropTimeouts of one type in a row, while the server answers others, mean that it drops that type.
	dropTimeouts = 3
	dropTime     = 2 * time.Second

	unreachableTime = time.Minute
	tcpTime         = 15 * time.Minute
	noEDNSTime      = 15 * time.Minute
	// doubtTime is how long a server counts as without EDNS that has shown within the last TTL that it knows it: long enough
	// for the question at hand.
	doubtTime = time.Minute
	// staleOutstanding: counts of queries under way that are older were lost by their owner.
	staleOutstanding = 5 * time.Minute
)

// Questions are of three kinds where dropped ones are concerned.
const (
	kindA = iota
	kindAAAA
	kindOther
	kinds
)

func kindOf(t wire.Type) int {
	switch t {
	case wire.TypeA:
		return kindA
	case wire.TypeAAAA:
		return kindAAAA
	}
	return kindOther
}

// server is what is known of one address. Times are nanoseconds; 0 is never, or over.
type server struct {
	srtt, rttvar, rto time.Duration // srtt 0: it has not answered yet
	news              int64         // when something was learned last
	timeouts          uint16
	first             int64 // of the timeouts in a row: when the first was noticed
	probeAt           int64
	dropped           [kinds]uint8 // timeouts in a row, by kind of question
	dropEnd           [kinds]int64 // until when these count
	dropSince         [kinds]int64 // when the first of these was noticed
	answered          int64        // when it answered any question last
	answers           bool         // it has answered, perhaps so that it could not be timed

	unreachable int64 // until
	noEDNS      int64 // until
	edns        int64 // when it answered with EDNS last, plus TTL
	tcpOnly     int64 // until
	cookie      Cookie
	cookieEnd   int64

	outstanding int32
	begun       int64
	silentIn    int64 // window of the network's count in which it was counted as silent
	heardIn     int64 // the same, as heard
}

// refresh forgets what is too old to count.
func (t *Table) refresh(e *server, now int64) {
	if e.outstanding > 0 && now-e.begun > int64(staleOutstanding) {
		e.outstanding = 0
	}
	if now-e.news > t.ttl.Load() {
		*e = server{outstanding: e.outstanding, begun: e.begun, news: now}
	}
	for k, end := range e.dropEnd {
		if now >= end {
			e.dropped[k] = 0
		}
	}
	if e.timeouts > 0 && t.network.forgives(e.first) {
		e.pardon()
	}
}

// pardon takes the penalties of timeouts back.
func (e *server) pardon() {
	e.timeouts, e.dropped, e.probeAt = 0, [kinds]uint8{}, 0
	e.rto = e.estimate()
}

// estimate of the time to wait. RFC 6298, Section 2.
func (e *server) estimate() time.Duration {
	if e.srtt == 0 {
		return firstRTO
	}
	return min(max(e.srtt+4*e.rttvar, minRTO), maxRTO)
}

func (e *server) down() bool { return e.rto >= downRTO && e.timeouts > 0 }

func (e *server) tell(s *State, now int64) {
	s.Known, s.RTT, s.Timeouts = e.srtt > 0, e.srtt, int(e.timeouts)
	s.Answers = e.answers && e.timeouts == 0
	if e.rto > 0 {
		s.RTO = e.rto
	}
	s.Down = e.down()
	s.Probe = s.Down && e.outstanding == 0 && now >= e.probeAt
	s.Unreachable = now < e.unreachable
	s.NoEDNS, s.EDNS, s.TCPOnly = now < e.noEDNS, now < e.edns, now < e.tcpOnly
	if now < e.cookieEnd {
		s.Cookie = e.cookie
	}
	s.Outstanding = int(e.outstanding)
	for k, n := range e.dropped {
		if n > 0 {
			s.silent |= 1 << k
		}
		if e.drops(k, now) {
			s.drops |= 1 << k
		}
	}
}

// change runs f on what is known of a server, with its lock held.
func (t *Table) change(addr netip.AddrPort, now int64, f func(a address, e *server)) {
	a := keyOf(addr)
	s := t.shard(a)
	s.mu.Lock()
	defer s.mu.Unlock()
	e, isNew := s.servers.put(a)
	if isNew {
		*e = server{news: now}
	}
	t.refresh(e, now)
	f(a, e)
}

// Begin asks for leave to send a query to a server and counts it as under way: false when as many as limit are (fetches per server;
// 0 is no limit), or when the server is down and it is not time for the one query that finds out whether it is back. Each Begin
// that gave leave has its End.
func (t *Table) Begin(addr netip.AddrPort, limit int, now int64) (leave bool) {
	t.change(addr, now, func(_ address, e *server) {
		if limit > 0 && int(e.outstanding) >= limit {
			return
		}
		if e.down() {
			if e.outstanding > 0 || now < e.probeAt {
				return
			}
			e.probeAt = now + int64(e.rto-e.rto/16) // a little before, so that who comes by at that time finds it due
		}
		e.outstanding++
		e.begun = now
		leave = true
	})
	return leave
}

// End says that a query is no longer under way, however it ended.
func (t *Table) End(addr netip.AddrPort) {
	a := keyOf(addr)
	s := t.shard(a)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.servers.get(a); e != nil && e.outstanding > 0 {
		e.outstanding--
	}
}

// Answered says that a server answered a question of a type after rtt. An answer to a query that was sent more than once must
// not be timed (Karn's algorithm; RFC 6298, Section 3): rtt 0 says that it answered, and not how fast.
func (t *Table) Answered(addr netip.AddrPort, qtype wire.Type, rtt time.Duration, now int64) {
	t.change(addr, now, func(a address, e *server) {
		t.network.heard(a.family(), &e.heardIn, now)
		e.news, e.answered, e.answers = now, now, true
		e.timeouts, e.probeAt, e.unreachable = 0, 0, 0
		e.dropped[kindOf(qtype)] = 0
		switch {
		case rtt <= 0: // RFC 6298, Section 5.7, keeps the backed-off time until there is a measure; ours may come with the next query
		case e.srtt == 0: // RFC 6298, Section 2.2
			e.srtt, e.rttvar = rtt, rtt/2
		default: // RFC 6298, Section 2.3
			e.rttvar += ((e.srtt - rtt).Abs() - e.rttvar) / 4
			e.srtt += (rtt - e.srtt) / 8
		}
		e.rto = e.estimate()
	})
}

// TimedOut says that a server did not answer a question of a type for as long as it was waited for. RFC 6298, Section 5.5: the next one
// is given twice the time. Queries sent side by side that end together count once: waited tells those that began before the time was
// doubled.
func (t *Table) TimedOut(addr netip.AddrPort, qtype wire.Type, waited time.Duration, now int64) {
	t.change(addr, now, func(a address, e *server) {
		first := e.timeouts == 0
		if t.network.silent(a.family(), e.srtt > 0, first, &e.silentIn, now) {
			return // our own network: nobody's fault
		}
		e.news = now
		if e.rto == 0 {
			e.rto = e.estimate()
		}
		if 2*waited <= min(e.rto, downRTO/3) {
			return
		}
		if first {
			e.first = now
		}
		k := kindOf(qtype)
		if e.dropped[k] == 0 {
			e.dropSince[k] = now
		}
		e.dropped[k] = min(e.dropped[k]+1, 100)
		e.dropEnd[k] = now + t.ttl.Load()
		if e.drops(k, now) && e.onlyDrops(k) {
			e.timeouts, e.rto = 0, e.estimate() // it answers other questions: waiting longer for those would not help
			return
		}
		e.timeouts = min(e.timeouts+1, 1000)
		e.rto = min(2*e.rto, maxRTO)
		e.probeAt = now + int64(e.rto-e.rto/16) // a little before, so that who comes by at that time finds it due
	})
}

// drops tells whether a server drops questions of a kind: it has answered something since, or has been silent to them for longer than a
// network stumbles. Before that it may be slow, or away for a moment, and is asked again.
func (e *server) drops(k int, now int64) bool {
	return e.dropped[k] >= dropTimeouts && e.srtt > 0 && (e.answered > e.dropSince[k] || now-e.dropSince[k] >= int64(dropTime))
}

// onlyDrops tells whether questions of other kinds are answered.
func (e *server) onlyDrops(k int) bool {
	for other, n := range e.dropped {
		if other != k && n > 0 {
			return false
		}
	}
	return true
}

// Unreachable says that the network refused to carry a query to a server (no route; not: port closed, which is an answer of its host, see
// Refused). Such queries cost nothing and need not count as sent.
func (t *Table) Unreachable(addr netip.AddrPort, now int64) {
	t.change(addr, now, func(a address, e *server) {
		if now >= e.unreachable {
			t.network.unreachable(a.family(), now)
		}
		e.news = now
		e.unreachable = now + int64(unreachableTime)
	})
}

// Refused says that the host is there and nobody listens (ICMP port unreachable, TCP reset).
func (t *Table) Refused(addr netip.AddrPort, now int64) {
	t.change(addr, now, func(_ address, e *server) {
		e.news = now
		e.unreachable = now + int64(unreachableTime)
	})
}

// SetEDNS says whether a reply that matched its query in everything shows that the server knows EDNS. A server that does not is asked
// without for a while, one that was seen with EDNS only shortly, and never for longer (RFC 6891, Section 7; CVE-2026-52690).
func (t *Table) SetEDNS(addr netip.AddrPort, works bool, now int64) {
	t.change(addr, now, func(_ address, e *server) {
		e.news = now
		switch {
		case works:
			e.noEDNS, e.edns = 0, now+t.ttl.Load()
		case now < e.noEDNS: // it was asked without EDNS; saying so again must not prolong it
		case now < e.edns:
			e.noEDNS = now + int64(doubtTime)
		default:
			e.noEDNS = now + int64(noEDNSTime)
		}
	})
}

// SetTCPOnly says whether the server should be asked over TCP for a while: it has answered there, and over UDP somebody forges answers in its name,
// or it truncates what is short. That ends early when it does not answer over TCP any more.
func (t *Table) SetTCPOnly(addr netip.AddrPort, only bool, now int64) {
	t.change(addr, now, func(_ address, e *server) {
		e.news = now
		e.tcpOnly = 0
		if only {
			e.tcpOnly = now + int64(tcpTime)
		}
	})
}
