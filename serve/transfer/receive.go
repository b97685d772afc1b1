package transfer

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"anyu/dns/wire"
	"anyu/dns/zone"
)

// Errors of a transfer coming in. errInconsistent means that the changes do not fit what we have: the whole zone may.
var (
	errInconsistent = errors.New("changes do not fit our version")
	errStream       = errors.New("transfer is malformed")
	errLimit        = errors.New("transfer exceeds a limit")
	errPolicy       = errors.New("version is refused")
	errLower        = errors.New("primary is behind us")
)

// RcodeError is an answer that is an error.
type RcodeError struct{ Rcode wire.Rcode }

func (e *RcodeError) Error() string { return "primary answers " + e.Rcode.String() }

// Receiver makes versions of a zone out of the messages of one transfer. It is pure: messages in, versions out.
type Receiver struct {
	apex   wire.Name
	asked  wire.Type
	base   *zone.Zone // our version; nil: none
	limits Limits

	phase    phase
	first    []byte // the first SOA, canonical
	serial   uint32 // its serial
	edit     *zone.Edit
	last     *zone.Zone // the version the step in hand starts from
	balance  int        // records added less removed in the step
	versions []*zone.Zone

	bytes   int64
	records int64
	dropped int // records outside the zone
	expire  int64
	parser  wire.Parser
	rdata   []byte
}

// phase is what comes next.
type phase uint8

const (
	wantFirst  phase = iota // the SOA of the newest version
	wantSecond              // tells the form
	inZone                  // records of a whole zone
	inRemoved               // of a step
	inAdded
	complete
	upToDate
)

// NewReceiver expects the answer to a request for typ, AXFR or IXFR from base.
func NewReceiver(apex wire.Name, typ wire.Type, base *zone.Zone, limits Limits) *Receiver {
	return &Receiver{apex: apex, asked: typ, base: base, limits: limits.withDefaults(), expire: -1}
}

// Message takes the next message, without its TSIG; done says that it was the last. After an error the Receiver is of no use.
func (r *Receiver) Message(msg []byte) (done bool, err error) {
	if r.bytes += int64(len(msg)); r.bytes > r.limits.Bytes {
		return true, fmt.Errorf("%w: more than %d octets", errLimit, r.limits.Bytes)
	}
	h, err := r.parser.Start(msg)
	if err != nil {
		return true, fmt.Errorf("%w: %w", errStream, err)
	}
	if h.Flags&wire.FlagQR == 0 || h.Opcode() != wire.OpcodeQuery || h.Flags&wire.FlagTC != 0 {
		return true, fmt.Errorf("%w: flags %04x", errStream, h.Flags)
	}
	if h.Rcode() != wire.NoError {
		return true, &RcodeError{h.Rcode()}
	}
	if err := r.question(h.QD); err != nil {
		return true, err
	}
	for r.parser.Section() != wire.Done {
		rr, err := r.parser.RR()
		if err != nil {
			return true, fmt.Errorf("%w: %w", errStream, err)
		}
		if rr.Section == wire.Answers {
			err = r.record(msg, &rr)
		} else if rr.Type == wire.TypeOPT {
			r.expire = expireOf(rr.RData, r.expire)
		}
		if err != nil {
			return true, err
		}
	}
	// RFC 1995, Section 2: the SOA alone, not newer than ours, means that there is nothing to do. A newer one may stand in a
	// message of its own before the rest.
	if r.phase == wantSecond && r.asked == wire.TypeIXFR && !newer(r.serial, r.base.Serial()) {
		r.phase = upToDate
	}
	return r.phase >= complete, nil
}

// question: RFC 5936, Section 2.2.1: the first message repeats it, the others may.
func (r *Receiver) question(count uint16) error {
	if count == 0 && r.phase != wantFirst {
		return nil
	}
	if count != 1 {
		return fmt.Errorf("%w: %d questions", errStream, count)
	}
	q, err := r.parser.Question()
	if err != nil || !q.Name.Equal(r.apex) || q.Type != r.asked || q.Class != wire.ClassIN {
		return fmt.Errorf("%w: it is for another question", errStream)
	}
	return nil
}

