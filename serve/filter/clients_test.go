package filter_test

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"anyu/serve/filter"
)

func newClients(edit func(*filter.ClientsConfig)) *filter.Clients {
	c := filter.ClientsConfig{PerSecond: 10, Burst: 20, Slip: 2, Bits4: 32, Bits6: 56}
	if edit != nil {
		edit(&c)
	}
	return filter.NewClients(c, [2]uint64{0xd1342543de82ef95, 0x2545f4914f6cdd1d})
}

const second = int64(time.Second)

// A burst passes, then the rate; what was not used in a long pause is not saved up beyond the burst.
func TestClients_burstThenRate(t *testing.T) {
	c := newClients(nil)
	from := netip.MustParseAddr("192.0.2.1")
	count := func(n int, at, step int64) (passed int) {
		for i := range n {
			if c.Allow(from, false, at+int64(i)*step) == filter.Within {
				passed++
			}
		}
		return passed
	}
	start := 1_800_000_000 * second
	if n := count(100, start, 0); n != 20 {
		t.Errorf("at once: %d passed", n)
	}
	if n := count(1000, start+1, second/100); n < 99 || n > 101 {
		t.Errorf("ten seconds at a hundred a second: %d passed", n)
	}
	if n := count(1000, start+1000*second, 0); n != 20 {
		t.Errorf("after a long pause: %d passed", n)
	}
}

// A clock that is set back shuts nobody out, neither does the end of the nine years after which times begin anew.
func TestClients_standsAClockThatIsSetBack(t *testing.T) {
	const year = 365 * 24 * 3600 * second
	for _, x := range []struct{ before, after int64 }{
		{1_800_000_000 * second, 1_800_000_000*second - 3600*second},
		{1_800_000_000 * second, 1_800_000_000*second - 8*year},
		{7<<48*1000 - second, 7 << 48 * 1000},
	} {
		c := newClients(nil)
		flood := func(now int64) (passed int) {
			for range 100 {
				if c.Allow(netip.MustParseAddr("192.0.2.1"), false, now) == filter.Within {
					passed++
				}
			}
			return passed
		}
		if n := flood(x.before); n != 20 {
			t.Errorf("before: %d passed", n)
		}
		if n := flood(x.after); n < 8 || n > 20 {
			t.Errorf("from %d to %d: %d passed", x.before, x.after, n)
		}
		if n := flood(x.after + 100*second); n != 20 {
			t.Errorf("100 seconds after %d: %d passed", x.after, n)
		}
	}
}

// One prefix is one client; others, and the exempt, are not touched.
func TestClients_countsByPrefix(t *testing.T) {
	c := newClients(func(c *filter.ClientsConfig) {
		c.Exempt = filter.NewACL([]netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")})
	})
	now := 1_800_000_000 * second
	flood := func(from string) (passed int) {
		for range 100 {
			if c.Allow(netip.MustParseAddr(from), false, now) == filter.Within {
				passed++
			}
		}
		return passed
	}
	for _, x := range []struct {
		from string
		want int
	}{
		{"192.0.2.1", 20}, {"192.0.2.2", 20}, {"::ffff:192.0.2.1", 0}, {"2001:db8:0:11::1", 20}, {"2001:db8:0:22::1", 0}, {"2001:db8:0:122::1", 20},
		{"198.51.100.9", 100}, {"127.0.0.1", 100}, {"::1", 100},
	} {
		if n := flood(x.from); n != x.want {
			t.Errorf("%s: %d passed, want %d", x.from, n, x.want)
		}
	}
	over := c.Over()
	if over.Dropped != 260 || over.Truncated != 260 || over.Refused != 0 {
		t.Errorf("%+v", over)
	}
	worst := c.Worst()
	if len(worst) != 4 || worst[0].Count != 180 || worst[1].Count != 180 || worst[3].Count != 80 {
		t.Errorf("%v", worst)
	}
	if p := worst[0].Prefix.String(); p != "192.0.2.1/32" {
		t.Errorf("the worst is %s", p)
	}
	if p := worst[1].Prefix.String(); p != "2001:db8::/56" {
		t.Errorf("the second is %s", p)
	}
	c.Forget()
	if len(c.Worst()) != 0 {
		t.Error("not forgotten")
	}
}

// Who forges a client's address over UDP does not use up what the client may ask with a cookie or over TCP; that has its own limit, and is told.
func TestClients_proofHasItsOwnCount(t *testing.T) {
	c := newClients(nil)
	from, now := netip.MustParseAddr("192.0.2.1"), 1_800_000_000*second
	for range 1000 {
		c.Allow(from, false, now)
	}
	passed := 0
	for range 100 {
		switch c.Allow(from, true, now) {
		case filter.Within:
			passed++
		case filter.Refuse:
		default:
			t.Fatal("who has proved its address is left without an answer")
		}
	}
	if passed != 20 {
		t.Errorf("%d passed", passed)
	}
}

// Many sources at a time: memory is fixed, and a quiet client is answered throughout.
func TestClients_manySourcesLeaveAQuietOneAlone(t *testing.T) {
	c := newClients(nil)
	quiet, now := netip.MustParseAddr("203.0.113.5"), 1_800_000_000*second
	for i := range 1 << 18 {
		c.Allow(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), false, now+int64(i)*1000)
		if i%50_000 == 0 && c.Allow(quiet, false, now+int64(i)*1000) != filter.Within {
			t.Fatalf("after %d others the quiet one is limited", i)
		}
	}
}

// Workers share the table: the limit is that of all together.
func TestClients_isOneLimitForAllWorkers(t *testing.T) {
	c := newClients(func(c *filter.ClientsConfig) { c.PerSecond, c.Burst = 1000, 1000 })
	from, now := netip.MustParseAddr("192.0.2.1"), 1_800_000_000*second
	var workers sync.WaitGroup
	passed := make([]int, 4)
	for w := range passed {
		workers.Go(func() {
			for range 2000 {
				if c.Allow(from, false, now) == filter.Within {
					passed[w]++
				}
			}
		})
	}
	workers.Wait()
	if sum := passed[0] + passed[1] + passed[2] + passed[3]; sum != 1000 {
		t.Errorf("%d passed", sum)
	}
}

func TestClients_allocateNothing(t *testing.T) {
	c := newClients(nil)
	from, now := netip.MustParseAddr("2001:db8::1"), 1_800_000_000*second
	if n := testing.AllocsPerRun(1000, func() { c.Allow(from, false, now) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkClients(b *testing.B) {
	c := newClients(func(c *filter.ClientsConfig) { c.PerSecond, c.Burst = 1_000_000, 1_000_000 })
	now := 1_800_000_000 * second
	for i := range b.N {
		c.Allow(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), false, now+int64(i)*1000)
	}
}
