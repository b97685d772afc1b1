package filter_test

import (
	"encoding/hex"
	"hash/maphash"
	"net/netip"
	"testing"

	"anyu/serve/filter"
)

func TestACL_contains(t *testing.T) {
	a := filter.NewACL([]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("::/0")})
	for addr, want := range map[string]bool{"192.0.2.9": true, "192.0.3.1": false, "2001:db8::1": true, "::ffff:192.0.2.1": true, "::ffff:10.0.0.1": false} {
		if got := a.Contains(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
}

// RFC 9018, Appendix A: the examples, with their secret and times.
func TestCookies_rfc9018Examples(t *testing.T) {
	secret := func(s string) (k filter.Secret) {
		b, _ := hex.DecodeString(s)
		copy(k[:], b)
		return
	}
	first := secret("e5e973e5a6b2a43f48e7dc849e37bfcf")
	for _, c := range []struct {
		name, option, from, want string
		key                      filter.Secret
		now                      int64
		state                    filter.CookieState
	}{
		{"A.1 learning", "2464c4abcf10c957", "198.51.100.100", "2464c4abcf10c957010000005cf79f111f8130c3eee29480", first, 1559731985, filter.ClientCookie},
		{"A.2 renewing", "2464c4abcf10c957010000005cf79f111f8130c3eee29480", "198.51.100.100", "2464c4abcf10c957010000005cf7a871d4a564a1442aca77", first, 1559734385, filter.ValidCookie},
		{"A.3 another client, reserved bits set, over an hour old", "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5", "203.0.113.203", "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e", first, 1559734700, filter.ClientCookie},
	} {
		option, _ := hex.DecodeString(c.option)
		k := filter.Cookies{Current: c.key}
		from := netip.MustParseAddr(c.from)
		state := k.Check(option, from, c.now)
		if state != c.state {
			t.Errorf("%s: state %d", c.name, state)
		}
		if got := hex.EncodeToString(k.Append(nil, option, state, from, c.now)); got != c.want {
			t.Errorf("%s: got %s want %s", c.name, got, c.want)
		}
	}
}

// RFC 9018, Section 4.4: the reserved octets are hashed as they came.
func TestCookies_hashesReserved(t *testing.T) {
	var k filter.Cookies
	b, _ := hex.DecodeString("e5e973e5a6b2a43f48e7dc849e37bfcf")
	copy(k.Current[:], b)
	option, _ := hex.DecodeString("fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5")
	if s := k.Check(option, netip.MustParseAddr("203.0.113.203"), 1559728000); s != filter.ValidCookie {
		t.Errorf("state %d", s)
	}
}

func TestCookies_refusesOldForgedAndOthers(t *testing.T) {
	k := filter.Cookies{Current: filter.Secret{1}}
	from := netip.MustParseAddr("2001:db8::1")
	good := k.Append(nil, make([]byte, 8), filter.ClientCookie, from, 10000)
	if k.Check(good, from, 10000) != filter.ValidCookie {
		t.Fatal("own cookie refused")
	}
	if k.Check(good, from, 10000+3601) == filter.ValidCookie || k.Check(good, from, 10000-301) == filter.ValidCookie {
		t.Error("old or future cookie accepted")
	}
	if k.Check(good, netip.MustParseAddr("2001:db8::2"), 10000) == filter.ValidCookie {
		t.Error("cookie of another address accepted")
	}
	rolled := filter.Cookies{Current: filter.Secret{2}, Previous: filter.Secret{1}}
	if rolled.Check(good, from, 10000) != filter.ValidCookie {
		t.Error("cookie of the previous secret refused")
	}
}

func TestRate_limitsOneNetworkAndRecovers(t *testing.T) {
	r := filter.NewRate(10, 2, maphash.MakeSeed())
	victim, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("198.51.100.1")
	count := func(a netip.Addr, n int, now int64) (pass, slip int) {
		for range n {
			switch r.Allow(a, filter.Positive, []byte("\x01a\x00"), now) {
			case filter.Pass:
				pass++
			case filter.Slip:
				slip++
			}
		}
		return
	}
	if pass, slip := count(victim, 100, 5000); pass != 10 || slip != 45 {
		t.Errorf("first second: %d passed, %d slipped", pass, slip)
	}
	if pass, _ := count(other, 5, 5000); pass != 5 {
		t.Errorf("another network: %d passed", pass)
	}
	if pass, _ := count(netip.MustParseAddr("192.0.2.77"), 5, 5000); pass != 0 {
		t.Errorf("same network: %d passed", pass)
	}
	if pass, _ := count(victim, 100, 7000); pass != 10 {
		t.Errorf("after the flood: %d passed", pass)
	}
	// A steady rate at the limit passes whole.
	passed := 0
	for i := range int64(100) {
		p, _ := count(victim, 1, 20000+i*100)
		passed += p
	}
	if passed != 100 {
		t.Errorf("steady: %d of 100 passed", passed)
	}
}

// Workers count their batches out of order: an older time must not empty the bucket.
func TestRate_olderTimeFreesNothing(t *testing.T) {
	r := filter.NewRate(1000, 0, maphash.MakeSeed())
	victim := netip.MustParseAddr("192.0.2.1")
	passed := 0
	for i := range 4000 {
		if r.Allow(victim, filter.Failure, nil, 5000-int64(i%2)) == filter.Pass {
			passed++
		}
	}
	if passed != 1000 {
		t.Errorf("%d passed in one second", passed)
	}
}

func TestRate_leavesLoopbackAlone(t *testing.T) {
	r := filter.NewRate(1, 0, maphash.MakeSeed())
	for range 10 {
		if r.Allow(netip.MustParseAddr("127.0.0.1"), filter.Failure, nil, 1) != filter.Pass {
			t.Fatal("limited")
		}
	}
}

func TestFilter_allocatesNothing(t *testing.T) {
	r := filter.NewRate(1, 2, maphash.MakeSeed())
	k := filter.Cookies{}
	from := netip.MustParseAddr("192.0.2.1")
	option := make([]byte, 8)
	var out [64]byte
	if n := testing.AllocsPerRun(100, func() {
		r.Allow(from, filter.Negative, option, 1)
		k.Append(out[:0], option, k.Check(option, from, 1), from, 1)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
