package anchor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"anyu/dns/dnssec"
	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/serve/validate"
)

// MaxFile is the longest file of trust anchors that is read.
const MaxFile = 1 << 20

// Read reads DS and DNSKEY records in master file form, of any zones, as trust anchors.
func Read(text string) (list []validate.Anchor, err error) {
	err = records(text, func(a validate.Anchor, _ uint32) { list = append(list, a) })
	if err == nil && len(list) == 0 {
		err = errors.New("reading trust anchors: no DS or DNSKEY record")
	}
	return list, err
}

// Parse reads a key file: DS and DNSKEY records of one zone, with the states that Text writes behind them where there are any.
func Parse(text string) (*Point, error) {
	p := &Point{}
	var other error
	err := records(text, func(a validate.Anchor, ttl uint32) {
		if p.Zone == nil {
			p.Zone, p.TTL = a.Zone, ttl
		}
		if !p.Zone.Equal(a.Zone) {
			other = fmt.Errorf("reading a key file: records of %v and of %v", p.Zone, a.Zone)
		}
		p.Keys = append(p.Keys, Key{Type: a.Type, Data: a.Data})
	})
	switch {
	case err != nil:
		return nil, err
	case other != nil:
		return nil, other
	case p.Zone == nil:
		return nil, errors.New("reading a key file: no DS or DNSKEY record")
	case len(p.Keys) > MaxKeys:
		return nil, fmt.Errorf("reading a key file: %d keys, at most %d", len(p.Keys), MaxKeys)
	}
	for line := range strings.Lines(text) {
		if err := p.remark(strings.TrimSpace(line)); err != nil {
			return nil, fmt.Errorf("reading a key file: %q: %w", strings.TrimSpace(line), err)
		}
	}
	p.settle()
	return p, nil
}

// records reads the records of a text, signatures left out.
func records(text string, each func(a validate.Anchor, ttl uint32)) error {
	if len(text) > MaxFile {
		return fmt.Errorf("reading trust anchors: more than %d octets", MaxFile)
	}
	var wrong error
	opts := zone.LoadOptions{Name: wire.Root(), Workers: 1, File: "trust anchors",
		Open: func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("$TTL 3600\n" + text)), nil }}
	err := zone.Scan(context.Background(), opts, func(r zone.Record) {
		if r.Type == wire.TypeRRSIG {
			return // what a query tool printed, saved as it was
		}
		a := validate.Anchor{Zone: append(wire.Name{}, r.Owner...), Type: r.Type, Data: append([]byte{}, r.RData...)}
		if err := a.Check(); err != nil && wrong == nil {
			wrong = err
		}
		each(a, r.TTL)
	}, func(error) bool { return false })
	if err == nil {
		err = wrong
	}
	if err != nil {
		return fmt.Errorf("reading trust anchors: %w", err)
	}
	return nil
}

// remark reads what a line says in comments.
func (p *Point) remark(line string) error {
	if rest, ok := strings.CutPrefix(line, ";;"); ok {
		name, value, ok := strings.Cut(rest, ":")
		if !ok {
			return nil
		}
		value, _, _ = strings.Cut(value, ";;")
		return p.field(name, strings.TrimSpace(value))
	}
	record, remarks, ok := strings.Cut(line, ";;state=")
	if !ok || strings.HasPrefix(line, ";") {
		return nil
	}
	var found *Key
	err := records(record, func(a validate.Anchor, _ uint32) {
		for i := range p.Keys {
			if k := &p.Keys[i]; k.Type == a.Type && string(k.Data) == string(a.Data) {
				found = k
			}
		}
	})
	if err != nil || found == nil {
		return err
	}
	return found.remark("state=" + remarks)
}

// remark reads the comments behind a key.
func (k *Key) remark(text string) error {
	for part := range strings.SplitSeq(text, ";;") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok {
			continue
		}
		value, _, _ = strings.Cut(value, " ")
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return err
		}
		switch name {
		case "state":
			if n < 0 || n > int64(Removed) {
				return fmt.Errorf("state %d is none", n)
			}
			k.State = State(n)
		case "count":
			k.Seen = int(n)
		case "lastchange":
			k.Changed = n
		}
	}
	return nil
}

// field reads a line about the zone as a whole.
func (p *Point) field(name, value string) error {
	fields := map[string]*int64{"last_queried": &p.LastQueried, "last_success": &p.LastSuccess, "next_probe_time": &p.NextProbe,
		"query_interval": &p.QueryInterval, "retry_time": &p.RetryTime}
	if name != "query_failed" && fields[name] == nil {
		return nil
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return err
	}
	if name == "query_failed" {
		p.Failed = int(n)
		return nil
	}
	*fields[name] = n
	return nil
}

// Text writes the key file.
func (p *Point) Text() string {
	var b strings.Builder
	b.WriteString("; trust anchors, kept current as RFC 5011 says; written by the resolver after each probe\n")
	fmt.Fprintf(&b, ";;id: %v 1\n", p.Zone)
	if p.over {
		b.WriteString(";;REVOKED\n; all keys are revoked: the zone is not validated any more; new anchors have to be brought by hand\n")
	}
	for _, f := range []struct {
		name string
		at   int64
	}{{"last_queried", p.LastQueried}, {"last_success", p.LastSuccess}, {"next_probe_time", p.NextProbe}} {
		fmt.Fprintf(&b, ";;%s: %d ;;%s\n", f.name, f.at, timeText(f.at))
	}
	fmt.Fprintf(&b, ";;query_failed: %d\n;;query_interval: %d\n;;retry_time: %d\n", p.Failed, p.QueryInterval, p.RetryTime)
	for _, k := range p.Keys {
		b.WriteString(p.line(k))
	}
	return b.String()
}

// line is a key with its state.
func (p *Point) line(k Key) string {
	text := string(zone.AppendRecordText(nil, zone.Record{Owner: p.Zone, Type: k.Type, TTL: p.TTL, RData: k.Data}, wire.ClassIN))
	if k.Type == wire.TypeDNSKEY {
		text += fmt.Sprintf(" ;{id = %d}", dnssec.KeyTag(k.Data))
	}
	if k.State == Start {
		return text + "\n"
	}
	return fmt.Sprintf("%s ;;state=%d [%s] ;;count=%d ;;lastchange=%d ;;%s\n", text, k.State, k.State, k.Seen, k.Changed, timeText(k.Changed))
}

func timeText(seconds int64) string { return time.Unix(seconds, 0).UTC().Format(time.ANSIC) }
