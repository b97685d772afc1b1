package replay

import (
	"fmt"
	"strconv"
	"strings"

	"anyu/dns/wire"
)

// parseAnchors reads a key file of Unbound: records, with `;;state=N` behind them once the file was written by the program. A key
// without a state is one that an operator put there; it is valid. revoked tells that the file says `;;REVOKED`: every key was
// revoked and the zone counts as one without an anchor. at is the line of the error, from 1.
func parseAnchors(lines []string) (keys []AnchorKey, revoked bool, at int, err error) {
	for i, line := range lines {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, ";;REVOKED") {
			revoked = true
		}
		if line == "" || line[0] == ';' || line[0] == '$' {
			continue
		}
		record, comment, _ := strings.Cut(line, ";")
		r, err := parseRecord(record, lineage{})
		if err != nil {
			return nil, false, i + 1, fmt.Errorf("reading an anchor: %w", err)
		}
		if r.Type != wire.TypeDNSKEY && r.Type != wire.TypeDS {
			continue
		}
		k := AnchorKey{r.Name, r.Type, r.RData, AnchorValid}
		if _, state, ok := strings.Cut(comment, ";;state="); ok {
			n, err := strconv.Atoi(state[:min(1, len(state))])
			if err != nil || n > int(AnchorRemoved) {
				return nil, false, i + 1, fmt.Errorf("reading an anchor: there is no state %q", state)
			}
			k.State = AnchorState(n)
		}
		keys = append(keys, k)
	}
	return keys, revoked, 0, nil
}

// key of an anchor for comparing: owner, type and RDATA without the REVOKE bit, which the state says already.
func (k AnchorKey) key() string {
	b := k.Owner.AppendLower(nil)
	b = append(b, byte(k.Type>>8), byte(k.Type))
	at := len(b)
	b = append(b, k.RData...)
	if k.Type == wire.TypeDNSKEY && len(k.RData) >= 2 {
		b[at+1] &^= 0x80
	}
	return string(b)
}

func (k AnchorKey) String() string {
	s := Record{k.Owner, k.Type, wire.ClassIN, 0, k.RData}.String()
	if len(s) > 60 {
		s = s[:60] + "..."
	}
	return s + " " + k.State.String()
}

// compareAnchors tells how two lists of keys differ; empty when they do not. Keys in state START are not kept by everybody and
// stand for nothing (RFC 5011, Section 4): they are left out.
func compareAnchors(want, got []AnchorKey) []string {
	index := func(list []AnchorKey) map[string]AnchorKey {
		m := make(map[string]AnchorKey)
		for _, k := range list {
			if k.State != AnchorStart {
				m[k.key()] = k
			}
		}
		return m
	}
	var diff []string
	w, g := index(want), index(got)
	for _, k := range want {
		if k.State == AnchorStart {
			continue
		}
		switch other, ok := g[k.key()]; {
		case !ok:
			diff = append(diff, "missing "+k.String())
		case other.State != k.State:
			diff = append(diff, fmt.Sprintf("state %s, not %s: %s", other.State, k.State, k))
		}
	}
	for _, k := range got {
		if _, ok := w[k.key()]; !ok && k.State != AnchorStart {
			diff = append(diff, "not expected "+k.String())
		}
	}
	return diff
}
