package node

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"anyu/config"
	"anyu/dns/dnssec"
	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/event"
	"anyu/serve"
	"anyu/serve/filter"
	"anyu/serve/resolve"
)

// Lookup is what one resolution in this process found, and the walk to it.
type Lookup struct {
	Question                      message.Question
	Rcode                         wire.Rcode
	Security                      string
	Secure                        bool
	Reason                        uint16 // RFC 8914; event.NoReason: none
	Text                          string
	Answer, Authority, Additional []*message.RRset
	Sends                         int // questions to servers
	Took                          time.Duration
	Steps                         []LookupStep
}

// LookupStep is one thing that happened on the way.
type LookupStep struct {
	Depth int // how deep in looking up what else was needed
	At    time.Duration
	Text  string
}

// lookupPatience is longer than any resolution takes.
const lookupPatience = resolve.MaxTime + 3*time.Second

// Query resolves a question in this process: the engine and the sockets of a node, with an empty cache and its configuration of stub and
// forward zones and trust anchors. No node needs to run.
func Query(ctx context.Context, c *config.Config, q message.Question, unchecked bool, log *slog.Logger) (*Lookup, error) {
	p, err := planRecursion(c, time.Now())
	if err != nil {
		return nil, err
	}
	if p.conf.Off {
		return nil, errNoRecursion
	}
	p.cache.Bytes = queryCache
	nta, err := openNegatives("")
	if err != nil {
		return nil, err
	}
	r, err := newResolver(resolverParts{plan: p, nta: nta, log: log})
	if err != nil {
		return nil, err
	}
	server := serve.New(&serve.Config{Payload: 1232, Clients: filter.Everybody()}, event.NewNames(), nil, nil)
	if err := r.attach(server, 1, func() *serve.Worker { return server.NewWorker(nil, 0) }); err != nil {
		return nil, err
	}
	r.run(ctx)
	defer r.close()
	ctx, cancel := context.WithTimeout(ctx, lookupPatience)
	defer cancel()
	start := time.Now()
	a, err := r.ask(ctx, q, resolve.Options{CD: unchecked, Trace: true})
	if err != nil {
		return nil, fmt.Errorf("resolving %s: %w", q, err)
	}
	l := &Lookup{Question: q, Rcode: a.Rcode, Security: a.Security.String(), Secure: a.Security == dnssec.Secure, Reason: a.Reason, Text: a.Text,
		Answer: a.Answer, Authority: a.Authority, Additional: a.Additional, Sends: a.Sends, Took: time.Since(start)}
	for _, s := range a.Trace {
		l.Steps = append(l.Steps, LookupStep{Depth: s.Depth, At: s.At, Text: s.String()})
	}
	return l, nil
}

// queryCache is enough for one question.
const queryCache = 16 << 20
