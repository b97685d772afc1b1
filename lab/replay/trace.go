package replay

import (
	"fmt"
	"strings"
	"time"
)

// tracef writes a line of the trace, with the clock before it.
func (r *run) tracef(format string, args ...any) {
	if r.opts.Trace != nil {
		fmt.Fprintf(r.opts.Trace, "%14s %s\n", clock(r.now), fmt.Sprintf(format, args...))
	}
}

func (r *run) trace(text string) {
	if r.opts.Trace != nil {
		fmt.Fprint(r.opts.Trace, text)
	}
}

func (r *run) traceMessage(m *Message) {
	if r.opts.Trace != nil {
		fmt.Fprint(r.opts.Trace, m.Text(strings.Repeat(" ", 19)))
	}
}

// clock is a time in seconds; the date stands behind it once it is one.
func clock(ns int64) string {
	return fmt.Sprintf("%.3f", float64(ns)/float64(time.Second))
}

// String lists the words as they stand in a file.
func (w Words) String() string {
	var list []string
	for i, name := range wordNames {
		if w&(1<<i) != 0 {
			list = append(list, name)
		}
	}
	if list == nil {
		return "(anything)"
	}
	return strings.Join(list, " ")
}

// wordNames in the order of the bits.
var wordNames = [...]string{"opcode", "rcode", "qtype", "qname", "qcase", "subdomain", "question", "answer", "authority", "additional",
	"flags", "edns", "all", "all_noedns", "ttl", "DO", "CO", "noedns", "ednsdata", "UDP", "TCP", "serial", "ede", "client_cookie", "server_cookie"}
