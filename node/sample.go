package node

import (
	"fmt"
	"strings"
	"time"

	"anyu/config"
	"anyu/dns/wire"
	"anyu/watch/trail"
)

// logRules are those of the configuration, which were checked.
func logRules(rules []config.LogRule) (list []trail.Rule) {
	for _, r := range rules {
		out := trail.Rule{Clients: r.Clients, Sources: r.Sources, OneOf: *r.OneOf}
		for _, text := range r.Names {
			name, err := wire.ParseName(text)
			if err != nil {
				continue
			}
			lower := make([]byte, len(name))
			for i := range lower {
				lower[i] = wire.Lower(name[i])
			}
			out.Names = append(out.Names, string(lower))
		}
		list = append(list, out)
	}
	return list
}

// sampled says in words what of the questions is logged.
func sampled(c *config.Log) string {
	text := "every query is"
	if c.Sample > 1 {
		text = fmt.Sprintf("one query of %d, by chance, is", c.Sample)
	}
	if n := len(c.Rules); n > 0 {
		text = fmt.Sprintf("by %d rules, else %s", n, text)
	}
	return text
}

// SampledNote tells in a line which part of a time was sampled; "" where none was. A log whose notes cannot be read is said to be unknown.
func SampledNote(log *trail.Trail, from, to time.Time) string {
	list, err := log.Sampled(from, to)
	if err != nil {
		return "whether the log was sampled is unknown: " + err.Error()
	}
	var b strings.Builder
	for i, s := range list {
		if i == 3 {
			fmt.Fprintf(&b, " and %d times more,", len(list)-i)
			break
		}
		until := "now"
		if !s.To.IsZero() {
			until = s.To.Local().Format(time.DateTime)
		}
		fmt.Fprintf(&b, " from %s to %s one of %d", s.From.Local().Format(time.DateTime), until, s.OneOf)
		if s.Rules > 0 {
			fmt.Fprintf(&b, " and by %d rules", s.Rules)
		}
		if s.Pressure > 1 {
			b.WriteString(" for want of space")
		}
		b.WriteByte(',')
	}
	if b.Len() == 0 {
		return ""
	}
	return "not every question was logged:" + strings.TrimSuffix(b.String(), ",") + "; the column sample says for how many a row stands"
}
