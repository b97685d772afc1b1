package transfer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"anyu/dns/wire"
	"anyu/dns/zone"
)

// NOTIFY is sent notifyTries times, each wait twice the one before (RFC 1996, Section 3.6 suggests 5 tries, 60 s apart).
const (
	notifyTries = 6
	notifyWait  = 2 * time.Second // for the first answer
	notifyMost  = time.Minute
)

// notifyPause is how long to wait for the answer to a try, from 0.
func notifyPause(try int) time.Duration { return min(notifyWait<<try, notifyMost) }

// tell sends a NOTIFY about a version to all secondaries of a zone. One about the version before is given up.
func (r *Room) tell(e *entry, serial uint32) {
	r.mu.RLock()
	parent := r.started
	r.mu.RUnlock()
	list := e.conf.Load().Secondaries
	if parent == nil || parent.Err() != nil || len(list) == 0 {
		return
	}
	ctx, cancel := context.WithCancel(parent)
	told := make([]Told, len(list))
	for i := range list {
		told[i] = Told{Address: list[i].String(), Serial: serial}
	}
	e.mu.Lock()
	if e.telling != nil {
		e.telling()
	}
	e.telling, e.state.Secondaries = cancel, told
	e.mu.Unlock()
	for i := range list {
		r.running.Go(func() { r.tellOne(ctx, e, i, &list[i], serial) })
	}
}

// tellOne sends to one secondary until it answers or the tries are used up.
func (r *Room) tellOne(ctx context.Context, e *entry, i int, to *Remote, serial uint32) {
	for try := range notifyTries {
		started := r.now()
		err := r.tellOnce(ctx, e, to, notifyPause(try))
		if ctx.Err() != nil {
			return // a newer version is being told
		}
		e.note(func(s *State) {
			if i >= len(s.Secondaries) || s.Secondaries[i].Serial != serial {
				return
			}
			t := &s.Secondaries[i]
			t.Tries, t.Error = try+1, ""
			if err != nil {
				t.Error = err.Error()
			} else {
				t.Acked = r.now().UTC()
			}
		})
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(notifyPause(try) - r.now().Sub(started)):
		}
	}
	r.log.Warn("secondary does not take notify", "zone", e.text, "secondary", to.String(), "serial", serial, "tries", notifyTries)
}

func (r *Room) tellOnce(ctx context.Context, e *entry, to *Remote, wait time.Duration) error {
	select {
	case r.telling <- struct{}{}:
		defer func() { <-r.telling }()
	case <-ctx.Done():
		return ctx.Err()
	}
	z := e.zone.Load()
	if z == nil {
		return errors.New("zone is not loaded")
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	network := "udp"
	if to.TLS != nil {
		network = "tls"
	}
	return r.exchange(ctx, to, network, notifyMessage(uint16(r.opts.Random()), z), wait, func(msg []byte) (bool, error) {
		// RFC 1996, Section 4.8: any RCODE ends it but those that say "not now".
		if rcode := wire.ReadHeader(msg).Rcode(); rcode != wire.NoError {
			return true, fmt.Errorf("secondary answers %v", rcode)
		}
		return true, nil
	})
}

// notifyMessage: RFC 1996, Section 3.7: opcode NOTIFY, AA, the question SOA, the SOA as a hint in the answer.
func notifyMessage(id uint16, z *zone.Zone) []byte {
	var b wire.Builder
	b.Reset(make([]byte, 1024))
	b.Question(z.Apex(), wire.TypeSOA, z.Class())
	ttl, soa := soaOf(z)
	b.RR(wire.Answers, z.Apex(), wire.TypeSOA, z.Class(), ttl, soa)
	return b.Finish(id, uint16(wire.OpcodeNotify)<<11|wire.FlagAA)
}
