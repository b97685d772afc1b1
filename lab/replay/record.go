package replay

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"anyu/dns/wire"
	"anyu/dns/zone"
)

// Record is one resource record, or a question (then RData is nil).
type Record struct {
	Name  wire.Name
	Type  wire.Type
	Class wire.Class
	TTL   uint32
	RData []byte
}

func (r Record) String() string {
	return string(zone.AppendRecordText(nil, zone.Record{Owner: r.Name, Type: r.Type, TTL: r.TTL, RData: r.RData}, r.Class))
}

// defaultTTL of records in both dialects that name none.
const defaultTTL = 3600

// lineage is what $ORIGIN and $TTL before a record say.
type lineage struct {
	origin string
	ttl    string
}

// parseRecord reads one record in presentation form. RDATA in the form of RFC 3597 is taken as it is, whatever its type would
// demand. The scanner of dns/zone reads the rest; what it does not know is left to the DNS library.
func parseRecord(line string, l lineage) (Record, error) {
	if strings.TrimSpace(line) == "" {
		return Record{}, errNoRecord
	}
	if strings.Contains(line, `\#`) {
		return rawRecord(line, l)
	}
	r, err := scanRecord(line, l)
	if err == nil {
		return r, nil
	}
	if other, libErr := libraryRecord(line, l); libErr == nil {
		return other, nil
	}
	if fixed := repairBase64(line); fixed != line {
		return scanRecord(fixed, l)
	}
	return Record{}, err
}

// repairBase64 drops what is no base64 at the end of a record with a key or a signature and pads what is too short, as the
// parser the files were written for does.
func repairBase64(line string) string {
	text, _, _ := strings.Cut(line, ";")
	fields := strings.Fields(text)
	for i, f := range fields {
		fixed := map[string]int{"RRSIG": 8, "DNSKEY": 3}[strings.ToUpper(f)]
		if fixed == 0 || i+fixed+1 >= len(fields) {
			continue
		}
		data := strings.Map(func(c rune) rune {
			if c == '+' || c == '/' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' {
				return c
			}
			return -1
		}, strings.Join(fields[i+fixed+1:], ""))
		data += strings.Repeat("=", (4-len(data)%4)%4)
		return strings.Join(append(fields[:i+fixed+1:i+fixed+1], data), " ")
	}
	return line
}

func (l lineage) directives() string {
	origin, ttl := l.origin, l.ttl
	if origin == "" {
		origin = "."
	}
	if ttl == "" {
		ttl = strconv.Itoa(defaultTTL)
	}
	return "$ORIGIN " + origin + "\n$TTL " + ttl + "\n"
}

var errNoRecord = errors.New("this is no record")

func scanRecord(line string, l lineage) (Record, error) {
	var class wire.Class = wire.ClassIN
	for _, f := range strings.Fields(line)[1:] {
		if c, ok := parseClass(f); ok {
			class = c
			break
		}
		if _, ok := wire.ParseType(f); ok {
			break
		}
	}
	var list []Record
	text := l.directives() + line + "\n"
	opts := zone.LoadOptions{Name: wire.Root(), Class: class, File: "record", Workers: 1,
		Open: func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }}
	var first error
	err := zone.Scan(context.Background(), opts, func(r zone.Record) {
		list = append(list, Record{bytes.Clone(r.Owner), r.Type, class, r.TTL, bytes.Clone(r.RData)})
	}, func(err error) bool { first = err; return false })
	if first == nil {
		first = err
	}
	if first != nil {
		return Record{}, first
	}
	if len(list) != 1 {
		return Record{}, errNoRecord
	}
	return list[0], nil
}

func libraryRecord(line string, l lineage) (Record, error) {
	rr, err := dns.NewRR(l.directives() + line + "\n")
	if err != nil {
		return Record{}, err
	}
	if rr == nil {
		return Record{}, errNoRecord
	}
	buf := make([]byte, 65535)
	n, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		return Record{}, err
	}
	end, err := wire.SkipName(buf[:n], 0)
	if err != nil {
		return Record{}, err
	}
	if n < end+10 {
		return Record{}, errNoRecord
	}
	h := rr.Header()
	return Record{bytes.Clone(buf[:end]), wire.Type(h.Rrtype), wire.Class(h.Class), h.Ttl, bytes.Clone(buf[end+10 : n])}, nil
}

