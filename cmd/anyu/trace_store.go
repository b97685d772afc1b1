package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"anyu/config"
	"anyu/node"
	"anyu/watch/trail"
)

// searched is where a trace looks: the segments of a data folder, or a ClickHouse cluster.
type searched interface {
	Rows(ctx context.Context, f trail.Filter) (trail.Found, error)
	Each(ctx context.Context, f trail.Filter, see func(*trail.Row) error) (scanned int, err error)
}

// counter is one that counts by itself, so that rows need not be carried here.
type counter interface {
	Top(ctx context.Context, f trail.Filter, column string, limit int) (trail.Ranking, error)
}

// where opens what is to be searched.
func (t *traceFlags) where() (log searched, end func() error, err error) {
	var c *config.Config
	if t.config != "" {
		if c, err = config.Read(t.config); err != nil {
			return nil, nil, err
		}
		if !t.dataGiven {
			t.data = c.Data
		}
		if t.store == "" && c.Log.ClickHouse.Search {
			t.store = inClickHouse
		}
	}
	switch t.store {
	case "", inSegments:
		log, err := trail.Look(filepath.Join(t.data, node.LogDir))
		if err != nil {
			return nil, nil, fmt.Errorf("%w (is %s the data folder? name it with --data)", err, t.data)
		}
		return log, func() error { return nil }, nil
	case inClickHouse:
		if c == nil {
			return nil, nil, errors.New("--store clickhouse: name the configuration that has the servers with --config FILE")
		}
		if t.export != "" {
			return nil, nil, errors.New("--export takes its rows from segments, which the ledger proves: leave --store out; the column segment of a row in ClickHouse says in which file of which node it is")
		}
		search, err := node.OpenSearch(c)
		if err != nil {
			return nil, nil, err
		}
		return search, search.Close, nil
	}
	return nil, nil, fmt.Errorf("--store %s: there are segments and clickhouse", t.store)
}

// What --store may be.
const (
	inSegments   = "segments"
	inClickHouse = "clickhouse"
)

// topColumns are what --top may count, and their columns in the log.
var topColumns = map[string]string{"client": "client", "name": "qname", "type": "qtype", "rcode": "rcode", "source": "source", "node": "node"}
