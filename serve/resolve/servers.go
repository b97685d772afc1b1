package resolve

import (
	"fmt"
	"net/netip"
	"time"

	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/serve/nameserver"
)

// band is how much slower than the fastest server another may be to be asked as often: the load is shared, an attacker cannot tell
// which server is asked, and faster ones are found again (RFC 5452, Section 4.3).
const band = 400 * time.Millisecond

// attempt is the servers of one zone being asked one question.
type attempt struct {
	d        *zoneCut
	q        message.Question
	avoid    []server
	tried    []tries
	empties  int
	fallback *reply // an answer that is believed if nothing better comes
	kind     kind
	last     string // what went wrong last
	silent   bool   // all that went wrong is silence
	full     bool   // a limit of our own kept a server from being asked
	began    int64
}

type tries struct {
	server server
	times  int
	bad    bool // it said something that does not help
}

// askZone asks the servers of a zone, one after the other, until one says something that helps.
func (t *task) askZone(d *zoneCut, q message.Question, avoid []server) (*reply, kind, *failed) {
	if d.held {
		return t.askHeld(d, q)
	}
	if t.crowded(d) {
		return nil, 0, &failed{reason: reasonLimit, text: fmt.Sprintf("%d questions are under way for zone %s", t.config.OfZone, d.zone)}
	}
	a := &attempt{d: d, q: q, avoid: avoid, silent: true, began: t.e.now}
	for {
		if err := t.exhausted(); err != nil {
			if a.last != "" && t.e.now-a.began > int64(MaxTime)/2 {
				err = t.nobody(a) // these servers took the time: it is their failure, and remembered (RFC 9520, Section 3.2)
			}
			return nil, 0, err
		}
		if d.conf != nil && d.conf.First && t.e.now-a.began >= int64(MaxTimeFirst) {
			return nil, 0, t.nobody(a)
		}
		s, ok := t.choose(a)
		if !ok {
			if t.moreAddresses(a) {
				continue
			}
			if a.fallback != nil {
				return a.fallback, a.kind, nil
			}
			return nil, 0, t.nobody(a)
		}
		if r, k, done := t.askServer(a, s); done {
			return r, k, nil
		}
	}
}

// crowded tells whether as many questions are under way for a zone as may be (random subdomains of one zone with slow servers take all
// places).
func (t *task) crowded(d *zoneCut) bool {
	return t.config.OfZone > 0 && len(d.zone) > 1 && t.e.zones[string(d.zone.AppendLower(nil))] >= t.config.OfZone
}

// count counts the questions under way for a zone.
func (t *task) count(d *zoneCut, n int) {
	if t.config.OfZone == 0 {
		return
	}
	key := string(d.zone.AppendLower(nil))
	if t.e.zones[key] += n; t.e.zones[key] <= 0 {
		delete(t.e.zones, key)
	}
}

// exhausted tells which limit of the resolution is met.
func (t *task) exhausted() *failed {
	switch {
	case t.spent.sends >= MaxSends:
		return &failed{reason: reasonLimit, spent: true, text: fmt.Sprintf("%d questions to servers were not enough", MaxSends)}
	case t.spent.bytes >= MaxBytes:
		return &failed{reason: reasonLimit, spent: true, text: fmt.Sprintf("the answers of servers have more than %d octets", MaxBytes)}
	case t.e.now-t.started >= int64(MaxTime):
		return &failed{reason: reasonLimit, spent: true, text: fmt.Sprintf("no answer within %s", MaxTime)}
	}
	return nil
}

// nobody says why a zone's servers gave no answer.
func (t *task) nobody(a *attempt) *failed {
	where := "zone " + a.d.zone.String()
	if a.last == "" {
		return &failed{reason: reasonUnreachable, text: "no address of a name server of " + where + " can be asked"}
	}
	reason := uint16(reasonUnreachable)
	switch {
	case a.full:
		reason = reasonLimit // it is we who do not ask, so that the next one may: nothing is remembered against the name
	case !a.silent:
		reason = reasonNetwork
	}
	return &failed{reason: reason, text: where + ": " + a.last}
}

