package transfer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/miekg/dns"

	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/serve/transfer"
)

// delegations is a zone of so many delegations, two NS each.
func delegations(t testing.TB, n int) *zone.Zone {
	t.Helper()
	var b bytes.Buffer
	b.WriteString(soa(1) + apexNS)
	for i := range n {
		fmt.Fprintf(&b, "d%07d.example.org. 3600 IN NS ns1.dns%04d.example.\nd%07d.example.org. 3600 IN NS ns2.dns%04d.example.\n", i, i%5000, i, i%5000)
	}
	z, _, err := zone.Load(context.Background(), zone.LoadOptions{Name: mustName(t, apex), File: "test", Open: func(string) (io.ReadCloser, error) {
		return io.NopCloser(&b), nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// change makes the next version: changes records replaced by others, spread over the whole zone.
func change(t testing.TB, z *zone.Zone, changes int) *zone.Zone {
	t.Helper()
	names, _, _ := z.Size()
	e := z.Edit()
	err := e.RemoveSet(z.Apex(), wire.TypeSOA)
	next := load(t, apex, soa(z.Serial()+1)+apexNS)
	set, _ := next.ApexNode().Set(wire.TypeSOA)
	err = errors.Join(err, e.Add(z.Apex(), wire.TypeSOA, set.TTL(), set.First()))
	step := (names - 2) / (changes / 2)
	for i := range changes / 2 {
		owner := mustName(t, fmt.Sprintf("d%07d.example.org.", i*step))
		err = errors.Join(err, e.RemoveSet(owner, wire.TypeNS),
			e.Add(owner, wire.TypeNS, 3600, mustName(t, fmt.Sprintf("ns%d.elsewhere%d.example.", z.Serial(), i))))
	}
	fresh, done := e.Done()
	if err = errors.Join(err, done); err != nil {
		t.Fatal(err)
	}
	return fresh
}

// A change costs what it changes: 100 changes of a zone of 50,000 delegations copy pages, not the zone.
func TestReceiver_changeCopiesPagesNotTheZone(t *testing.T) {
	z := delegations(t, 50_000)
	fresh := change(t, z, 100)
	from := primary(t, transfer.Zone{AllowTransfer: everybody()}, nil, z, fresh)
	b, _ := ixfr(apex, 1).Pack()
	var list [][]byte
	if _, err := from.Stream(b, client(), func(m []byte) error { list = append(list, bytes.Clone(m)); return nil }); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := transfer.NewReceiver(z.Apex(), wire.TypeIXFR, z, transfer.Limits{})
	for _, m := range list {
		if _, err := r.Message(m); err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	_, _, size := z.Size()
	used := after.TotalAlloc - before.TotalAlloc
	t.Logf("%d octets for 100 changes of a zone of %d", used, size)
	if used > uint64(size)/3 {
		t.Errorf("%d octets for 100 changes of a zone of %d", used, size)
	}
	sameZone(t, r.Versions()[0], fresh)
}

// The whole way on loopback: NOTIFY, SOA, IXFR of 1,000 changes into 1,000,000 delegations, journal on disk, served.
func BenchmarkSecondary_ixfrIntoAMillionDelegations(b *testing.B) {
	z := delegations(b, 1_000_000)
	from := primary(b, transfer.Zone{AllowTransfer: everybody()}, nil, z)
	address := serveOn(b, from)
	to := newSite(b, transfer.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	to.Configure([]transfer.Zone{{Name: z.Apex(), Primaries: []transfer.Remote{{Address: address}}}}, nil)
	to.Start(ctx)
	for to.zone(apex) == nil {
		time.Sleep(10 * time.Millisecond)
	}
	b.Logf("first transfer took %.2f s", to.state(apex).In.Took)
	notify := new(dns.Msg)
	notify.SetNotify(apex)
	msg, _ := notify.Pack()
	runtime.GC()
	var worst time.Duration
	b.ResetTimer()
	for b.Loop() {
		b.StopTimer()
		fresh := change(b, z, 1000)
		from.Published(z.Apex(), z, fresh)
		z = fresh
		time.Sleep(transferPause) // two NOTIFY within a second are held apart
		b.StartTimer()
		start := time.Now()
		answer(to, msg, netip.AddrPortFrom(address.Addr(), 5353))
		for to.zone(apex).Serial() != fresh.Serial() {
			time.Sleep(200 * time.Microsecond)
		}
		worst = max(worst, time.Since(start))
	}
	b.ReportMetric(float64(worst.Microseconds())/1000, "worst-ms")
	b.ReportMetric(to.state(apex).In.Took*1000, "took-ms")
	cancel()
	to.Wait()
}

const transferPause = 1100 * time.Millisecond
