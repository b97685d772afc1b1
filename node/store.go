package node

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"anyu/config"
	"anyu/watch/ledger"
	"anyu/watch/store"
)

// storeDir is where the store's journal is, inside the data folder.
const storeDir = "store"

// StoreAccess tells how the ClickHouse servers of a configuration are reached, and their tables.
func StoreAccess(c *config.ClickHouse) (t store.Tables, a store.Access, err error) {
	t = store.Tables{Database: c.Database, Table: c.Table, Cluster: c.Cluster, Replicated: c.Replicated}
	a = store.Access{User: c.User}
	if c.PasswordFile != "" {
		b, err := os.ReadFile(c.PasswordFile)
		if err != nil {
			return t, a, fmt.Errorf("log.clickhouse.password_file: %w", err)
		}
		a.Password = strings.TrimRight(string(b), "\r\n")
	}
	if !c.TLS {
		return t, a, nil
	}
	a.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	if c.TLSRoots != "" {
		b, err := os.ReadFile(c.TLSRoots)
		if err != nil {
			return t, a, fmt.Errorf("log.clickhouse.tls_roots: %w", err)
		}
		if a.TLS.RootCAs = x509.NewCertPool(); !a.TLS.RootCAs.AppendCertsFromPEM(b) {
			return t, a, fmt.Errorf("log.clickhouse.tls_roots: %s holds no certificate", c.TLSRoots)
		}
	}
	return t, a, nil
}

// openStore begins to send the query log to ClickHouse, where that is wanted. It is opened before the log, which asks it what may be deleted.
func (n *Node) openStore() error {
	c := n.conf().Log.ClickHouse
	if len(c.Addresses) == 0 {
		return nil
	}
	tables, access, err := StoreAccess(&c)
	if err != nil {
		return err
	}
	n.store, err = store.Open(store.Options{
		Dir: n.data.Path(storeDir), Log: n.data.Path(logDir), Node: n.conf().Node, Addresses: c.Addresses, Tables: tables, Access: access,
		Batch: c.Batch, Spool: int64(c.Spool), Days: c.Days, Findings: n.findings, Logger: n.opts.Log,
		Dropped: func(server string, day int) {
			n.audit(n.conf().Node, "clickhouse day deleted", ledger.Fact{Name: "server", Value: server}, ledger.Fact{Name: "day", Value: fmt.Sprint(day)}, ledger.Fact{Name: "why", Value: "age"})
		},
	})
	return err
}

// closeStore ends the sending. What waits is sent by the next run.
func (n *Node) closeStore() {
	if n.cluster != nil {
		n.cluster.Close()
	}
	if n.store == nil {
		return
	}
	if err := n.store.Close(); err != nil {
		n.opts.Log.Error("closing the store", "error", err)
	}
}

// held tells the log which segments must not be deleted yet.
func (n *Node) held() func(path string) bool {
	if n.store == nil {
		return nil
	}
	return n.store.Holds
}

// sealEvery is how long rows wait in the file that is being written.
func (n *Node) sealEvery() time.Duration {
	if n.store == nil {
		return 0
	}
	return time.Duration(n.conf().Log.ClickHouse.Interval)
}

// storeFigures exports how the store stands.
type storeFigures struct {
	store                                 *store.Store
	sent, lost, segments, octets, lag, up *prometheus.Desc
}

func newStoreFigures(s *store.Store) *storeFigures {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &storeFigures{
		store: s,
		sent:  desc("anyu_store_rows_total", "Rows of the query log that ClickHouse has taken."),
		lost:  desc("anyu_store_lost_total", "Rows that were deleted before ClickHouse had them, for the spool was full."), segments: desc("anyu_store_waiting_segments", "Segments that wait to be sent."),
		octets: desc("anyu_store_waiting_bytes", "Octets of the segments that wait to be sent."),
		lag:    desc("anyu_store_lag_seconds", "How long the segment that waits longest has been whole; 0 when none waits."),
		up:     desc("anyu_store_up", "1 when the last try with a server was good.", "server"),
	}
}

// Describe and Collect make it a prometheus.Collector.
func (f *storeFigures) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{f.sent, f.lost, f.segments, f.octets, f.lag, f.up} {
		out <- d
	}
}

func (f *storeFigures) Collect(out chan<- prometheus.Metric) {
	s := f.store.Status()
	out <- prometheus.MustNewConstMetric(f.sent, prometheus.CounterValue, float64(s.Sent))
	out <- prometheus.MustNewConstMetric(f.lost, prometheus.CounterValue, float64(s.Lost))
	out <- prometheus.MustNewConstMetric(f.segments, prometheus.GaugeValue, float64(s.Segments))
	out <- prometheus.MustNewConstMetric(f.octets, prometheus.GaugeValue, float64(s.Octets))
	lag := 0.0
	if !s.Since.IsZero() {
		lag = max(0, time.Since(s.Since).Seconds())
	}
	out <- prometheus.MustNewConstMetric(f.lag, prometheus.GaugeValue, lag)
	for _, server := range s.Servers {
		up := 0.0
		if server.Up {
			up = 1
		}
		out <- prometheus.MustNewConstMetric(f.up, prometheus.GaugeValue, up, server.Address)
	}
}

// errNoStore is what is said where a store is wanted and none configured.
var errNoStore = errors.New("no ClickHouse cluster is configured: name its servers under log.clickhouse.addresses")

// OpenSearch opens a search of the cluster of a configuration.
func OpenSearch(c *config.Config) (*store.Search, error) {
	if len(c.Log.ClickHouse.Addresses) == 0 {
		return nil, errNoStore
	}
	tables, access, err := StoreAccess(&c.Log.ClickHouse)
	if err != nil {
		return nil, err
	}
	return store.NewSearch(c.Log.ClickHouse.Addresses, tables, access)
}

// MakeTables prints what the tables of a cluster are made with, or makes them on each of its servers.
func MakeTables(c *config.Config, make bool) (statements []string, err error) {
	tables, access, err := StoreAccess(&c.Log.ClickHouse)
	if err != nil {
		return nil, err
	}
	if statements, err = tables.Statements(); err != nil || !make {
		return statements, err
	}
	if len(c.Log.ClickHouse.Addresses) == 0 {
		return nil, errNoStore
	}
	for _, address := range c.Log.ClickHouse.Addresses {
		if err := store.Prepare(address, tables, access); err != nil {
			return nil, fmt.Errorf("%s: %w", address, err)
		}
	}
	return statements, nil
}
