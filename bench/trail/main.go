// Command trail measures the query log: it makes one of traffic like a resolver's (names by Zipf's law), through the log itself, with times of the past, and tells what it takes
// on disk, column by column.
//
//	go run ./bench/trail --dir DIR [--rows 1000000] [--hours 1] [--before 0] [--seed 1]    make a log
//	go run ./bench/trail --dir DIR --capture FILE                                          the log of a capture
//	go run ./bench/trail --dir DIR --sizes                                                 what each column takes
//
// bench/logsize.sh sets it beside ClickHouse and C-DNS.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"

	"anyu/event"
	"anyu/watch/trail"
)

func main() {
	dir := flag.String("dir", "", "`DIR` of the log")
	rows := flag.Int("rows", 1_000_000, "rows to make")
	hours := flag.Int("hours", 1, "hours that they are spread over")
	before := flag.Int("before", 0, "hours before now that they end")
	seed := flag.Uint64("seed", 1, "of the traffic")
	from := flag.String("capture", "", "make the log of this `FILE`: pcap, pcapng, dnstap, C-DNS")
	sizes := flag.Bool("sizes", false, "tell what the columns of the log in DIR take")
	flag.Parse()
	err := fmt.Errorf("which --dir?")
	switch {
	case *dir == "":
	case *sizes:
		err = tell(*dir)
	case *from != "":
		err = keepCapture(*dir, *from)
	default:
		err = write(*dir, *rows, *hours, *before, *seed)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// write makes rows hour by hour, as a node would that was asked at a steady rate: each hour is a log of its own, whose folder then moves to the others.
func write(dir string, rows, hours, before int, seed uint64) error {
	began, each := time.Now(), rows/hours
	from := time.Now().Add(-time.Duration(hours+before) * time.Hour).Truncate(time.Hour)
	next := make(chan int)
	errs := make(chan error)
	for worker := range workers {
		go func() {
			t := newTraffic(seed + uint64(worker))
			for hour := range next {
				if err := writeHour(dir, t, from.Add(time.Duration(hour)*time.Hour), each); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	left := workers
	for hour := 0; hour < hours && left == workers; {
		select {
		case next <- hour:
			hour++
		case err := <-errs:
			return err
		}
	}
	close(next)
	for ; left > 0; left-- {
		if err := <-errs; err != nil {
			return err
		}
	}
	fmt.Printf("%d rows in %v\n", each*hours, time.Since(began).Round(time.Millisecond))
	return nil
}

const workers = 2

func writeHour(dir string, t *traffic, begin time.Time, rows int) error {
	aside := filepath.Join(dir, begin.UTC().Format(".2006010215"))
	log, err := trail.Open(trail.Options{Dir: aside, Node: "ns1", Names: event.NewNames(), Findings: nobody{}, Retain: 20 * 365 * 24 * time.Hour})
	if err != nil {
		return err
	}
	var q event.Query
	gap := int64(time.Hour) / int64(rows)
	for i := range rows {
		t.next(&q, begin.UnixNano()+int64(i)*gap+t.r.Int64N(gap))
		log.Observe(&q)
		log.Flush()
		for i%1000 == 0 && log.Pending() > 20 {
			time.Sleep(time.Millisecond)
		}
	}
	if err := log.Close(); err != nil {
		return err
	}
	if n := log.Dropped(); n > 0 {
		return fmt.Errorf("%d rows were dropped", n)
	}
	if left, _ := filepath.Glob(filepath.Join(aside, "wal", "*.wal")); len(left) > 0 {
		return fmt.Errorf("%d append-only files have not become segments", len(left))
	}
	hour := trail.HourDir(begin)
	if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, hour)), 0o750); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(aside, hour), filepath.Join(dir, hour)); err != nil {
		return err
	}
	return os.RemoveAll(aside)
}

type nobody struct{}

func (nobody) Report(f event.Finding) { fmt.Fprintln(os.Stderr, f.Kind, f.Facts) }

// ten are the columns of the size: time, client, name, type, rcode, flags, sizes, latency.
var ten = []string{"time", "client", "qname", "qtype", "rcode", "query_flags", "flags", "query_size", "reply_size", "latency_us"}

// tell adds up what the columns take in all segments.
func tell(dir string) error {
	paths, err := filepath.Glob(filepath.Join(dir, "date=*", "hour=*", "*.parquet"))
	if err != nil {
		return err
	}
	columns, rows, files, filters := map[string]int64{}, int64(0), int64(0), int64(0)
	for _, path := range paths {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		info, err := file.Stat()
		if err != nil {
			return err
		}
		f, err := parquet.OpenFile(file, info.Size())
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		files += info.Size()
		for _, group := range f.Metadata().RowGroups {
			rows += group.NumRows
			for _, c := range group.Columns {
				columns[strings.Split(strings.Join(c.MetaData.PathInSchema, "."), ".list")[0]] += c.MetaData.TotalCompressedSize
				filters += int64(c.MetaData.BloomFilterLength)
			}
		}
		file.Close()
	}
	if rows == 0 {
		return fmt.Errorf("no rows in %s", dir)
	}
	list := make([]string, 0, len(columns))
	for name := range columns {
		list = append(list, name)
	}
	slices.SortFunc(list, func(a, b string) int { return cmp.Compare(columns[b], columns[a]) })
	sum := int64(0)
	for _, name := range list {
		mark := " "
		if slices.Contains(ten, name) {
			sum, mark = sum+columns[name], "*"
		}
		fmt.Printf("%s %-20s %7.3f\n", mark, name, float64(columns[name])/float64(rows))
	}
	fmt.Printf("%d rows, %d files; octets a row: ten columns (*) %.2f, filters %.2f, all with footers %.2f\n", rows, len(paths), float64(sum)/float64(rows), float64(filters)/float64(rows), float64(files)/float64(rows))
	return nil
}
