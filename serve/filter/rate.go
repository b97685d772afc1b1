package filter

import (
	"hash/maphash"
	"net/netip"
	"sync/atomic"
)

const (
	// rateSlots is the fixed size of the table, 8 octets a slot: an attack with many sources costs no memory.
	rateSlots = 1 << 16

	prefix4 = 24 // clients are limited by network: a reflection attack aims at a network (RRL technical note, 2012)
	prefix6 = 56
)

// Kind classes answers that are limited together.
type Kind uint8

const (
	Positive Kind = iota // by name: many different names are ordinary traffic
	Negative             // by zone: random names must not escape the limit
	Referral             // by delegation
	Failure              // all together
)

// Rate limits responses to a network that ask for the same thing (response rate limiting). It stops this server from
// being used to flood a spoofed victim: over the limit an answer is dropped, and every Slip-th one is sent truncated,
// so that a real client comes again over TCP.
//
// Each slot is a token bucket of one second: 32 bits of time in ms, 16 of tokens used, 16 of tag. Two keys that share a
// slot push each other out; that errs towards answering.
type Rate struct {
	PerSecond uint32 // answers of one kind to one network; 0 is no limit
	Slip      uint32 // every Slip-th limited answer is sent with TC; 0 never, 1 always

	seed  maphash.Seed
	slots []atomic.Uint64
	slips atomic.Uint32
}

// NewRate returns a limiter. Its seed is random so that slots cannot be aimed at.
func NewRate(perSecond, slip uint32, seed maphash.Seed) *Rate {
	return &Rate{PerSecond: perSecond, Slip: slip, seed: seed, slots: make([]atomic.Uint64, rateSlots)}
}

// Outcome of Rate.Allow.
type Outcome uint8

const (
	Pass Outcome = iota
	Slip
	DropIt
)

// Allow counts an answer of kind about name to a client. now is in ms. name is in lower case.
func (r *Rate) Allow(from netip.Addr, kind Kind, name []byte, now int64) Outcome {
	if r == nil || r.PerSecond == 0 || from.IsLoopback() {
		return Pass
	}
	h := r.key(from, kind, name)
	slot := &r.slots[h%rateSlots]
	tag := h >> 48
	for {
		old := slot.Load()
		used, next := r.spend(old, tag, uint32(now))
		if !slot.CompareAndSwap(old, next) {
			continue
		}
		if used <= r.PerSecond {
			return Pass
		}
		break
	}
	if r.Slip > 0 && r.slips.Add(1)%r.Slip == 0 {
		return Slip
	}
	return DropIt
}

// spend takes a token: the use of the past leaks away at PerSecond. It returns how much is in use, this answer included.
func (r *Rate) spend(old, tag uint64, now uint32) (uint32, uint64) {
	used := uint32(0)
	last := now
	if old>>48 == tag {
		last = uint32(old >> 16)
		used = uint32(old & 0xFFFF)
		passed := now - last
		if int32(passed) < 0 {
			passed = 0 // another worker's batch came later and was counted first
		} else if passed > 1000 {
			passed, last = 1000, now-1000
		}
		leaked := uint32(uint64(passed) * uint64(r.PerSecond) / 1000)
		if leaked >= used {
			used, last = 0, now
		} else if leaked > 0 {
			used -= leaked
			last += uint32(uint64(leaked) * 1000 / uint64(r.PerSecond))
		}
	}
	// No more than the limit is remembered: a network is free again one second after the flood ends.
	used++
	return used, tag<<48 | uint64(last)<<16 | uint64(min(used, r.PerSecond, 0xFFFF))
}

func (r *Rate) key(from netip.Addr, kind Kind, name []byte) uint64 {
	var b [18]byte
	from = from.Unmap()
	bits := prefix6
	if from.Is4() {
		bits = prefix4
	}
	p, err := from.Prefix(bits)
	if err == nil {
		a := p.Addr().As16()
		copy(b[:16], a[:])
	}
	b[16], b[17] = byte(kind), byte(len(name))
	var h maphash.Hash
	h.SetSeed(r.seed)
	h.Write(b[:])
	h.Write(name)
	return h.Sum64()
}