// askHeld asks a zone that is held here.
func (t *task) askHeld(d *zoneCut, q message.Question) (*reply, kind, *failed) {
	epoch := t.e.Cache.Epoch()
	m := t.config.Local.Ask(d.zone, q)
	if m == nil {
		return nil, 0, &failed{reason: reasonInvalid, text: "zone " + d.zone.String() + " is held here and cannot be used now"}
	}
	r := t.scrub(m, q, d)
	r.epoch = epoch
	r.additional = m.Additional
	return r, classify(r, m, d), nil
}

// until is when an exchange must be over, so that a server that needs a stream does not take more time than there is.
func (t *task) until(a *attempt) int64 {
	end := t.started + int64(MaxTime)
	if a.d.conf != nil && a.d.conf.First {
		end = min(end, a.began+int64(MaxTimeFirst))
	}
	return end
}

// askServer asks one server. done tells that what it said is to be used.
func (t *task) askServer(a *attempt, s server) (*reply, kind, bool) {
	d := a.d
	state := t.e.Servers.Look(s.Addr, d.zone, t.e.now)
	timeout := min(state.RTO, MaxWait, MaxTime-time.Duration(t.e.now-t.started))
	n := a.try(s)
	t.spent.sends++
	t.count(d, 1)
	epoch := t.e.Cache.Epoch()
	out := t.send(Ask{Server: s.Addr, Zone: d.zone, Question: a.q, RD: d.recursive, CD: d.recursive && (t.opts.CD || t.e.Validator != nil), // RFC 6840, Section 5.9: who validates asks for all data
		Stream: s.stream || state.TCPOnly, SameCase: t.config.SameCase, Upstream: s.via, Signed: d.signed && !t.opts.CD, Timeout: timeout, Until: t.until(a)})
	t.count(d, -1)
	if state.TCPOnly && (out.Kind == TimedOut || out.Kind == Refused || out.Kind == Unreadable) {
		t.e.Servers.SetTCPOnly(s.Addr, false, t.e.now)
	}
	step := Step{Kind: StepAsk, Zone: d.zone, Question: a.q, Server: s.Addr, RTT: out.RTT}
	switch out.Kind {
	case TimedOut:
		t.e.Servers.TimedOut(s.Addr, a.q.Type, timeout, t.e.now)
		a.last = fmt.Sprintf("%s did not answer", s.Addr)
		step.Text = "no answer"
		t.note(step)
		return nil, 0, false
	case Unreachable:
		t.e.Servers.Unreachable(s.Addr, t.e.now)
		a.tried[n].bad = true
		t.spent.sends-- // nothing was sent, so that a family that does not work does not use up the budget (servers.md 4, row 3)
		a.last = fmt.Sprintf("%s cannot be reached", s.Addr)
		step.Text = "cannot be reached"
		t.note(step)
		return nil, 0, false
	case Refused:
		t.e.Servers.Refused(s.Addr, t.e.now)
		a.tried[n].bad = true
		a.last = fmt.Sprintf("%s refused the connection or the datagram", s.Addr)
		step.Text = "refused"
		t.note(step)
		return nil, 0, false
	case Unreadable: // said of this question, and not of the server: it may serve other zones than the one whose owner made it say so
		a.tried[n].bad, a.silent = true, false
		a.last = fmt.Sprintf("%s sent what is no reply, or cannot be read", s.Addr)
		step.Text = "sent what is no reply, or cannot be read"
		t.note(step)
		return nil, 0, false
	case Held:
		a.tried[n].bad = true
		t.spent.sends--
		a.last = fmt.Sprintf("%s has been silent and is left alone", s.Addr)
		step.Text = "is left alone, because it is down"
		t.note(step)
		return nil, 0, false
	case Full:
		a.tried[n].bad, a.full = true, true
		t.spent.sends--
		a.last = fmt.Sprintf("%s is asked as many questions at once as it may be (limits.server_queries)", s.Addr)
		step.Text = "is asked as many questions at once as it may be"
		t.note(step)
		return nil, 0, false
	}
	t.e.Servers.Answered(s.Addr, a.q.Type, out.RTT, t.e.now)
	t.spent.bytes += out.Message.Size
	r, k, why := t.read(a, s, out.Message, epoch)
	if r != nil {
		r.stream = out.Stream
	}
	step.Rcode, step.Text = out.Message.Rcode, why
	t.note(step)
	if k == isAnswer || k == isAlias || k == isReferral {
		return t.judge(a, s, r, k, n)
	}
	a.silent = false
	a.last = fmt.Sprintf("%s: %s", s.Addr, why)
	a.tried[n].bad = true
	return nil, 0, false
}