// rawRecord reads a record whose RDATA is in the form of RFC 3597, Section 5. The length that is written is not looked at:
// some files get it wrong so that the RDATA is.
func rawRecord(line string, l lineage) (Record, error) {
	head, tail, _ := strings.Cut(line, `\#`)
	r, err := recordHead(strings.Fields(head), l)
	if err != nil {
		return r, err
	}
	tail, _, _ = strings.Cut(tail, ";")
	fields := strings.Fields(strings.NewReplacer("(", " ", ")", " ").Replace(tail))
	if len(fields) == 0 {
		return r, errNoRecord
	}
	if _, err := strconv.Atoi(fields[0]); err != nil {
		return r, fmt.Errorf("reading the length of RDATA: %w", err)
	}
	if r.RData, err = hex.DecodeString(strings.Join(fields[1:], "")); err != nil {
		return r, fmt.Errorf("reading RDATA in hex: %w", err)
	}
	return r, nil
}

// recordHead reads owner, TTL, class and type; TTL and class may be missing or change places.
func recordHead(fields []string, l lineage) (Record, error) {
	if len(fields) == 0 {
		return Record{}, errNoRecord
	}
	name, err := parseName(fields[0], l.origin)
	if err != nil {
		return Record{}, err
	}
	r := Record{Name: name, Class: wire.ClassIN, TTL: defaultTTL}
	if n, err := strconv.ParseUint(l.ttl, 10, 32); err == nil {
		r.TTL = uint32(n)
	}
	class := false
	for i, f := range fields[1:] {
		last := i == len(fields)-2 // ANY is a class and a type
		if n, err := strconv.ParseUint(f, 10, 32); err == nil {
			r.TTL = uint32(n)
		} else if c, ok := parseClass(f); ok && r.Type == 0 && !class && !last {
			r.Class, class = c, true
		} else if t, ok := parseType(f); ok && r.Type == 0 {
			r.Type = t
		} else {
			return r, fmt.Errorf("reading a record: what is %q?", f)
		}
	}
	if r.Type == 0 {
		return r, errors.New("reading a record: no type")
	}
	return r, nil
}

// parseQuestion reads a line of the question section.
func parseQuestion(line string, l lineage) (Record, error) {
	line, _, _ = strings.Cut(line, ";")
	r, err := recordHead(strings.Fields(line), l)
	r.TTL = 0
	return r, err
}

func parseName(text, origin string) (wire.Name, error) {
	if text == "@" {
		text = origin
	} else if origin != "" && origin != "." && !strings.HasSuffix(text, ".") {
		text += "." + origin
	}
	if text == "" {
		text = "."
	}
	return wire.ParseName(text)
}

// metaTypes are types that only questions have.
var metaTypes = map[string]wire.Type{"ANY": 255, "AXFR": 252, "IXFR": 251, "MAILA": 254, "MAILB": 253}

func parseType(s string) (wire.Type, bool) {
	if t, ok := metaTypes[strings.ToUpper(s)]; ok {
		return t, true
	}
	return wire.ParseType(s)
}

func typeText(t wire.Type) string {
	for name, meta := range metaTypes {
		if meta == t {
			return name
		}
	}
	return t.String()
}

func parseClass(s string) (wire.Class, bool) {
	switch strings.ToUpper(s) {
	case "IN":
		return wire.ClassIN, true
	case "CH":
		return 3, true
	case "HS":
		return 4, true
	case "NONE":
		return 254, true
	case "ANY":
		return 255, true
	}
	if len(s) > 5 && strings.EqualFold(s[:5], "CLASS") {
		if n, err := strconv.ParseUint(s[5:], 10, 16); err == nil {
			return wire.Class(n), true
		}
	}
	return 0, false
}

// key is the record with names in lower case, for comparing; the TTL only if ttl is set.
func (r Record) key(ttl bool) string {
	b := r.Name.AppendLower(nil)
	b = append(b, byte(r.Type>>8), byte(r.Type), byte(r.Class>>8), byte(r.Class))
	if ttl {
		b = append(b, byte(r.TTL>>24), byte(r.TTL>>16), byte(r.TTL>>8), byte(r.TTL))
	}
	at := len(b)
	b = append(b, r.RData...)
	if wire.CheckRData(r.Type, r.RData) == nil {
		wire.RDataNames(r.Type, r.RData, func(start, end int) {
			for i := at + start; i < at+end; i++ {
				b[i] = wire.Lower(b[i])
			}
		})
	}
	return string(b)
}
