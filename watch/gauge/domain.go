package gauge

import (
	"unsafe"

	"golang.org/x/net/publicsuffix"
)

// domains finds registered domains. The library allocates for each name that is no address, so what it said is kept for the names that came last.
type domains struct {
	text [256]byte
	kept [1 << 11]domainAt
}

type domainAt struct {
	hash uint64 // of the whole name
	skip uint8  // octets before the domain
}

// of is the registered domain of a name whose hash is given.
func (d *domains) of(hash uint64, name []byte) []byte {
	k := &d.kept[hash%uint64(len(d.kept))]
	if k.hash != hash || int(k.skip) >= len(name) {
		k.hash, k.skip = hash, uint8(len(name)-len(d.registered(name)))
	}
	return name[k.skip:]
}

// registered is the part of a name, in lower case and wire form, that was registered: the public suffix and one label more. A suffix itself
// stays as it is. The list is the one that golang.org/x/net brings; a name under no known suffix counts by its last two labels.
func (d *domains) registered(name []byte) []byte {
	text := &d.text
	length := 0
	for at := 0; at < len(name) && name[at] != 0; {
		label := name[at+1 : min(at+1+int(name[at]), len(name))]
		if length > 0 {
			text[length] = '.'
			length++
		}
		for _, c := range label {
			if !hostLike(c) {
				c = '?' // a dot within a label is no border; the length is what counts
			}
			text[length] = c
			length++
		}
		at += 1 + len(label)
	}
	if length == 0 {
		return name
	}
	// The library only reads it, and what it gives back is a part of it.
	whole := unsafe.String(&text[0], length)
	domain, err := publicsuffix.EffectiveTLDPlusOne(whole)
	if err != nil {
		return name // a suffix itself
	}
	// Text and wire form have a label's first character at the same distance but for the first length: its own length octet stands before it.
	return name[length-len(domain):]
}

func hostLike(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c >= 0x80
}