// try counts an attempt at a server.
func (a *attempt) try(s server) int {
	for i := range a.tried {
		if a.tried[i].server == s {
			a.tried[i].times++
			return i
		}
	}
	a.tried = append(a.tried, tries{server: s, times: 1})
	return len(a.tried) - 1
}

// read cleans and classifies what a server said, and remembers a server that is not fit.
func (t *task) read(a *attempt, s server, m *message.Message, epoch uint64) (*reply, kind, string) {
	switch {
	case !m.Has(wire.FlagQR) || m.Opcode() != wire.OpcodeQuery:
		return nil, isUseless, "is not a reply"
	case m.Questions != 1 || !m.Question.Equal(a.q):
		return nil, isUseless, "answers another question"
	case m.Has(wire.FlagTC):
		return nil, isUseless, "is truncated" // over a stream, or the exchange would have gone on there
	}
	t.bound(m)
	d := forged(m.Answer, a.q, a.d.zone)
	r := t.scrub(m, a.q, a.d)
	r.from, r.epoch = s, epoch
	t.hear(r)
	if d != nil {
		t.learn(d, r.epoch)
		return r, isUseless, "has a CNAME that does not follow from its DNAME"
	}
	k := classify(r, m, a.d)
	if k == isAnswer && m.Dropped > 0 && len(r.answer) == 0 && a.d.signed {
		return r, isUseless, "answers with records of wrong length only" // their signatures cannot hold
	}
	zone := a.d.zone
	switch k {
	case isLame:
		t.e.Servers.SetLame(s.Addr, zone, lameFor(a.q.Type), t.e.now)
		return r, k, "is lame for " + zone.String()
	case isResolver:
		t.e.Servers.SetLame(s.Addr, zone, nameserver.LameRecursive, t.e.now)
		// Its answer is better than none, if it is one (servers.md 5.2, case 17).
		if a.fallback == nil && (len(r.answer) > 0 || findType(r.authority, wire.TypeSOA) != nil) {
			a.fallback, a.kind = r, isAnswer
		}
		return r, k, "answers as a resolver, not as a server of " + zone.String() + " (is port 53 redirected? then forward to a resolver, or ask who runs the network)"
	case isUseless:
		return r, k, r.rcode.String()
	}
	if a.q.Type == wire.TypeDS && k == isAnswer && len(r.answer) == 0 && childSide(r, a.q.Name) {
		return r, isUseless, "answers a question for DS from the zone below"
	}
	return r, k, describe(r, k)
}

// lameFor: some load balancers are lame for all types but A (RFC 4074, Section 4.5).
func lameFor(t wire.Type) nameserver.Lameness {
	if t == wire.TypeA {
		return nameserver.LameA
	}
	return nameserver.LameOther
}

// childSide tells whether a denial of DS comes from the zone whose keys it would name (RFC 4035, Section 3.1.4.1).
func childSide(r *reply, name wire.Name) bool {
	soa := findType(r.authority, wire.TypeSOA)
	return soa != nil && soa.Name.Equal(name) && len(name) > 1
}

