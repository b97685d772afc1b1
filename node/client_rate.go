package node

import (
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"anyu/config"
	"anyu/event"
	"anyu/serve/filter"
)

// kindClientRate is the finding that clients ask more than recursion.rate lets them.
const kindClientRate = "client-rate"

const (
	rateLook   = 5 * time.Second // how often is looked whether somebody was over the limit
	rateAgain  = time.Minute     // how often an open finding is brought up to date, and how long it must be quiet to end
	worstShown = 5
)

// ClientRateState is the limit of queries of one client, and who met it.
type ClientRateState struct {
	PerSecond int `json:"per_second"` // 0: there is none
	Burst     int `json:"burst"`
	Prefix4   int `json:"prefix4"`
	Prefix6   int `json:"prefix6"`
	filter.Over
	// Worst are the prefixes that are over the limit now, with how many of their queries were, at least.
	Worst []filter.Offender `json:"worst,omitempty"`
}

// clientRate is the limiter in use, with what it was made of.
type clientRate struct {
	conf    config.ClientRate
	limiter *filter.Clients // nil: no limit
	before  filter.Over     // by limiters of before
	worst   []filter.Offender
}

// over is since the start.
func (c *clientRate) over() filter.Over {
	sum := c.before
	if c.limiter != nil {
		now := c.limiter.Over()
		sum.Dropped += now.Dropped
		sum.Truncated += now.Truncated
		sum.Refused += now.Refused
	}
	return sum
}

// limitClients makes the limiter that a configuration wants; the one in use goes on if it is the same.
func (r *resolver) limitClients(c config.ClientRate) *filter.Clients {
	r.mu.Lock()
	defer r.mu.Unlock()
	if reflect.DeepEqual(c, r.rate.conf) {
		return r.rate.limiter
	}
	r.rate = clientRate{conf: c, before: r.rate.over()}
	if c.PerSecond > 0 {
		var seed [16]byte
		crand.Read(seed[:]) // never fails: crypto/rand ends the process instead
		r.rate.limiter = filter.NewClients(filter.ClientsConfig{PerSecond: uint32(c.PerSecond), Burst: uint32(c.Burst), Slip: uint32(*c.Slip), Bits4: c.Prefix4, Bits6: c.Prefix6,
			Exempt: filter.NewACL(c.Exempt)}, [2]uint64{binary.LittleEndian.Uint64(seed[:]), binary.LittleEndian.Uint64(seed[8:])})
	}
	return r.rate.limiter
}

// rateState is for people. r.mu is held.
func (r *resolver) rateState() ClientRateState {
	c := r.rate.conf
	return ClientRateState{PerSecond: c.PerSecond, Burst: c.Burst, Prefix4: c.Prefix4, Prefix6: c.Prefix6, Over: r.rate.over(), Worst: r.rate.worst}
}

// watchClients finds clients over the limit.
func (r *resolver) watchClients(ctx context.Context, sink event.Sink, node string) {
	var seen uint64
	var bitten, told time.Time
	for {
		select {
		case <-time.After(rateLook):
		case <-ctx.Done():
			return
		}
		now := time.Now()
		r.mu.Lock()
		all, conf := r.rate.over().All(), r.rate.conf
		switch {
		case all > seen && r.rate.limiter != nil:
			bitten = now
			r.rate.worst = r.rate.limiter.Worst()
			r.rate.worst = r.rate.worst[:min(len(r.rate.worst), worstShown)]
			r.rate.limiter.Forget()
		case now.Sub(bitten) >= rateAgain:
			r.rate.worst = nil
		}
		worst := r.rate.worst
		r.mu.Unlock()
		seen = all
		switch {
		case bitten.IsZero():
		case now.Sub(bitten) >= rateAgain:
			report(sink, kindClientRate, node, event.Warning, true, nil)
			bitten, told = time.Time{}, time.Time{}
		case now.Sub(told) >= rateAgain:
			told = now
			report(sink, kindClientRate, node, event.Warning, false, func() []event.Fact {
				return []event.Fact{{Name: "clients", Value: offendersText(worst)}, {Name: "limit-queries", Value: strconv.Itoa(conf.PerSecond)}}
			})
		}
	}
}

func offendersText(list []filter.Offender) string {
	var texts []string
	for _, o := range list {
		texts = append(texts, fmt.Sprintf("%s (%d)", o.Prefix, o.Count))
	}
	return strings.Join(texts, ", ")
}
