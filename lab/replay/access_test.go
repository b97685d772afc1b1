package replay

import (
	"net/netip"
	"testing"
)

// The narrowest prefix decides who may ask.
func TestAccess_theNarrowestPrefixDecides(t *testing.T) {
	s := &Settings{Access: []Access{{netip.MustParsePrefix("20.0.0.0/8"), "allow"}, {netip.MustParsePrefix("20.40.0.0/16"), "refuse"},
		{netip.MustParsePrefix("20.40.80.0/24"), "allow"}, {netip.MustParsePrefix("20.50.0.0/16"), "refuse_non_local"},
		{netip.MustParsePrefix("20.60.0.0/16"), "deny"}, {netip.MustParsePrefix("20.60.7.0/24"), "allow"}}}
	ask, p, err := access(s)
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string][2]bool{"20.1.1.1": {true, true}, "20.40.1.1": {false, false}, "20.40.80.1": {true, true}, "20.39.255.255": {true, true},
		"20.41.0.0": {true, true}, "20.50.0.1": {true, false}, "21.0.0.1": {false, false}, "20.60.7.1": {true, true}, "127.0.0.1": {true, true}} {
		a := netip.MustParseAddr(addr)
		if p.ignored.Contains(a) {
			t.Errorf("%s is ignored", addr)
		}
		if got := [2]bool{ask.Contains(a), p.recurse.Contains(a)}; got != want {
			t.Errorf("%s: %v, want %v", addr, got, want)
		}
	}
	if !p.ignored.Contains(netip.MustParseAddr("20.60.8.1")) {
		t.Error("who is denied gets a reply")
	}
}
