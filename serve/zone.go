package serve

import (
	"anyu/dns/wire"
	"anyu/event"
	"anyu/serve/authority"
	"anyu/serve/fast"
	"anyu/serve/filter"
	"anyu/serve/listen"
)

// INFO-CODEs we send (RFC 8914, Section 4).
const (
	reasonOther            = 0
	reasonNotReady         = 14
	reasonProhibited       = 18
	reasonNotAuthoritative = 20
	reasonNotSupported     = 21
	reasonInvalidType      = 30
)

// fromZone answers from the closest zone that holds the name: one of ours, else one of those that are always there. The name is the one asked for,
// or where aliases of the operator's own have led.
func (w *Worker) fromZone(out []byte, name wire.Name) int {
	i := w.table.find(name, w.q.Type, w.lower[:0])
	if i < 0 && w.recursive {
		return w.deferred(out, name)
	}
	if i < 0 {
		w.decided(event.NotServed)
		return w.fail(out, wire.Refused, reasonNotAuthoritative, "not our zone")
	}
	z := &w.table.zones[i]
	// The DS of a local zone is its parent's (RFC 4035, Section 4.2), which proves that there is none.
	if z.Local && w.recursive && (w.q.Type == wire.TypeDS && name.Equal(z.Name) || w.opened || w.config.Recursion.opens(name, z.Name)) {
		return w.deferred(out, name)
	}
	if w.aliases > 0 && !z.Local && z.Allow == nil {
		return w.deferred(out, name) // the resolver asks the zone here, and follows where it leads
	}
	w.zone = z.Number
	switch {
	case z.Allow != nil && !z.Allow.Contains(w.from.Remote.Addr()):
		w.decided(event.ZoneNotAllowed)
		return w.fail(out, wire.Refused, reasonProhibited, "client not allowed")
	case z.Zone == nil:
		// A secondary that never loaded or has expired is still ours: SERVFAIL, not REFUSED. (case 39)
		w.via = event.FromAuthority
		n := w.fail(out, wire.ServFail, reasonNotReady, z.Why)
		if n >= wire.HeaderSize {
			out[2] |= wire.FlagAA >> 8 // RFC 1035, Section 4.1.1: the server is an authority for the name, whatever became of the zone
		}
		return n
	}
	w.via = event.FromAuthority
	if z.Local {
		w.via = event.FromLocal
	}
	return w.build(out, i, name)
}

// build makes the answer and, if it serves others as well, keeps it.
func (w *Worker) build(out []byte, i int, name wire.Name) int {
	z := &w.table.zones[i]
	w.builder.Reset(out[:w.limit:len(out)])
	w.builder.Question(w.q.Name, w.q.Type, w.q.Class)
	w.builder.Reserve(w.opt.Size())
	whole := w.putAliases()
	r := w.authority.Respond(z.Zone, name, w.q.Type, w.q.DO, w.from.Transport != event.UDP, &w.builder)
	w.rcode = r.Rcode
	if w.recursive && !r.AA && r.Rcode == wire.NoError {
		return w.deferred(out, name) // a referral: who asked for recursion wants to know what is behind it (RFC 1034, Section 4.3.1)
	}
	if n, limited := w.limited(out, w.kind(r.Rcode, r.AA), w.limitName(&r, z)); limited {
		return n
	}
	flags := wire.FlagQR | w.q.Flags&wire.FlagRD | uint16(r.Rcode&15)
	if r.AA || w.aliases > 0 { // RFC 1035, Section 4.1.1: it is about the first owner name
		flags |= wire.FlagAA
	}
	if w.aliases > 0 {
		w.explain(w.alias[0].reason, "")
	}
	if r.TC || !whole {
		flags |= wire.FlagTC
	}
	b := &w.builder
	n := b.Len()
	h := wire.Header{
		ID: w.q.ID, Flags: flags, QD: 1,
		AN: uint16(b.Count(wire.Answers)), NS: uint16(b.Count(wire.Authorities)), AR: uint16(b.Count(wire.Additionals)),
	}
	// ANY differs between UDP and streams. Answers about names that do not exist are not kept, see package fast.
	if w.keyed && w.aliases == 0 && r.Whole && r.Named && !z.Local && w.q.Type != wire.TypeANY {
		w.fast.Add(fast.Answer{
			Stamp: fast.Stamp{Zones: w.table.epoch, Zone: uint32(i), Version: z.version},
			Tag:   z.Number, Flags: flags &^ wire.FlagRD, AN: h.AN, NS: h.NS, AR: h.AR, Body: out[w.q.End:n],
		})
	}
	return w.finish(out, n, h)
}

// kind sorts an answer for rate limiting.
func (w *Worker) kind(rcode wire.Rcode, aa bool) filter.Kind {
	switch {
	case rcode == wire.NXDomain || rcode == wire.NoError && aa && w.builder.Count(wire.Answers) == 0:
		return filter.Negative
	case rcode != wire.NoError:
		return filter.Failure
	case !aa:
		return filter.Referral
	}
	return filter.Positive
}

// limitName is the name that answers are counted under. Random names must share a limit: it is the zone's where they do not
// exist, and that of the cut or the encloser where referrals and wildcards answer for all of them.
func (w *Worker) limitName(r *authority.Result, z *Zone) wire.Name {
	switch {
	case r.Rcode == wire.NXDomain:
		return z.Name
	case r.From != nil:
		return r.From
	}
	return w.q.Name
}

// otherClass: CH is for the identity of the server only, every other class is refused (case 64).
func (w *Worker) otherClass(out []byte) int {
	w.via = event.FromLocal
	if w.q.Class == wire.ClassCH && (w.q.Type == wire.TypeTXT || w.q.Type == wire.TypeANY) {
		if text := w.config.identity(w.q.Name); text != "" {
			if n, limited := w.limited(out, filter.Positive, w.q.Name); limited {
				return n
			}
			w.builder.Reset(out[:w.limit:len(out)])
			w.builder.Question(w.q.Name, w.q.Type, w.q.Class)
			w.builder.Reserve(w.opt.Size())
			aa := uint16(wire.FlagAA)
			if w.available {
				aa = 0 // a resolver speaks for itself, not for a zone
			}
			rdata := append(append(w.lower[:0], byte(len(text))), text...)
			w.builder.RR(wire.Answers, w.q.Name, wire.TypeTXT, wire.ClassCH, 0, rdata)
			h := wire.Header{ID: w.q.ID, Flags: wire.FlagQR | aa | w.q.Flags&wire.FlagRD, QD: 1, AN: uint16(w.builder.Count(wire.Answers))}
			return w.finish(out, w.builder.Len(), h)
		}
	}
	w.decided(event.NotServed)
	return w.fail(out, wire.Refused, reasonNotSupported, "")
}

// Stream implements listen.Streamer for zone transfers.
func (w *Worker) Stream(msg []byte, from *listen.Client, send func([]byte) error) error {
	return w.server.stream(msg, from, send)
}
