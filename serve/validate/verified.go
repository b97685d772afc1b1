package validate

import (
	"crypto/sha256"
	"encoding/binary"
	"sync/atomic"

	"anyu/dns/dnssec"
	"anyu/dns/message"
)

// verifiedTable remembers signatures that were computed and hold, by a hash over key, signature and data: a zone's SOA comes with
// every denial, and a check costs a hundred times the hash. Dates are no part of it; they are looked at each time. Writers may meet
// in a slot and leave a mixture, which is the hash of nothing.
type verifiedTable struct {
	slots [verifiedSlots][4]atomic.Uint64
}

// verifiedSlots is 256 KiB: the last thousands of signatures.
const verifiedSlots = 8192

type verifiedSum [4]uint64

func (t *verifiedTable) has(s verifiedSum) bool {
	slot := &t.slots[s[0]%verifiedSlots]
	for i := range s {
		if slot[i].Load() != s[i] {
			return false
		}
	}
	return true
}

func (t *verifiedTable) put(s verifiedSum) {
	slot := &t.slots[s[0]%verifiedSlots]
	for i := range s {
		slot[i].Store(s[i])
	}
}

// sum is the hash over all that a check looks at. Each part has its length before it.
func (c *call) sum(s *message.RRset, sig *dnssec.Signature, k *key) verifiedSum {
	b := append(c.room[:0], k.sum[:]...)
	b = binary.BigEndian.AppendUint16(b, uint16(s.Type))
	b = binary.BigEndian.AppendUint16(b, uint16(s.Class))
	b = append(b, uint8(sig.Algorithm), sig.Labels)
	b = binary.BigEndian.AppendUint32(b, sig.OriginalTTL)
	b = binary.BigEndian.AppendUint32(b, sig.Expiration)
	b = binary.BigEndian.AppendUint32(b, sig.Inception)
	b = binary.BigEndian.AppendUint16(b, sig.Tag)
	b = s.Name.AppendLower(b) // names end themselves
	b = sig.Signer.AppendLower(b)
	b = binary.BigEndian.AppendUint32(b, uint32(len(sig.Octets)))
	b = append(b, sig.Octets...)
	for _, d := range s.Data {
		b = binary.BigEndian.AppendUint32(b, uint32(len(d)))
		b = append(b, d...)
	}
	c.room = b
	h := sha256.Sum256(b)
	var v verifiedSum
	for i := range v {
		v[i] = binary.BigEndian.Uint64(h[8*i:])
	}
	return v
}
