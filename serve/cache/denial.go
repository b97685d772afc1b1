package cache

import (
	"bytes"
	"sort"
	"sync"

	"anyu/dns/denial"
	"anyu/dns/message"
	"anyu/dns/wire"
)

const (
	// denialShare is the part of the room that proofs of denial may take.
	denialShare = 16
	// maxIterations of NSEC3 chains that are kept: each question that is not in the cache may cost several hashes.
	maxIterations = denial.DefaultIterations
	// denyHashes bounds the hashes of one Deny, gathering and proof together: a name of many labels is given up (CVE-2023-50868).
	denyHashes = 24
	noReason   = 0xFFFF // event.NoReason
)

// denials are validated NSEC and NSEC3 records by zone, in order, for the aggressive use of RFC 8198. Only questions that the cache
// has no answer to come here, so a lock is good enough; it is held for reading but while a proof is added.
type denials struct {
	mu    sync.RWMutex
	zones map[string]*proofs // by name in lower case
	size  int64
	bound int64
}

// proofs of one zone: records in canonical order of their keys, which are a kind (NSEC, NSEC3) and the place in the chain. Records are octets in
// blocks, with no pointer for each.
type proofs struct {
	zone    wire.Name
	refs    []uint32 // block << 16 | offset
	blocks  [][]byte // the last is being filled
	size    int64    // of blocks, with what is replaced
	live    int64
	soa     []byte // as appendSet writes it
	soaEnds uint32
	salt    []byte // of the NSEC3 chain, and its iterations
	rounds  int
}

const (
	chainNSEC = iota
	chainNSEC3

	firstBlock = 1 << 10
	lastBlock  = 1 << 16
	proofCost  = 256 // of a zone, for the map and the struct
)

// A proof in a block: expires 4 | length of key 2 | length of RRset 2 | key | RRset.
const proofHeader = 8

func (d *denials) configure(bound int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.bound = bound
	d.shrink(0)
}

func (d *denials) clear() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.zones, d.size = nil, 0
}

func (d *denials) count() (n int) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for _, p := range d.zones {
		n += len(p.refs)
	}
	return n
}

func (d *denials) bytes() int64 {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.size
}

// flush forgets the proofs that may concern a name: those of the zone it is in, and with subtree of the zones below it.
func (d *denials) flush(name wire.Name, subtree bool) (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p := d.closest(name); p != nil {
		n += d.drop(p)
	}
	if subtree {
		for _, p := range d.zones {
			if p.zone.IsSubdomainOf(name) {
				n += d.drop(p)
			}
		}
	}
	return n
}

func (d *denials) drop(p *proofs) int {
	d.size -= p.cost()
	delete(d.zones, string(p.zone))
	return len(p.refs)
}

func (p *proofs) cost() int64 { return p.size + int64(4*cap(p.refs)+len(p.soa)+proofCost) }

// closest is the zone nearest above a name in lower case, or at it.
func (d *denials) closest(name wire.Name) *proofs {
	for {
		if p := d.zones[string(name)]; p != nil {
			return p
		}
		if name.IsRoot() {
			return nil
		}
		name = name[1+int(name[0]):]
	}
}

// PutDenial keeps an NSEC or NSEC3 RRset that was validated as that zone's, with the zone's SOA, validated too, for Deny. It must not be
// the expansion of a wildcard. Their TTLs must not reach beyond the end of their signatures (RFC 4035, Section 5.3.3).
//
// soa may be nil, as beside an answer from a wildcard: then the record counts for Expand, and for Deny once the SOA is known.
//
// What proves nothing, or hardly anything (a record that was made for one name: RFC 9824, RFC 4470), is not kept.
func (v Since) PutDenial(zone wire.Name, set, soa *message.RRset, now int64) {
	c := v.cache
	var room [2*wire.MaxName + 1]byte
	zone = wire.Name(zone.AppendLower(nil))
	key, n3, ok := proofKey(room[:0], zone, set)
	if !ok || soa != nil && (soa.Type != wire.TypeSOA || !soa.Name.Equal(zone) || len(soa.Data) != 1) {
		return
	}
	at, limit := seconds(now), c.config.Load().MaxNegativeTTL
	data := appendSet(nil, set, zone)
	if len(data) > lastBlock/4 {
		return
	}
	// RFC 9077, Section 3: neither lives longer than the lesser of the SOA's TTL and its MINIMUM.
	negative := limit
	if soa != nil {
		negative = min(soa.TTL, message.SOAMinimum(soa.Data[0]), limit)
	}
	d := &c.denials
	d.mu.Lock()
	defer d.mu.Unlock()
	if v.over() {
		return
	}
	p := d.zones[string(zone)]
	if p == nil {
		p = &proofs{zone: zone}
		if d.zones == nil {
			d.zones = make(map[string]*proofs)
		}
		d.zones[string(zone)] = p
	} else {
		d.size -= p.cost()
	}
	if key[0] == chainNSEC3 {
		p.follow(n3)
	}
	if soa != nil {
		p.soa, p.soaEnds = appendSet(p.soa[:0], soa, zone), at+negative
	}
	p.put(key, data, at+min(set.TTL, negative))
	d.size += p.cost()
	d.shrink(at)
}