func describe(r *reply, k kind) string {
	switch {
	case k == isReferral:
		return "referral"
	case len(r.answer) > 0:
		return fmt.Sprintf("%s, %d RRsets", r.rcode, len(r.answer))
	case r.rcode == wire.NoError:
		return "no such data"
	}
	return r.rcode.String()
}

// judge decides whether an answer is good enough, or other servers should be asked, too.
func (t *task) judge(a *attempt, s server, r *reply, k kind, n int) (*reply, kind, bool) {
	if a.d.signed && unsigned(r, k) && !t.opts.CD {
		if a.fallback == nil {
			a.fallback, a.kind = r, k
		}
		t.e.Servers.SetLame(s.Addr, a.d.zone, nameserver.LameDNSSEC, t.e.now)
		a.tried[n].bad = true
		return nil, 0, false
	}
	if k == isAnswer && empty(r) && a.empties < MaxEmpty {
		a.empties++
		if a.fallback == nil {
			a.fallback, a.kind = r, k
		}
		a.tried[n].bad = true
		return nil, 0, false
	}
	return r, k, true
}

// candidate is a server that may be asked next.
type candidate struct {
	server server
	rto    time.Duration
}

// choose picks the next server: one at random among those about as fast as the fastest that is left. Those that are spoken to so that nobody can
// listen go first.
func (t *task) choose(a *attempt) (server, bool) {
	var room [16]candidate
	list := room[:0]
	for _, u := range a.d.upstreams {
		list = t.consider(list, a, server{Addr: u.Address, via: u})
	}
	if s, ok := t.pick(list); ok {
		return s, true
	}
	for i := range a.d.names {
		n := &a.d.names[i]
		for _, addr := range n.addresses {
			if t.reachable(addr.Addr()) {
				list = t.consider(list, a, server{Addr: addr, stream: n.stream})
			}
		}
	}
	return t.pick(list)
}

// consider adds a server that may still be asked.
func (t *task) consider(list []candidate, a *attempt, s server) []candidate {
	if t.left(a, s) <= 0 {
		return list
	}
	rto, ok := t.weigh(s.Addr, a)
	if !ok {
		return list
	}
	return append(list, candidate{s, rto})
}

// pick takes one of those in the band.
func (t *task) pick(list []candidate) (server, bool) {
	best := time.Duration(1 << 62)
	for _, c := range list {
		best = min(best, c.rto)
	}
	n := 0
	for _, c := range list {
		if c.rto <= best+band {
			list[n] = c
			n++
		}
	}
	if n == 0 {
		return server{}, false
	}
	return list[t.e.random()%uint64(n)].server, true
}

// Penalties put servers behind all others without ruling them out, when they are all there is.
const (
	penaltyUnfit = 120 * time.Second
	penaltyDown  = 240 * time.Second
)

// weigh gives the time that a server is expected to take.
func (t *task) weigh(addr netip.AddrPort, a *attempt) (time.Duration, bool) {
	s := t.e.Servers.Look(addr, a.d.zone, t.e.now)
	rto := s.RTO
	switch {
	case s.LameFor(a.q.Type), s.Rests(a.q.Type):
		return 0, false
	case s.Down || s.FamilyDown || s.Unreachable || s.Drops(a.q.Type):
		rto += penaltyDown
	case s.LameRecursive, s.DNSSECLame && a.d.signed:
		rto += penaltyUnfit
	}
	for i := range a.tried { // spread repeated attempts
		if a.tried[i].server.Addr == addr {
			rto += time.Duration(a.tried[i].times) * band
		}
	}
	return rto, true
}

// left is how often a server may still be asked this question.
func (t *task) left(a *attempt, s server) int {
	for _, v := range a.avoid {
		if v == s {
			return 0
		}
	}
	for i := range a.tried {
		if a.tried[i].server == s {
			if a.tried[i].bad {
				return 0
			}
			return t.triesOf(a, s) - a.tried[i].times
		}
	}
	return t.triesOf(a, s)
}

