package zone

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"anyu/dns/wire"
)

// maxLine bounds a record that stands alone: RDATA of 65535 octets written as \DDD.
const maxLine = 4 * 65535

// ParseRecord reads one record as a line of a master file has it, as `www.example. 300 A 192.0.2.1`. Names without a dot at the end are below origin; the
// owner may not be left out. A TTL may be: it is 3600 then, for an SOA its MINIMUM.
func ParseRecord(text string, origin wire.Name) (Record, error) {
	if len(text) > maxLine {
		return Record{}, fmt.Errorf("longer than %d octets", maxLine)
	}
	if text == "" || text[0] == ' ' || text[0] == '\t' || text[0] == '$' {
		return Record{}, errors.New("begins with the name of the record")
	}
	var list []Record
	var wrong error
	Scan(context.Background(), LoadOptions{Name: origin, Class: wire.ClassIN, Workers: 1, Open: func(string) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader([]byte(text + "\n"))), nil
	}}, func(r Record) { list = append(list, r.Clone()) }, func(err error) bool {
		wrong = err
		return false
	})
	var at *SyntaxError
	switch {
	case errors.As(wrong, &at):
		return Record{}, errors.New(at.Text)
	case wrong != nil:
		return Record{}, wrong
	case len(list) != 1:
		return Record{}, fmt.Errorf("%d records, where there is to be one", len(list))
	}
	return list[0], nil
}

// Clone copies a record, so that it outlives the callback it came to.
func (r Record) Clone() Record {
	r.Owner, r.RData = bytes.Clone(r.Owner), bytes.Clone(r.RData)
	return r
}
