package config

import (
	"slices"
	"strings"
)

// LogColumns are the columns of the query log that Log.Without may name. docs/formats/log.md tells what is in them.
func LogColumns() []string {
	return []string{"client", "client_port", "qname", "qname_asked", "qtype", "qclass", "rcode", "query_flags", "flags", "edns_payload", "do", "ede", "query_size", "reply_size",
		"latency_us", "zone", "server", "server_port", "id", "policy", "ecs", "upstream", "asked", "answers", "answer_ips"}
}

func (l *Log) check() error {
	for _, name := range l.Without {
		if !slices.Contains(LogColumns(), name) {
			return wrong("$.log.without", "%q is no column that can be left out: there are %s", name, strings.Join(LogColumns(), ", "))
		}
	}
	if err := l.Clients.check(); err != nil {
		return err
	}
	return l.ClickHouse.check()
}