// proofKey is the place of a record in its zone's chain.
func proofKey(dst []byte, zone wire.Name, set *message.RRset) (key []byte, n3 *denial.NSEC3, ok bool) {
	if n, ok := denial.ReadNSEC(set, zone); ok {
		// RFC 9824, RFC 4470: the next name is the one right behind the owner.
		if len(n.Next) == len(n.Owner)+2 && n.Next[0] == 1 && n.Next[1] == 0 && n.Next[2:].Equal(n.Owner) {
			return nil, nil, false
		}
		return wire.AppendKey(append(dst, chainNSEC), n.Owner, zone), nil, true
	}
	// RFC 5155, Section 7.1, appendix B of RFC 7129: an online signer's hashes minus and plus one. RFC 8198, Section 5.2: opt-out denies nothing.
	n, ok := denial.ReadNSEC3(set, zone)
	if !ok || n.Iterations > maxIterations || bytes.Equal(n.Owner[:16], n.Next[:16]) {
		return nil, nil, false
	}
	return append(append(dst, chainNSEC3), n.Owner[:]...), &n, true
}

// follow makes n's chain the one that is kept: records of the chain before it do not fit it (RFC 5155, Section 8.2).
func (p *proofs) follow(n *denial.NSEC3) {
	if p.rounds == n.Iterations && bytes.Equal(p.salt, n.Salt) {
		return
	}
	p.salt, p.rounds = append([]byte(nil), n.Salt...), n.Iterations
	p.keep(func(key []byte, _ uint32) bool { return key[0] != chainNSEC3 })
}

func (p *proofs) at(ref uint32) (key, data []byte, expires uint32) {
	b := p.blocks[ref>>16][ref&0xFFFF:]
	k, n := int(b[4])|int(b[5])<<8, int(b[6])|int(b[7])<<8
	expires = uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
	return b[proofHeader : proofHeader+k], b[proofHeader+k : proofHeader+k+n], expires
}

// search returns the place of a key, or where it would be.
func (p *proofs) search(key []byte) (int, bool) {
	i := sort.Search(len(p.refs), func(i int) bool {
		k, _, _ := p.at(p.refs[i])
		return bytes.Compare(k, key) >= 0
	})
	if i == len(p.refs) {
		return i, false
	}
	k, _, _ := p.at(p.refs[i])
	return i, bytes.Equal(k, key)
}

func (p *proofs) put(key, data []byte, expires uint32) {
	i, held := p.search(key)
	if held {
		k, old, _ := p.at(p.refs[i])
		p.live -= int64(proofHeader + len(k) + len(old))
	}
	ref := p.write(key, data, expires)
	if held {
		p.refs[i] = ref
	} else {
		p.refs = append(p.refs, 0)
		copy(p.refs[i+1:], p.refs[i:])
		p.refs[i] = ref
	}
	if p.size > 4*firstBlock && p.live*2 < p.size {
		p.keep(func([]byte, uint32) bool { return true })
	}
}

func (p *proofs) write(key, data []byte, expires uint32) uint32 {
	need := proofHeader + len(key) + len(data)
	last := len(p.blocks) - 1
	if last < 0 || cap(p.blocks[last])-len(p.blocks[last]) < need {
		size := firstBlock
		if last >= 0 {
			size = min(2*cap(p.blocks[last]), lastBlock)
		}
		for size < need {
			size *= 2
		}
		p.blocks = append(p.blocks, make([]byte, 0, size))
		p.size += int64(size)
		last++
	}
	off := len(p.blocks[last])
	b := append(p.blocks[last], byte(expires), byte(expires>>8), byte(expires>>16), byte(expires>>24),
		byte(len(key)), byte(len(key)>>8), byte(len(data)), byte(len(data)>>8))
	p.blocks[last] = append(append(b, key...), data...)
	p.live += int64(need)
	return uint32(last)<<16 | uint32(off)
}

// keep writes the zone's proofs anew, those that wanted says.
func (p *proofs) keep(wanted func(key []byte, expires uint32) bool) {
	old := *p
	p.refs, p.blocks, p.size, p.live = nil, nil, 0, 0
	for _, ref := range old.refs {
		if key, data, expires := old.at(ref); wanted(key, expires) {
			p.refs = append(p.refs, p.write(key, data, expires))
		}
	}
}

// shrink holds the bound: the zone with the most gives up what is over and then the half that ends first, so that one zone, and be it an
// attacker's, cannot push out the others.
func (d *denials) shrink(now uint32) {
	for d.size > d.bound && len(d.zones) > 0 {
		var most *proofs
		for _, p := range d.zones {
			if most == nil || p.cost() > most.cost() || p.cost() == most.cost() && string(p.zone) < string(most.zone) {
				most = p
			}
		}
		if len(most.refs) < 16 { // many small zones: any of them
			d.drop(most)
			continue
		}
		ends := make([]uint32, len(most.refs))
		for i, ref := range most.refs {
			_, _, ends[i] = most.at(ref)
		}
		sort.Slice(ends, func(i, j int) bool { return ends[i] < ends[j] })
		middle := max(ends[len(ends)/2], now)
		later := len(ends) - sort.Search(len(ends), func(i int) bool { return ends[i] > middle })
		equal := len(ends)/2 - later // of those that end with the middle one so many may stay
		d.size -= most.cost()
		most.keep(func(_ []byte, expires uint32) bool {
			if expires == middle {
				equal--
			}
			return expires > middle || expires == middle && equal >= 0
		})
		d.size += most.cost()
	}
}
