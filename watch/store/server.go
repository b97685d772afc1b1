package store

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"anyu/watch/trail"
)

const (
	dialTime = 5 * time.Second
	// readTime is how long a server may be silent before it counts as gone.
	readTime = time.Minute
)

// Access is how servers are reached.
type Access struct {
	User     string
	Password string
	TLS      *tls.Config // nil: without
}

// server is one server, reached when it is needed.
type server struct {
	address string
	tables  Tables
	conn    driver.Conn
	all     []column
	ready   bool // its tables are there
}

// dial makes a pool of connections. Nothing is reached yet.
func dial(addresses []string, database string, a Access) (driver.Conn, error) {
	conn, err := clickhouse.Open(&clickhouse.Options{
		Addr: addresses, Auth: clickhouse.Auth{Database: database, Username: a.User, Password: a.Password}, TLS: a.TLS,
		DialTimeout: dialTime, ReadTimeout: readTime, MaxOpenConns: 4, MaxIdleConns: 2,
		Compression: &clickhouse.Compression{Method: clickhouse.CompressionLZ4},
	})
	if err != nil {
		return nil, fmt.Errorf("reaching ClickHouse: %w", err)
	}
	return conn, nil
}

func newServer(address string, t Tables, a Access) (*server, error) {
	all, err := columns()
	if err != nil {
		return nil, err
	}
	// Not with the database: it may have to be made first.
	conn, err := dial([]string{address}, "", a)
	if err != nil {
		return nil, err
	}
	return &server{address: address, tables: t, conn: conn, all: all}, nil
}

// prepare makes the tables where they are missing, and adds the columns that they lack.
func (s *server) prepare(ctx context.Context) error {
	if s.ready {
		return s.conn.Ping(ctx)
	}
	tables := []string{s.tables.written()}
	if s.tables.Cluster != "" {
		tables = append(tables, s.tables.searched())
	}
	for _, table := range tables {
		has, err := s.has(ctx, table)
		if err == nil && len(has) == 0 {
			if err = s.create(ctx); err == nil {
				has, err = s.has(ctx, table)
			}
		}
		if err != nil {
			return err
		}
		changes, err := missing(table, has)
		if err != nil {
			return err
		}
		for _, statement := range changes {
			if err := s.conn.Exec(ctx, statement); err != nil {
				return fmt.Errorf("%s: %w", statement, err)
			}
		}
	}
	s.ready = true
	return nil
}

func (s *server) create(ctx context.Context) error {
	statements, err := s.tables.Statements()
	if err != nil {
		return err
	}
	for _, statement := range statements {
		if err := s.conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("making the tables (`anyu clickhouse tables` prints them, for who has the right to): %w", err)
		}
	}
	return nil
}

// has tells the columns of a table and their types.
func (s *server) has(ctx context.Context, table string) (map[string]string, error) {
	rows, err := s.conn.Query(ctx, "SELECT name, type FROM system.columns WHERE concat(database, '.', table) = "+quote(table))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	has := map[string]string{}
	for rows.Next() {
		var name, kind string
		if err := rows.Scan(&name, &kind); err != nil {
			return nil, err
		}
		has[name] = kind
	}
	return has, rows.Err()
}

// insert sends rows as one block. Rows of a segment are of one hour, so that they are one partition, which takes a block whole or not at all.
func (s *server) insert(ctx context.Context, rows []trail.Row, segment string, first int64) error {
	list := ""
	for i, c := range s.all {
		if i > 0 {
			list += ", "
		}
		list += "`" + c.name + "`"
	}
	batch, err := s.conn.PrepareBatch(ctx, "INSERT INTO "+s.tables.written()+" ("+list+")")
	if err != nil {
		return err
	}
	if err := fill(batch, s.all, rows, segment, first); err != nil {
		return errors.Join(err, batch.Abort())
	}
	if err := batch.Send(); err != nil {
		s.ready = false // somebody may have taken its tables
		return err
	}
	return nil
}

// present tells which rows of a block are there: on this server, or anywhere in the cluster.
func (s *server) present(ctx context.Context, block step, anywhere bool) (map[int64]bool, error) {
	table := s.tables.written()
	if anywhere {
		table = s.tables.searched()
	}
	rows, err := s.conn.Query(ctx, fmt.Sprintf("SELECT %s FROM %s WHERE time >= %d AND time <= %d AND %s = %s AND %s >= %d AND %s < %d",
		columnRow, table, block.From, block.To, columnSegment, quote(block.Segment), columnRow, block.Rows, columnRow, block.End))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	is := map[int64]bool{}
	for rows.Next() {
		var n uint32
		if err := rows.Scan(&n); err != nil {
			return nil, err
		}
		is[int64(n)] = true
	}
	return is, rows.Err()
}

// partitions are the days that the server has rows of, as numbers.
func (s *server) partitions(ctx context.Context) (days []int, err error) {
	rows, err := s.conn.Query(ctx, "SELECT DISTINCT partition FROM system.parts WHERE active AND concat(database, '.', table) = "+quote(s.tables.written()))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		if day, err := strconv.Atoi(text); err == nil {
			days = append(days, day)
		}
	}
	return days, rows.Err()
}

// drop removes a day.
func (s *server) drop(ctx context.Context, day int) error {
	return s.conn.Exec(ctx, fmt.Sprintf("ALTER TABLE %s DROP PARTITION %d", s.tables.written(), day))
}

func (s *server) close() error { return s.conn.Close() }

// Prepare makes the tables on a server, and the columns that they lack.
func Prepare(address string, t Tables, a Access) error {
	s, err := newServer(address, t, a)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), readTime)
	defer cancel()
	return errors.Join(s.prepare(ctx), s.close())
}