// record takes one record of the answer section.
func (r *Receiver) record(msg []byte, rr *wire.RR) (err error) {
	if r.records++; r.records > r.limits.Records {
		return fmt.Errorf("%w: more than %d records", errLimit, r.limits.Records)
	}
	if r.phase >= complete {
		// RFC 5936, Section 2.2: the SOA ends the zone; one in the middle is an error. (case 67)
		return fmt.Errorf("%w: records after the last SOA", errStream)
	}
	if rr.Class != wire.ClassIN {
		return fmt.Errorf("%w: class %v", errStream, rr.Class)
	}
	if !rr.Name.IsSubdomainOf(r.apex) {
		if r.phase == wantFirst {
			return fmt.Errorf("%w: it does not begin with the SOA of the zone", errStream)
		}
		// What is outside the zone is not the primary's to tell. (case 67; servers.md 3.2, transfer trust)
		r.dropped++
		return nil
	}
	if r.rdata, err = wire.UnpackRData(msg, rr.Type, rr.RDataOff, len(rr.RData), r.rdata[:0]); err != nil {
		return fmt.Errorf("%w: %v %v: %w", errStream, rr.Name, rr.Type, err)
	}
	if rr.Type == wire.TypeSOA {
		if !rr.Name.Equal(r.apex) {
			return fmt.Errorf("%w: SOA at %v, which is not the apex", errStream, rr.Name)
		}
		return r.soa(rr, serialOf(r.rdata))
	}
	return r.data(rr)
}

// soa takes a SOA of the apex: the marks between the parts of a transfer.
func (r *Receiver) soa(rr *wire.RR, serial uint32) error {
	switch r.phase {
	case wantFirst:
		r.phase, r.serial = wantSecond, serial
		r.first = wire.AppendCanonical(nil, wire.TypeSOA, r.rdata)
		r.edit = zone.NewEmpty(r.apex, wire.ClassIN)
		if err := r.edit.Add(rr.Name, rr.Type, rr.TTL, r.rdata); err != nil {
			return fmt.Errorf("%w: %w", errStream, err)
		}
		return nil
	case wantSecond:
		if r.asked == wire.TypeIXFR && serial == r.base.Serial() {
			// RFC 1995, Section 4: differences, of which the first leads on from our version.
			r.edit, r.last, r.balance = r.base.Edit(), r.base, 0
			return r.remove(rr)
		}
		if serial != r.serial {
			return fmt.Errorf("%w: they begin at serial %d, ours is %d", errInconsistent, serial, r.baseSerial())
		}
		return r.whole(serial) // a zone of a SOA alone: refused there
	case inZone:
		return r.whole(serial)
	case inRemoved:
		if !newer(serial, r.last.Serial()) {
			return fmt.Errorf("%w: a step from serial %d to %d", errInconsistent, r.last.Serial(), serial)
		}
		r.phase = inAdded
		return r.add(rr)
	}
	return r.step(rr, serial)
}

func (r *Receiver) baseSerial() uint32 {
	if r.base == nil {
		return 0
	}
	return r.base.Serial()
}

// data takes a record that is no mark.
func (r *Receiver) data(rr *wire.RR) error {
	switch r.phase {
	case wantFirst:
		return fmt.Errorf("%w: it does not begin with the SOA of the zone", errStream)
	case wantSecond: // the whole zone, also as an answer to IXFR (RFC 1995, Section 4)
		r.phase = inZone
		fallthrough
	case inZone, inAdded:
		return r.add(rr)
	}
	return r.remove(rr)
}

func (r *Receiver) add(rr *wire.RR) error {
	r.balance++
	if err := r.edit.Add(rr.Name, rr.Type, rr.TTL, r.rdata); err != nil {
		return fmt.Errorf("%w: %w", errStream, err)
	}
	return nil
}

// remove: what is to be removed must be there. (case 71)
func (r *Receiver) remove(rr *wire.RR) error {
	r.phase = inRemoved
	r.balance--
	err := r.edit.Remove(rr.Name, rr.Type, r.rdata)
	if errors.Is(err, zone.ErrNotThere) {
		return fmt.Errorf("%w: they remove %v %v, which we do not have", errInconsistent, rr.Name, rr.Type)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errStream, err)
	}
	return nil
}

