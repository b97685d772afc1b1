package store

import (
	"fmt"
	"reflect"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"anyu/watch/trail"
)

// fill puts rows into a batch, column by column. first is the number of the first row in its segment.
func fill(batch driver.Batch, all []column, rows []trail.Row, segment string, first int64) error {
	for i, c := range all {
		if err := batch.Column(i).Append(values(c, rows, segment, first)); err != nil {
			return fmt.Errorf("column %s: %w", c.name, err)
		}
	}
	return nil
}

// values are one column of rows.
func values(c column, rows []trail.Row, segment string, first int64) any {
	switch {
	case c.field >= 0:
		return fieldValues(c.field, rows)
	case c.name == columnRow:
		numbers := make([]uint32, len(rows))
		for i := range rows {
			numbers[i] = uint32(first) + uint32(i)
		}
		return numbers
	case c.name == columnAnswers:
		lists := make([][]string, len(rows))
		for i := range rows {
			for _, text := range rows[i].AnswerIPs {
				ip := octets(text)
				lists[i] = append(lists[i], string(ip[:]))
			}
		}
		return lists
	}
	texts := make([]string, len(rows))
	for i := range rows {
		switch c.name {
		case columnSegment:
			texts[i] = segment
		case columnKey:
			texts[i] = nameKey(rows[i].Name)
		case columnIP:
			ip := octets(rows[i].Client)
			texts[i] = string(ip[:])
		}
	}
	return texts
}

func fieldValues(field int, rows []trail.Row) any {
	kind := reflect.TypeFor[trail.Row]().Field(field).Type
	list := reflect.MakeSlice(reflect.SliceOf(kind), len(rows), len(rows))
	for i := range rows {
		list.Index(i).Set(reflect.ValueOf(&rows[i]).Elem().Field(field))
	}
	bits, ok := list.Interface().([]*bool)
	if !ok {
		return list.Interface()
	}
	numbers := make([]*uint8, len(bits)) // ClickHouse had no type for them in 2018
	for i, b := range bits {
		if b != nil {
			numbers[i] = new(uint8)
			if *b {
				*numbers[i] = 1
			}
		}
	}
	return numbers
}

// reader takes rows of the table apart.
type reader struct {
	fields []int
	row    trail.Row
	bits   []*uint8 // beside fields
	number uint32
	into   []any
}

// newReader reads the query log's columns, the segment and the row's number there.
func newReader(all []column) *reader {
	r := &reader{}
	v := reflect.ValueOf(&r.row).Elem()
	for _, c := range all {
		if c.field >= 0 {
			r.fields = append(r.fields, c.field)
		}
	}
	r.bits = make([]*uint8, len(r.fields))
	for i, f := range r.fields {
		if v.Field(f).Type() == reflect.TypeFor[*bool]() {
			r.into = append(r.into, &r.bits[i])
		} else {
			r.into = append(r.into, v.Field(f).Addr().Interface())
		}
	}
	r.into = append(r.into, &r.row.Segment, &r.number)
	return r
}

// read gives the row that rows stands at, and its number in its segment.
func (r *reader) read(rows driver.Rows) (trail.Row, uint32, error) {
	r.row = trail.Row{}
	if err := rows.Scan(r.into...); err != nil {
		return trail.Row{}, 0, err
	}
	out := r.row
	v := reflect.ValueOf(&out).Elem()
	for i, f := range r.fields {
		if r.bits[i] != nil {
			is := *r.bits[i] != 0
			v.Field(f).Set(reflect.ValueOf(&is))
			r.bits[i] = nil
		}
	}
	for _, f := range r.fields {
		if s := v.Field(f); s.Kind() == reflect.Slice && s.Len() == 0 {
			s.SetZero() // as segments give it
		}
	}
	return out, r.number, nil
}

// readColumns is the list of what a reader reads.
func readColumns(all []column) (list string) {
	for _, c := range all {
		if c.field >= 0 {
			list += "`" + c.name + "`, "
		}
	}
	return list + columnSegment + ", " + columnRow
}
