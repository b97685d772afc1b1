package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"
	"runtime/pprof"

	"anyu/watch/trail"
)

func main() {
	if p := os.Getenv("CPUPROF"); p != "" {
		f, _ := os.Create(p)
		pprof.StartCPUProfile(f)
		defer pprof.StopCPUProfile()
	}
	start := time.Now()
	l, err := trail.Look(os.Args[1])
	if err != nil {
		panic(err)
	}
	f := trail.Filter{Limit: 10_000_000, Columns: []string{"time", "client", "transport", "qname", "qtype", "rcode", "latency_us", "from"}}
	if a, err := netip.ParseAddr(os.Args[2]); err == nil {
		f.Client = netip.PrefixFrom(a, a.BitLen())
	} else {
		f.Name = os.Args[2]
	}
	n := 0
	if len(os.Args) > 3 {
		if os.Args[3] != "top" {
			f.Columns = strings.Split(os.Args[3], ",")
		} else {
			f.Columns = []string{"client"}
		}
		m := map[string]int{}
		sc, err := l.Each(context.Background(), f, func(r *trail.Row) error { n++; m[r.Client]++; return nil })
		fmt.Println("each", n, "of", sc, len(m), time.Since(start), err)
		return
	}
	var first time.Duration
	found, err := l.Stream(context.Background(), f, func(r *trail.Row) error {
		if n == 0 {
			first = time.Since(start)
		}
		n++
		return nil
	})
	st, _ := os.ReadFile("/proc/self/status")
	i := strings.Index(string(st), "VmHWM")
	fmt.Println("first", first, "all", time.Since(start), n, "of", found.Scanned, string(st[i:i+25]), err)
}
