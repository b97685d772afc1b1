package outbound

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"

	"anyu/dns/message"
	"anyu/dns/wire"
	"anyu/serve"
)

// Loops are several loops as one resolver. Equal questions come to the same loop, so that they are resolved once; so do the questions for
// all types of a name, since they need the same delegations.
type Loops struct {
	all  []*Loop
	seed maphash.Seed
}

// Together makes one resolver of loops. They share the server table, the cache and the streams, and each has an engine of its own.
func Together(all ...*Loop) *Loops {
	return &Loops{all: all, seed: maphash.MakeSeed()}
}

// Resolve takes a query over. False: too many wait to be looked at.
func (l *Loops) Resolve(d *serve.Deferred) bool { return l.of(d.Question.Name).Resolve(d) }

// Prefetch has an answer renewed, if there is time for it. It does not keep the name.
func (l *Loops) Prefetch(q message.Question, cd bool) { l.of(q.Name).Prefetch(q, cd) }

func (l *Loops) of(name wire.Name) *Loop {
	if len(l.all) == 1 {
		return l.all[0]
	}
	var room [wire.MaxName]byte
	return l.all[maphash.Bytes(l.seed, name.AppendLower(room[:0]))%uint64(len(l.all))]
}

// Each are the loops, to call and to count.
func (l *Loops) Each() []*Loop { return l.all }

// Counts of all loops together.
func (l *Loops) Counts() (sum Counts) {
	for _, one := range l.all {
		c := one.Counts()
		sum.Sent += c.Sent
		sum.SentStream += c.SentStream
		sum.Received += c.Received
		sum.Foreign += c.Foreign
		sum.TimedOut += c.TimedOut
		sum.Errors += c.Errors
		sum.Refused += c.Refused
		sum.Waiting += c.Waiting
	}
	return sum
}

// Run runs all loops until ctx ends, or one of them cannot go on: then all end.
func (l *Loops) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make([]error, len(l.all))
	var running sync.WaitGroup
	for i, one := range l.all {
		running.Go(func() {
			defer cancel()
			failed[i] = one.Run(ctx)
		})
	}
	running.Wait()
	return errors.Join(failed...)
}
