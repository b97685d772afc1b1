package store

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"anyu/watch/trail"
)

// A table has the columns of trail.Row, by its tags, and these of our own.
const (
	columnIP      = "client_ip"     // the client's 16 octets, so that prefixes are ranges; zeros where it is unknown or a pseudonym
	columnAnswers = "answer_octets" // the same of answer_ips
	columnKey     = "name_key"      // the name's labels backwards, so that what is below a name lies together
	columnSegment = "segment"       // that the row was in: with row its identity, and the way to its proof in the ledger
	columnRow     = "row"
)

// column is one column of the table.
type column struct {
	name  string
	kind  string // of ClickHouse
	field int    // of trail.Row; -1: of our own
}

// columns are those of the table: every one of the query log, in its order, then our own.
func columns() ([]column, error) {
	var all []column
	for _, c := range trail.Columns() {
		kind, err := kindOf(c.Type)
		if err != nil {
			return nil, fmt.Errorf("column %s of the query log: %w", c.Name, err)
		}
		all = append(all, column{c.Name, kind, c.Field})
	}
	return append(all, column{columnIP, "FixedString(16)", -1}, column{columnAnswers, "Array(FixedString(16))", -1}, column{columnKey, "String", -1}, column{columnSegment, "String", -1}, column{columnRow, "UInt32", -1}), nil
}

// kindOf is the type of a column. All of them are in ClickHouse since 2018, so that Debian's server takes the same tables as a current one.
func kindOf(t reflect.Type) (string, error) {
	switch t.Kind() {
	case reflect.Pointer:
		inner, err := kindOf(t.Elem())
		return "Nullable(" + inner + ")", err
	case reflect.Slice:
		inner, err := kindOf(t.Elem())
		return "Array(" + inner + ")", err
	case reflect.Bool:
		return "UInt8", nil
	case reflect.String:
		return "String", nil
	case reflect.Int32, reflect.Int64, reflect.Uint32, reflect.Uint64:
		return strings.Replace(strings.ToUpper(t.Kind().String()[:1])+t.Kind().String()[1:], "Uint", "UInt", 1), nil
	}
	return "", fmt.Errorf("there is no type in ClickHouse for %v", t)
}

// Tables are the names of a store's tables.
type Tables struct {
	Database   string
	Table      string // what is searched
	Cluster    string // of the servers' configuration; "": one server, and Table is what is written, too
	Replicated bool   // each shard has replicas that ClickHouse Keeper or ZooKeeper coordinates
}

// written is the table that rows are written to, on each server.
func (t *Tables) written() string {
	if t.Cluster == "" {
		return t.Database + "." + t.Table
	}
	return t.Database + "." + t.Table + "_local"
}

func (t *Tables) searched() string { return t.Database + "." + t.Table }

// Statements create what a store needs, in this order, on each server.
func (t *Tables) Statements() ([]string, error) {
	all, err := columns()
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "CREATE TABLE IF NOT EXISTS %s\n(\n", t.written())
	for i, c := range all {
		comma := ","
		if i == len(all)-1 {
			comma = ""
		}
		fmt.Fprintf(&b, "    `%s` %s%s\n", c.name, c.kind, comma)
	}
	// Rows that were sent twice have the same key, and become one when parts are merged.
	engine := "ReplacingMergeTree()"
	if t.Replicated {
		engine = fmt.Sprintf("ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/%s', '{replica}')", strings.ReplaceAll(t.written(), ".", "/"))
	}
	fmt.Fprintf(&b, ")\nENGINE = %s\nPARTITION BY %s\nORDER BY (%s, time, %s, %s)", engine, dayOf, columnKey, columnSegment, columnRow)
	list := []string{"CREATE DATABASE IF NOT EXISTS " + t.Database, b.String()}
	if t.Cluster != "" {
		list = append(list, fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s AS %s\nENGINE = Distributed(%s, %s, %s_local)", t.searched(), t.written(), t.Cluster, t.Database, t.Table))
	}
	return list, nil
}

// dayOf is the day of a row in UTC as a number, 20261124: what partitions are by, so that old days go as a whole.
const dayOf = "toYYYYMMDD(toDateTime(intDiv(time, 1000000), 'UTC'))"

// missing are the columns that a table lacks, for it is of an older anyu, as statements that add them.
func missing(table string, has map[string]string) (list []string, err error) {
	all, err := columns()
	if err != nil {
		return nil, err
	}
	for _, c := range all {
		switch kind, is := has[c.name]; {
		case !is:
			list = append(list, fmt.Sprintf("ALTER TABLE %s ADD COLUMN `%s` %s", table, c.name, c.kind))
		case kind != c.kind:
			return nil, fmt.Errorf("the column %s of the table %s is %s, anyu writes %s: name another table under log.clickhouse.table", c.name, table, kind, c.kind)
		}
	}
	return list, nil
}

// nameKey is a name in presentation form with its labels backwards: org.example.www. for www.example.org. A dot inside a label is escaped there, and
// stays with its label.
func nameKey(name string) string {
	if len(name) < 2 {
		return name
	}
	labels := make([]string, 0, 8)
	begin := 0
	for i := 0; i < len(name); i++ {
		switch name[i] {
		case '\\':
			i++
		case '.':
			labels = append(labels, name[begin:i])
			begin = i + 1
		}
	}
	slices.Reverse(labels)
	return strings.Join(labels, ".") + "."
}

// octets are a client's address as 16 octets, zeros where the text is none.
func octets(client string) (b [16]byte) {
	if addr, err := netip.ParseAddr(client); err == nil {
		b = addr.As16()
	}
	return b
}

// prefixRange are the first and the last address of a prefix.
func prefixRange(p netip.Prefix) (first, last [16]byte) {
	bits := p.Bits()
	if p.Addr().Is4() {
		bits += 96
	}
	first = p.Masked().Addr().As16()
	last = first
	for i := bits; i < 128; i++ {
		last[i/8] |= 0x80 >> (i % 8)
	}
	return first, last
}

// quote makes a literal of a text.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('\'')
	for i := range len(s) {
		if s[i] == '\'' || s[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	b.WriteByte('\'')
	return b.String()
}
