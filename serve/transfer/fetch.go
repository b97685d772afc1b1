package transfer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"anyu/dns/wire"
	"anyu/dns/zone"
)

const (
	// askTries is how often a SOA is asked for over UDP, askWait how long each may take; then TCP is tried: UDP may be blocked.
	askTries = 2
	askWait  = 2 * time.Second
	// askPatience bounds the whole.
	askPatience = 15 * time.Second
)

// PrimarySOA is what a primary says about its version.
type PrimarySOA struct {
	Serial        uint32
	Expire        time.Duration // EXPIRE, negative without (RFC 7314)
	Authoritative bool
}

// question writes a query for the zone with an OPT record that asks for EXPIRE; have is put into the authority section for IXFR (RFC
// 1995, Section 3).
func question(id uint16, apex wire.Name, t wire.Type, have *zone.Zone) []byte {
	var b wire.Builder
	b.Reset(make([]byte, 1536))
	b.Question(apex, t, wire.ClassIN)
	if t == wire.TypeIXFR {
		ttl, soa := soaOf(have)
		b.RR(wire.Authorities, apex, wire.TypeSOA, wire.ClassIN, ttl, soa)
	}
	b.Raw(wire.Additionals, 1, []byte{0, 0, byte(wire.TypeOPT), ourPayload >> 8, ourPayload & 0xFF, 0, 0, 0, 0, 0, 4, 0, wire.OptionExpire, 0, 0})
	return b.Finish(id, 0)
}

// ask asks a primary for its SOA, over UDP and then TCP.
func (r *Room) ask(ctx context.Context, e *entry, to *Remote) (got PrimarySOA, err error) {
	select {
	case r.asking <- struct{}{}:
		defer func() { <-r.asking }()
	case <-ctx.Done():
		return got, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	truncated, stream := false, false
	take := func(msg []byte) (bool, error) {
		if wire.ReadHeader(msg).Flags&wire.FlagTC != 0 {
			truncated = true
			return true, nil
		}
		var err error
		got, err = ReadSOA(msg, e.name)
		if err == nil && !got.Authoritative && !stream {
			err = errNotAuthoritative // perhaps somebody else's word: port 53 may be redirected
		}
		return true, err
	}
	for range askTries {
		query := question(uint16(r.opts.Random()), e.name, wire.TypeSOA, nil)
		if err = r.exchange(ctx, to, "udp", query, askWait, take); err == nil && !truncated {
			return got, nil
		}
		var rcode *RcodeError
		if truncated || errors.As(err, &rcode) || ctx.Err() != nil {
			break
		}
	}
	if err != nil && (errors.As(err, new(*RcodeError)) || ctx.Err() != nil) {
		return got, err
	}
	query := question(uint16(r.opts.Random()), e.name, wire.TypeSOA, nil)
	truncated, stream = false, true
	if tcp := r.exchange(ctx, to, "tcp", query, askWait*2, take); tcp != nil {
		return got, errors.Join(err, tcp)
	}
	if truncated {
		return got, errStream
	}
	return got, nil
}

// ReadSOA reads the answer to a question for the SOA.
func ReadSOA(msg []byte, apex wire.Name) (PrimarySOA, error) {
	got := PrimarySOA{Expire: -1}
	h := wire.ReadHeader(msg)
	if h.Rcode() != wire.NoError {
		return got, &RcodeError{h.Rcode()}
	}
	serial, ok := clientSerial(msg, apex, wire.Answers)
	if !ok {
		return got, errors.New("primary gives no SOA")
	}
	got.Serial, got.Authoritative = serial, h.Flags&wire.FlagAA != 0
	var p wire.Parser
	p.Start(msg)
	for p.Section() != wire.Done {
		if p.Section() == wire.Questions {
			if _, err := p.Question(); err != nil {
				return got, err
			}
			continue
		}
		rr, err := p.RR()
		if err != nil {
			return got, err
		}
		if rr.Type == wire.TypeOPT {
			if s := expireOf(rr.RData, -1); s >= 0 {
				got.Expire = time.Duration(s) * time.Second
			}
		}
	}
	return got, nil
}

// fetch transfers the zone, whole or what changed since base.
func (r *Room) fetch(ctx context.Context, e *entry, to *Remote, t wire.Type, base *zone.Zone) (*Receiver, error) {
	select {
	case r.fetching <- struct{}{}:
		defer func() { <-r.fetching }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithTimeoutCause(ctx, r.limits.Transfer, fmt.Errorf("%w: longer than %v", errLimit, r.limits.Transfer))
	defer cancel()
	network := "tcp"
	if to.TLS != nil {
		network = "tls"
	}
	in := NewReceiver(e.name, t, base, r.limits)
	query := question(uint16(r.opts.Random()), e.name, t, base)
	if err := r.exchange(ctx, to, network, query, r.limits.Message, in.Message); err != nil {
		return in, err
	}
	return in, nil
}

// WholeMayHelp tells whether after a failed IXFR the same primary is asked for the whole zone: it does not know IXFR, or what it
// sent does not fit. Where it could not be reached, or does not know the key, it is of no use.
func WholeMayHelp(err error) bool {
	var rcode *RcodeError
	if errors.As(err, &rcode) {
		return rcode.Rcode != wire.NotAuth
	}
	return errors.Is(err, errInconsistent) || errors.Is(err, errStream) || errors.Is(err, errPolicy)
}
