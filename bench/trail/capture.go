package main

import (
	"fmt"
	"os"
	"time"

	"anyu/event"
	"anyu/watch/tap"
	"anyu/watch/trail"
)

// keepCapture puts what a file of observations shows (pcap, pcapng, dnstap, C-DNS) into a log, as a tap of a running node would.
func keepCapture(dir, path string) error {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	log, err := trail.Open(trail.Options{Dir: dir, Node: "ns1", Names: event.NewNames(), Findings: nobody{}, Retain: 20 * 365 * 24 * time.Hour})
	if err != nil {
		return err
	}
	n := 0
	table := tap.NewTable(func(t *tap.Transaction) {
		log.Observe(&t.Query)
		log.Flush()
		for n++; n%1000 == 0 && log.Pending() > 20; {
			time.Sleep(time.Millisecond)
		}
	})
	reader := tap.Reader{Table: table}
	if err := reader.Read(in); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	table.Close()
	if err := log.Close(); err != nil {
		return err
	}
	if lost := log.Dropped(); lost > 0 {
		return fmt.Errorf("%d rows were dropped", lost)
	}
	fmt.Printf("%d transactions of %s\n", n, path)
	return nil
}