// whole ends a transfer of the whole zone.
func (r *Receiver) whole(serial uint32) error {
	if serial != r.serial || !bytes.Equal(r.first, wire.AppendCanonical(nil, wire.TypeSOA, r.rdata)) {
		return fmt.Errorf("%w: the SOA at the end (serial %d) is not that of the beginning (%d)", errStream, serial, r.serial)
	}
	return r.version(complete)
}

// step ends a difference at the SOA after it: the last, or the beginning of the next.
func (r *Receiver) step(rr *wire.RR, serial uint32) error {
	if err := r.version(inAdded); err != nil {
		return err
	}
	_, before, _ := r.last.Size()
	made := r.versions[len(r.versions)-1]
	if _, after, _ := made.Size(); after != before+r.balance {
		// Something added was there already: we and the primary do not have the same zone. (case 71)
		return fmt.Errorf("%w: they add records that we have", errInconsistent)
	}
	switch {
	case made.Serial() == r.serial:
		if serial != r.serial {
			return fmt.Errorf("%w: the SOA at the end has serial %d, not %d", errStream, serial, r.serial)
		}
		r.phase = complete
		return nil
	case serial != made.Serial():
		return fmt.Errorf("%w: a step begins at serial %d, the one before ended at %d", errInconsistent, serial, made.Serial())
	}
	r.last, r.balance = made, 0
	return r.remove(rr)
}

// version finishes the version in hand.
func (r *Receiver) version(next phase) error {
	z, err := r.edit.Done()
	if err != nil {
		return fmt.Errorf("%w: %w", errStream, err)
	}
	if _, ok := z.ApexNode().Set(wire.TypeNS); !ok {
		return fmt.Errorf("%w: %w", errStream, zone.ErrNoNS) // RFC 1034, Section 4.2.1
	}
	r.versions, r.phase = append(r.versions, z), next
	return nil
}

// UpToDate tells that the answer was to an IXFR and says that there is nothing newer.
func (r *Receiver) UpToDate() bool { return r.phase == upToDate }

// SOA is what the primary says about its version.
func (r *Receiver) SOA() PrimarySOA {
	return PrimarySOA{Serial: r.serial, Expire: time.Duration(r.expire) * time.Second, Authoritative: true}
}

// Version is what the transfer brought, if it may be used: it is not older than ours (but where the whole zone was asked for by force), and meets
// the policy of the zone (ZONEMD).
func (r *Receiver) Version(force bool, accept func(*zone.Zone) error) (*zone.Zone, error) {
	fresh := r.versions[len(r.versions)-1]
	if r.base != nil && !force && !newer(fresh.Serial(), r.base.Serial()) && fresh.Serial() != r.base.Serial() {
		return nil, fmt.Errorf("%w: it has serial %d, we have %d and keep it", errLower, fresh.Serial(), r.base.Serial())
	}
	// A whole zone must be one that the snapshot can be loaded from again. After an IXFR that would cost a walk through the zone for
	// a few changes.
	if r.asked != wire.TypeIXFR {
		if err := fresh.Sound(); err != nil {
			return nil, fmt.Errorf("%w: %w", errPolicy, err)
		}
	}
	if accept != nil {
		if err := accept(fresh); err != nil {
			return nil, fmt.Errorf("%w: %w", errPolicy, err)
		}
	}
	return fresh, nil
}

// expireOf reads the EXPIRE option (RFC 7314) of OPT RDATA; without one it is old.
func expireOf(options []byte, old int64) int64 {
	for len(options) >= 4 {
		code, n := int(options[0])<<8|int(options[1]), int(options[2])<<8|int(options[3])
		if len(options) < 4+n {
			break
		}
		if code == wire.OptionExpire && n == 4 {
			b := options[4:]
			return int64(b[0])<<24 | int64(b[1])<<16 | int64(b[2])<<8 | int64(b[3])
		}
		options = options[4+n:]
	}
	return old
}