// triesOf is how often a server may be asked one question: once, if it has been silent to its kind before.
func (t *task) triesOf(a *attempt, s server) int {
	if state := t.e.Servers.Look(s.Addr, a.d.zone, t.e.now); state.Down || state.Drops(a.q.Type) {
		return 1
	}
	return t.config.tries()
}

func (t *task) reachable(a netip.Addr) bool {
	return a.Is4() && t.config.IPv4 || a.Is6() && t.config.IPv6
}

// moreAddresses looks up the addresses of one more name server of a zone. False: there is none left.
func (t *task) moreAddresses(a *attempt) bool {
	d := a.d
	for i := range d.names {
		n := &d.names[i]
		if n.looked || len(n.name) == 0 {
			continue
		}
		if d.looked >= MaxTargets || d.lost >= MaxTargetsFailed {
			return false
		}
		if t.spent.targets >= MaxTargetsOfTask || t.depth >= MaxDepth {
			a.full, a.last = true, fmt.Sprintf("addresses of more than %d other name servers are needed on the way", t.spent.targets)
			return false
		}
		n.looked = true
		if n.name.IsSubdomainOf(d.zone) && len(n.addresses) > 0 && (a.refused() || !t.reached(d)) {
			continue // it would take this very zone, none of whose servers is of use
		}
		d.looked++
		t.spent.targets++
		if t.lookUp(n) {
			return true
		}
		d.lost++
	}
	return false
}

// refused tells whether all servers that were asked said something that does not help, as each would to the next question (NXNSAttack: a
// zone's servers multiplied by its name servers).
func (a *attempt) refused() bool {
	for i := range a.tried {
		if !a.tried[i].bad {
			return false
		}
	}
	return len(a.tried) > 1
}

// reached tells whether a server of the zone answered anything lately.
func (t *task) reached(d *zoneCut) bool {
	for i := range d.names {
		for _, a := range d.names[i].addresses {
			if s := t.e.Servers.Look(a, d.zone, t.e.now); s.Answers {
				return true
			}
		}
	}
	return false
}

// lookUp finds addresses of a name server that are not known yet.
func (t *task) lookUp(n *nameServer) bool {
	found := false
	for _, qt := range [...]wire.Type{wire.TypeA, wire.TypeAAAA} {
		if qt == wire.TypeA && !t.config.IPv4 || qt == wire.TypeAAAA && (!t.config.IPv6 || found) || t.alive(n, qt) {
			continue
		}
		q := message.Question{Name: n.name, Type: qt, Class: wire.ClassIN}
		t.note(Step{Kind: StepTarget, Question: q, Zone: n.name})
		a := t.link(q, false)
		set := message.Find(a.Answer, n.name, qt)
		if set == nil { // RFC 2181, Section 10.3: a name server's name may not be an alias
			continue
		}
		for _, addr := range t.addresses(nil, set) {
			if !has(n.addresses, addr) && len(n.addresses) < MaxAddresses {
				n.addresses = append(n.addresses, addr)
				found = true
			}
		}
	}
	if !found { // what the parent said of it is better than nothing
		for _, addr := range t.knownAddresses(n.name) {
			if !has(n.addresses, addr) {
				n.addresses = append(n.addresses, addr)
				found = true
			}
		}
	}
	return found
}

// alive tells whether the addresses of a name server that are known are of a type's family, and one of them answers: then they are right, whatever
// it is that does not help in what it says.
func (t *task) alive(n *nameServer, qt wire.Type) bool {
	for _, a := range n.addresses {
		if a.Addr().Is4() == (qt == wire.TypeA) {
			if s := t.e.Servers.Look(a, nil, t.e.now); s.Answers {
				return true
			}
		}
	}
	return false
}

func has(list []netip.AddrPort, a netip.AddrPort) bool {
	for _, b := range list {
		if a == b {
			return true
		}
	}
	return false
}
