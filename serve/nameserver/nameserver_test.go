package nameserver_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"anyu/dns/wire"
	"anyu/serve/nameserver"
)

const second = int64(time.Second)

var (
	one = netip.MustParseAddrPort("192.0.2.1:53")
	six = netip.MustParseAddrPort("[2001:db8::1]:53")
)

func server(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 53)
}

func name(t *testing.T, text string) wire.Name {
	t.Helper()
	n, err := wire.ParseName(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestLook_knowsNothingAtFirst(t *testing.T) {
	table := nameserver.New(nameserver.Config{})
	if s := table.Look(one, nil, 0); s != (nameserver.State{RTO: 376 * time.Millisecond}) {
		t.Errorf("got %+v", s)
	}
}

// RFC 6298, Section 2: the first measure gives SRTT = R and RTTVAR = R/2, later ones move them by an eighth and a quarter.
func TestAnswered_estimatesTheTime(t *testing.T) {
	table := nameserver.New(nameserver.Config{})
	table.Answered(one, wire.TypeA, 100*time.Millisecond, 0)
	if s := table.Look(one, nil, 0); !s.Known || s.RTT != 100*time.Millisecond || s.RTO != 300*time.Millisecond {
		t.Errorf("after the first: %+v", s)
	}
	table.Answered(one, wire.TypeA, 180*time.Millisecond, 0)
	// RTTVAR = 3/4*50 + 1/4*80 = 57.5, SRTT = 7/8*100 + 1/8*180 = 110
	if s := table.Look(one, nil, 0); s.RTT != 110*time.Millisecond || s.RTO != 340*time.Millisecond {
		t.Errorf("after the second: %+v", s)
	}
}

// RFC 6298, Section 5.5: each timeout doubles the time, and an answer ends that.
func TestTimedOut_doublesAndGoesDownAndComesBack(t *testing.T) {
	table := nameserver.New(nameserver.Config{})
	now := int64(0)
	for i, want := range []time.Duration{752, 1504, 3008, 6016, 12032, 24064} {
		s := table.Look(one, nil, now)
		if s.Down {
			t.Fatalf("down after %d timeouts", i)
		}
		now += int64(s.RTO)
		table.TimedOut(one, wire.TypeA, s.RTO, now)
		if s = table.Look(one, nil, now); s.RTO != want*time.Millisecond || s.Timeouts != i+1 {
			t.Fatalf("after %d: %+v", i+1, s)
		}
	}
	if s := table.Look(one, nil, now); !s.Down || s.Probe {
		t.Fatalf("got %+v", s)
	}
	if table.Begin(one, 0, now) {
		t.Fatal("a server that is down was asked at once")
	}
	now += 23 * second
	if !table.Begin(one, 0, now) || table.Begin(one, 0, now) {
		t.Fatal("want one query to find out, and no second")
	}
	table.Answered(one, wire.TypeA, 20*time.Millisecond, now)
	table.End(one)
	if s := table.Look(one, nil, now); s.Down || s.Timeouts != 0 || s.RTO != 60*time.Millisecond || s.Outstanding != 0 {
		t.Errorf("after an answer: %+v", s)
	}
}

func TestTimedOut_countsQueriesSideBySideOnce(t *testing.T) {
	table := nameserver.New(nameserver.Config{})
	for range 10 {
		table.TimedOut(one, wire.TypeA, 376*time.Millisecond, second)
	}
	if s := table.Look(one, nil, second); s.Timeouts != 1 {
		t.Errorf("got %+v", s)
	}
}

func TestLook_forgetsAfterTheTTL(t *testing.T) {
	table := nameserver.New(nameserver.Config{TTL: time.Minute})
	for range 10 {
		table.TimedOut(one, wire.TypeA, time.Hour, 0)
	}
	if s := table.Look(one, nil, 60*second); !s.Down {
		t.Errorf("within: %+v", s)
	}
	if s := table.Look(one, nil, 61*second); s.Down || s.Timeouts != 0 || s.RTO != 376*time.Millisecond {
		t.Errorf("after: %+v", s)
	}
}

// u/iter_timeout_ra_aaaa: a server that drops AAAA questions still answers A.
func TestTimedOut_ofOneTypeSparesTheOthers(t *testing.T) {
	table := nameserver.New(nameserver.Config{TTL: time.Hour})
	table.Answered(one, wire.TypeA, 10*time.Millisecond, 0)
	for i := range int64(20) {
		table.TimedOut(one, wire.TypeAAAA, time.Minute, i*second)
	}
	s := table.Look(one, nil, 20*second)
	if !s.Drops(wire.TypeAAAA) || s.Drops(wire.TypeA) || s.Drops(wire.TypeMX) || s.Down {
		t.Errorf("got %+v", s)
	}
	table.Answered(one, wire.TypeA, 10*time.Millisecond, 1800*second)
	if s := table.Look(one, nil, 3620*second); s.Drops(wire.TypeAAAA) || !s.Known {
		t.Errorf("held against it for ever: %+v", s)
	}
}

// A server that is slow for a moment does not drop questions: it is asked again, with more time.
func TestTimedOut_aStumbleIsNoDropping(t *testing.T) {
	table := nameserver.New(nameserver.Config{})
	table.Answered(one, wire.TypeA, 10*time.Millisecond, 0)
	for i := range int64(3) {
		table.TimedOut(one, wire.TypeA, time.Minute, i*second/10)
	}
	if s := table.Look(one, nil, second/2); s.Drops(wire.TypeA) || s.RTO != 400*time.Millisecond {
		t.Errorf("got %+v", s)
	}
}

// servers.md 4, row 1: after an outage of our own network the servers are as good as before.
func TestOutage_isNobodysFault(t *testing.T) {
	table := nameserver.New(nameserver.Config{})
	for i := range 50 {
		table.Answered(server(i), wire.TypeA, 20*time.Millisecond, 0)
	}
	now := 60 * second
	for range 20 {
		for i := range 50 {
			table.TimedOut(server(i), wire.TypeA, time.Minute, now)
		}
		now += second
	}
	if !table.Outage() {
		t.Fatal("no outage was seen")
	}
	for i := range 50 {
		if s := table.Look(server(i), nil, now); s.Timeouts != 0 || s.Down {
			t.Fatalf("server %d: %+v", i, s)
		}
	}
	for i := range 3 {
		table.Answered(server(i), wire.TypeA, 20*time.Millisecond, now)
	}
	if table.Outage() {
		t.Error("the outage did not end")
	}
	if s := table.Look(server(40), nil, now); s.Timeouts != 0 || s.RTO > 100*time.Millisecond {
		t.Errorf("afterwards: %+v", s)
	}
}

func TestOutage_isNotFeignedByServersThatNeverAnswered(t *testing.T) {
	table := nameserver.New(nameserver.Config{})
	for i := range 1000 {
		table.TimedOut(server(i), wire.TypeA, time.Minute, second)
	}
	if table.Outage() {
		t.Error("phantom servers feigned an outage")
	}
	if s := table.Look(server(7), nil, second); s.Timeouts != 1 {
		t.Errorf("got %+v", s)
	}
}

// servers.md 4, row 3: broken IPv6 is noticed once, tried again later, and ends with the first answer.
func TestUnreachable_isLearnedForTheFamily(t *testing.T) {
	table := nameserver.New(nameserver.Config{})
	for i := range 3 {
		a := netip.AddrPortFrom(netip.AddrFrom16([16]byte{0x20, 1, 15: byte(i)}), 53)
		if s := table.Look(six, nil, 0); s.FamilyDown {
			t.Fatalf("down after %d", i)
		}
		table.Unreachable(a, 0)
		table.Unreachable(a, 0)
	}
	if s := table.Look(six, nil, 0); !s.FamilyDown || s.Unreachable {
		t.Errorf("got %+v", s)
	}
	if v4, v6 := table.Families(0); !v4 || v6 {
		t.Errorf("got %v, %v", v4, v6)
	}
	if s := table.Look(six, nil, 10*second); s.FamilyDown {
		t.Error("not tried again")
	}
	table.Unreachable(six, 10*second)
	if s := table.Look(six, nil, 29*second); !s.FamilyDown {
		t.Error("the time did not double")
	}
	table.Answered(six, wire.TypeA, time.Millisecond, 29*second)
	if s := table.Look(six, nil, 29*second); s.FamilyDown || s.Unreachable {
		t.Errorf("after an answer: %+v", s)
	}
}

func TestTimedOut_ofManyServersIsLearnedForTheFamilyWhenTheOtherWorks(t *testing.T) {
	table := nameserver.New(nameserver.Config{})
	table.Answered(one, wire.TypeA, time.Millisecond, 0)
	for i := range 8 {
		table.TimedOut(netip.AddrPortFrom(netip.AddrFrom16([16]byte{0x20, 1, 15: byte(i)}), 53), wire.TypeA, time.Second, second)
	}
	if s := table.Look(six, nil, second); !s.FamilyDown {
		t.Errorf("got %+v", s)
	}
}

// RFC 4697, Section 2.4; u/iter_lame_aaaa, u/iter_reclame_one.
func TestSetLame_isForOneZoneAndKind(t *testing.T) {
	table := nameserver.New(nameserver.Config{})
	table.SetLame(one, name(t, "Example."), nameserver.LameOther, 0)
	table.SetLame(one, name(t, "example."), nameserver.LameRecursive, 0)
	s := table.Look(one, name(t, "eXample."), 0)
	if s.LameFor(wire.TypeA) || !s.LameFor(wire.TypeAAAA) || !s.LameRecursive || s.DNSSECLame || s.Lame {
		t.Errorf("got %+v", s)
	}
	if s := table.Look(one, name(t, "example.org."), 0); s.LameOther || s.LameRecursive {
		t.Errorf("another zone: %+v", s)
	}
	if s := table.Look(one, name(t, "example."), 901*second); s.LameOther {
		t.Errorf("later: %+v", s)
	}
}

// RFC 6891, Section 7; CVE-2026-52690: a server is not asked without EDNS for ever, and hardly at all if it was seen with it.
func TestSetEDNS_isForgotten(t *testing.T) {
	table := nameserver.New(nameserver.Config{})
	for i := range int64(15) {
		table.SetEDNS(one, false, i*60*second)
	}
	if s := table.Look(one, nil, 14*60*second); !s.NoEDNS {
		t.Error("not learned")
	}
	if s := table.Look(one, nil, 15*60*second); s.NoEDNS {
		t.Error("repeating it prolonged it")
	}
	table.SetEDNS(one, true, 1000*second)
	table.SetEDNS(one, false, 1001*second)
	if s := table.Look(one, nil, 1001*second); !s.NoEDNS || !s.EDNS {
		t.Errorf("got %+v", s)
	}
	if s := table.Look(one, nil, 1062*second); s.NoEDNS {
		t.Error("a server seen with EDNS is asked without for more than a minute")
	}
}

// RFC 7873, Section 4: a server cookie has 8 to 32 octets.
func TestSetCookie_keepsValidOnes(t *testing.T) {
	table := nameserver.New(nameserver.Config{})
	client := [8]byte{1, 2, 3, 4, 5, 6, 7, 8}
	for n, want := range map[int]bool{0: false, 7: false, 8: true, 16: true, 32: true, 33: false} {
		if got := table.SetCookie(one, client, make([]byte, n), 0); got != want {
			t.Errorf("%d octets: %v", n, got)
		}
	}
	table.SetCookie(one, client, []byte("ABCDEFGHIJ"), 0)
	c, ok := table.Cookie(one, second)
	if got := c.Append(nil); !ok || !bytes.Equal(got, []byte("\x01\x02\x03\x04\x05\x06\x07\x08ABCDEFGHIJ")) {
		t.Errorf("got %q, %v", got, ok)
	}
	table.DropCookie(one, second)
	if _, ok := table.Cookie(one, second); ok {
		t.Error("not dropped")
	}
}

func TestBegin_holdsTheLimit(t *testing.T) {
	table := nameserver.New(nameserver.Config{})
	for i := range 5 {
		if got := table.Begin(one, 3, 0); got != (i < 3) {
			t.Errorf("query %d: %v", i, got)
		}
	}
	table.End(one)
	if !table.Begin(one, 3, 0) {
		t.Error("no leave after an end")
	}
	if s := table.Look(one, nil, 301*second); s.Outstanding != 0 {
		t.Errorf("lost queries count for ever: %+v", s)
	}
}

func TestTable_isBoundedAndKeepsWhatIsUsed(t *testing.T) {
	table := nameserver.New(nameserver.Config{Servers: 1600, Lame: 1600})
	table.Answered(one, wire.TypeA, time.Millisecond, 0)
	for i := range 100_000 {
		table.TimedOut(server(i), wire.TypeA, time.Second, 0)
		table.SetLame(server(i), name(t, fmt.Sprint("z", i, ".")), nameserver.Lame, 0)
		table.Look(one, nil, 0)
	}
	if n := len(table.List(0)); n > 1600 {
		t.Errorf("%d servers", n)
	}
	if s := table.Look(one, nil, 0); !s.Known {
		t.Error("what was in use was pushed out")
	}
}

func TestPardon_forgetsPenalties(t *testing.T) {
	table := nameserver.New(nameserver.Config{})
	for range 10 {
		table.TimedOut(one, wire.TypeA, time.Hour, second)
	}
	table.Pardon(2 * second)
	if s := table.Look(one, nil, 2*second); s.Down || s.Timeouts != 0 {
		t.Errorf("got %+v", s)
	}
}

func TestTable_takesConcurrentUse(t *testing.T) {
	table := nameserver.New(nameserver.Config{Servers: 64, Lame: 64})
	var wg sync.WaitGroup
	zone := name(t, "example.")
	for g := range 8 {
		wg.Go(func() {
			for i := range 2000 {
				a, now := server(i%200), int64(i)*second/10
				if table.Begin(a, 4, now) {
					if (i+g)%3 == 0 {
						table.TimedOut(a, wire.TypeA, time.Second, now)
					} else {
						table.Answered(a, wire.TypeA, time.Millisecond, now)
					}
					table.End(a)
				}
				table.SetLame(a, zone, nameserver.Lame, now)
				table.Look(a, zone, now)
				if i%500 == 0 {
					table.Configure(nameserver.Config{Servers: 32 + i%64, Lame: 32})
					table.List(now)
				}
			}
		})
	}
	wg.Wait()
	for _, s := range table.List(200 * second) {
		if s.Outstanding < 0 || s.Outstanding > 4 {
			t.Errorf("%v: %d under way", s.Addr, s.Outstanding)
		}
	}
}

func BenchmarkLook(b *testing.B) {
	table := nameserver.New(nameserver.Config{})
	for i := range 10_000 {
		table.Answered(server(i), wire.TypeA, time.Millisecond, 0)
	}
	zone, _ := wire.ParseName("example.com.")
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		table.Look(server(i%10_000), zone, 0)
	}
}
