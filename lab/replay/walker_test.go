package replay_test

import (
	"net/netip"

	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/lab/replay"
)

// walker is a System for tests: a resolver that follows referrals with glue and CNAMEs, believes all it is told and keeps nothing.
type walker struct {
	set   replay.Settings
	last  uint64
	tasks map[uint64]*walk
	// timer is when it wants to be woken, 0 never; onWake is what it does then.
	timer  int64
	onWake func(now int64) []replay.Output
}

// walk is one client's question on its way.
type walk struct {
	client replay.Input
	query  *replay.Message
	qname  wire.Name
	answer []replay.Record
	to     netip.AddrPort
	tries  int
}

func newWalker(set replay.Settings) (replay.System, error) {
	return &walker{set: set, tasks: map[uint64]*walk{}}, nil
}

func (s *walker) Timer() (int64, bool) { return s.timer, s.timer != 0 }

func (s *walker) Handle(now int64, in replay.Input) []replay.Output {
	switch in.Kind {
	case replay.Client:
		q := replay.Decode(append([]byte(nil), in.Msg...))
		if q.Odd != nil || len(q.Records[0]) != 1 || q.Flags&wire.FlagQR != 0 {
			return nil
		}
		return s.ask(&walk{client: in, query: q, qname: q.Records[0][0].Name, to: s.root()})
	case replay.Reply, replay.TimedOut, replay.Failed:
		w := s.tasks[in.ID]
		delete(s.tasks, in.ID)
		if w == nil {
			return nil
		}
		if in.Kind != replay.Reply {
			if w.tries++; w.tries < 5 {
				return s.ask(w)
			}
			return s.finish(w, 2, nil, nil)
		}
		return s.reply(w, in)
	case replay.Wake:
		s.timer = 0
		if s.onWake != nil {
			return s.onWake(now)
		}
	}
	return nil
}

func (s *walker) root() netip.AddrPort {
	switch {
	case len(s.set.Forwards) > 0:
		return s.set.Forwards[0].Addrs[0]
	case len(s.set.Hints) > 0:
		return s.set.Hints[0].Addr
	case len(s.set.Stubs) > 0 && len(s.set.Stubs[0].Addrs) > 0:
		return s.set.Stubs[0].Addrs[0]
	}
	return netip.MustParseAddrPort("198.41.0.4:53")
}

func (s *walker) ask(w *walk) []replay.Output {
	s.last++
	s.tasks[s.last] = w
	m := replay.Message{ID: uint16(s.last), OPT: &replay.OPT{Payload: 1232, Flags: 0x8000}}
	m.Records[0] = []replay.Record{{Name: w.qname, Type: w.query.Records[0][0].Type, Class: wire.ClassIN}}
	return []replay.Output{{Kind: replay.Send, ID: s.last, To: w.to, Msg: m.Encode()}}
}

func (s *walker) reply(w *walk, in replay.Input) []replay.Output {
	m, err := message.Parse(in.Msg)
	if err != nil || m.Rcode != 0 && m.Rcode != 3 {
		return s.finish(w, 2, nil, nil)
	}
	if len(m.Answer) > 0 {
		seen := replay.Decode(in.Msg)
		w.answer = append(w.answer, seen.Records[1]...)
		if cname := message.Find(m.Answer, w.qname, wire.TypeCNAME); cname != nil && w.query.Records[0][0].Type != wire.TypeCNAME && len(w.answer) < 20 {
			w.qname = message.Target(replay.Decode(in.Msg).Records[1][0].RData)
			if message.Find(m.Answer, w.qname, w.query.Records[0][0].Type) == nil {
				w.to = s.root()
				return s.ask(w)
			}
		}
		return s.finish(w, 0, seen.Records[2], seen.Records[3])
	}
	for _, glue := range replay.Decode(in.Msg).Records[3] {
		if a, ok := netip.AddrFromSlice(glue.RData); ok && glue.Type == wire.TypeA && m.Flags&wire.FlagAA == 0 && len(m.Authority) > 0 {
			w.to = netip.AddrPortFrom(a, 53)
			return s.ask(w)
		}
	}
	return s.finish(w, uint16(m.Rcode), replay.Decode(in.Msg).Records[2], nil)
}

func (s *walker) finish(w *walk, rcode uint16, authority, additional []replay.Record) []replay.Output {
	m := replay.Message{ID: w.query.ID, Flags: wire.FlagQR | wire.FlagRA | w.query.Flags&wire.FlagRD | rcode, OPT: w.query.OPT}
	m.Records = [4][]replay.Record{w.query.Records[0], w.answer, authority, additional}
	return []replay.Output{{Kind: replay.Answer, To: w.client.From, TCP: w.client.TCP, Msg: m.Encode()}}
}
