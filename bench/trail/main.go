// Command trail measures the query log: it makes one of traffic like a resolver's (names by Zipf's law), through the log itself, with times of the past, and tells what it takes
// on disk, column by column.
//
//	go run ./bench/trail --dir DIR [--rows 1000000] [--hours 1] [--answers=false]      make a log
//	go run ./bench/trail --dir DIR --sizes                                             what each column takes
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
	hours := flag.Int("hours", 1, "hours that they are spread over, before now")
	seed := flag.Uint64("seed", 1, "of the traffic")
	sizes := flag.Bool("sizes", false, "tell what the columns of the log in DIR take")
	flag.Parse()
	err := fmt.Errorf("which --dir?")
	if *dir != "" && !*sizes {
		err = write(*dir, *rows, *hours, *seed)
	}
	if *dir != "" && (err == nil || *sizes) {
		err = tell(*dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// write makes rows hour by hour, as a node would that was asked at a steady rate.
func write(dir string, rows, hours int, seed uint64) error {
	t, names := newTraffic(seed), event.NewNames()
	each := rows / hours
	log, err := trail.Open(trail.Options{Dir: dir, Node: "ns1", Names: names, Findings: nobody{}, SegmentRows: each, Retain: 20 * 365 * 24 * time.Hour})
	if err != nil {
		return err
	}
	began := time.Now()
	from := time.Now().Add(-time.Duration(hours) * time.Hour).Truncate(time.Hour)
	var q event.Query
	done := uint64(0)
	for hour := range hours {
		begin := from.Add(time.Duration(hour) * time.Hour).UnixNano()
		for i := range each {
			t.next(&q, begin+int64(i)*int64(time.Hour)/int64(each)+t.r.Int64N(int64(time.Hour)/int64(each)))
			log.Observe(&q)
			log.Flush()
			if done++; done%1000 == 0 {
				for log.Pending() > 20 {
					time.Sleep(time.Millisecond)
				}
			}
		}
	}
	if err := log.Close(); err != nil {
		return err
	}
	fmt.Printf("%d rows in %v, %d dropped\n", done, time.Since(began).Round(time.Millisecond), log.Dropped())
	return nil
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
