package zone_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"anyu/dns/wire"
	"anyu/dns/zone"
)

// million writes a zone of 1,000,000 delegations with two servers each and glue for every tenth, sorted or not.
func million(b *testing.B, sorted bool) string {
	b.Helper()
	file := filepath.Join(b.TempDir(), "million.zone")
	f, err := os.Create(file)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	fmt.Fprint(w, "$TTL 3600\nexample. IN SOA ns a 1 2 3 4 5\nexample. NS ns1.example.\nns1.example. A 192.0.2.1\n")
	order := make([]int, 1_000_000)
	if !sorted {
		order = rand.New(rand.NewPCG(1, 1)).Perm(len(order))
	}
	for i, n := range order {
		if sorted {
			n = i
		}
		fmt.Fprintf(w, "d%07d.example. NS ns1.h%03d.net.\nd%07d.example. NS ns2.h%03d.net.\n", n, n%500, n, n%500)
		if n%10 == 0 {
			fmt.Fprintf(w, "ns.d%07d.example. A 192.0.2.%d\n", n, n%256)
		}
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	return file
}

func loadMillion(b *testing.B, file string) *zone.Zone {
	b.Helper()
	z, _, err := zone.Load(context.Background(), zone.LoadOptions{Name: mustName(b, "example."), File: file, Open: openFile})
	if err != nil {
		b.Fatal(err)
	}
	return z
}

// The promise: at most a second on two cores, at most 300 MB of peak memory in the whole process (see bench/).
func BenchmarkLoad_millionDelegations(b *testing.B) {
	for _, sorted := range []bool{true, false} {
		b.Run(fmt.Sprintf("sorted=%v", sorted), func(b *testing.B) {
			file := million(b, sorted)
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				loadMillion(b, file)
			}
		})
	}
}

// An IXFR of 1,000 changes, each in another page.
func BenchmarkEdit_thousandOfMillion(b *testing.B) {
	z := loadMillion(b, million(b, true))
	b.ReportAllocs()
	b.ResetTimer()
	for k := range b.N {
		e := z.Edit()
		for i := range 1000 {
			if err := e.Add(mustName(b, fmt.Sprintf("d%07d.example.", (i*997+k)%1_000_000)), wire.TypeNS, 3600, []byte("\x01x\x00")); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := e.Done(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFind_inMillion(b *testing.B) {
	z := loadMillion(b, million(b, true))
	keys := make([][]byte, 1<<16)
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "d%07d\x00", rand.IntN(1_000_000))
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, ok := z.Find(keys[i&(1<<16-1)]); !ok {
			b.Fatal("not found")
		}
		i++
	}
}
