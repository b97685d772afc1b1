package scene

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/event"
	"anyu/serve/filter"
	"anyu/serve/local"
)

// local takes a step about local data: a record, a rule, or the end of all. The machine has it as by a reload.
func (w *world) local(words []string) {
	l := &w.plan.local
	switch {
	case words[0] == "unlocal":
		*l = local.Config{}
	case words[0] == "local":
		l.Records = append(slices.Clip(l.Records), w.record(strings.Join(words[1:], " "), wire.Root()))
	case len(words) >= 3:
		l.Rules = append(slices.Clip(l.Rules), w.rule(words[1:]))
	default:
		w.fail("a rule has a name and an answer")
	}
	if w.machine != nil {
		w.machine.configure(w.plan)
	}
}

func (w *world) record(text string, origin wire.Name) local.Record {
	r, err := zone.ParseRecord(text, origin)
	if err != nil {
		w.fail("%s: %v", text, err)
	}
	return local.Record(r)
}

// rule reads NAME ANSWER [types=TYPE,...] [clients=PREFIX] [reason=N] [RECORD / RECORD ...].
func (w *world) rule(words []string) local.Rule {
	r := local.Rule{Name: w.parse(words[0]), Reason: event.NoReason}
	var ok bool
	if r.Action, ok = local.ParseAction(words[1]); !ok {
		w.fail("no rule answers %s", words[1])
	}
	words = words[2:]
	for ; len(words) > 0; words = words[1:] {
		key, value, is := strings.Cut(words[0], "=")
		if !is {
			break
		}
		switch key {
		case "types":
			for text := range strings.SplitSeq(value, ",") {
				t, _ := wire.ParseType(text)
				r.Types = append(r.Types, t)
			}
		case "clients":
			list := filter.NewACL([]netip.Prefix{netip.MustParsePrefix(value)})
			r.Clients = &list
		case "reason":
			n, _ := strconv.Atoi(value)
			r.Reason = uint16(n)
		default:
			w.fail("a rule has no word %s", key)
		}
	}
	if len(words) > 0 {
		for text := range strings.SplitSeq(strings.Join(words, " "), " / ") {
			r.Records = append(r.Records, w.record(text, r.Name))
		}
	}
	return r
}
