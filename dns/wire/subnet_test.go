package wire_test

import (
	"testing"

	"anyu/dns/wire"
)

// RFC 7871, Section 6: the address has as many octets as its prefix needs, none more.
func TestQuery_readsClientSubnets(t *testing.T) {
	for _, c := range []struct {
		option string
		addr   string
		bits   uint8
		ok     bool
	}{
		{"\x00\x01\x18\x00\xC0\x00\x02", "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xFF\xFF\xC0\x00\x02\x00", 24, true},
		{"\x00\x02\x38\x00\x20\x01\x0d\xb8\x00\x00\x07", "\x20\x01\x0d\xb8\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00", 56, true},
		{"\x00\x01\x00\x00", "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xFF\xFF\x00\x00\x00\x00", 0, true}, // Section 7.1.2: not to be told on
		{"\x00\x01\x18\x00\xC0\x00", "", 0, false},
		{"\x00\x01\x21\x00\xC0\x00\x02\x01\x01", "", 0, false},
		{"\x00\x03\x08\x00\xC0", "", 0, false},
		{"\x00\x01\x18", "", 0, false},
	} {
		msg := "\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01" + "\x01a\x00\x00\x01\x00\x01" +
			"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00" + string(rune(len(c.option)+4)) + "\x00\x08\x00" + string(rune(len(c.option))) + c.option
		var q wire.Query
		if v := q.Read([]byte(msg)); v != wire.Good {
			t.Fatalf("%x: verdict %d", c.option, v) // nothing depends on it, so nothing is refused for it
		}
		addr, bits, ok := q.ClientSubnet()
		if ok != c.ok || ok && (string(addr[:]) != c.addr || bits != c.bits) {
			t.Errorf("%x: %x/%d %v", c.option, addr, bits, ok)
		}
	}
}
