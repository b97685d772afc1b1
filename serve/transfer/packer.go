package transfer

import (
	"errors"
	"fmt"
	"sync"

	"anyu/dns/wire"
	"anyu/serve/reply"
)

// softMessage is where a message of a transfer ends when the next record would exceed it: compression pointers reach the
// first 16 KiB only. A record that is longer gets a message of up to hardMessage of its own.
const (
	softMessage = 16 << 10
	hardMessage = 65535
)

// errTooBig says that a record fits into no message.
var errTooBig = errors.New("record is too long for a message")

// packer packs records into messages and sends each when it is full, so that a transfer of any size holds one message.
type packer struct {
	builder wire.Builder
	room    [hardMessage]byte

	q     *wire.Query
	flags uint16
	opt   reply.OPT
	sign  *signer
	send  func([]byte) error

	empty    bool // nothing but the question so far
	messages int
	bytes    int
	first    []byte // copy of the first message's start, for the observation
}

// firstKept is how much of the first message is kept for the observation.
const firstKept = 512

// packers keeps the rooms of packers between transfers: most transfers are of a few records.
var packers = sync.Pool{New: func() any { return new(packer) }}

// newPacker begins a reply to q. sign may be nil.
func newPacker(q *wire.Query, opt reply.OPT, sign *signer, send func([]byte) error) *packer {
	p := packers.Get().(*packer)
	p.q, p.opt, p.sign, p.send = q, opt, sign, send
	p.flags = reply.Flags(q, wire.NoError) | wire.FlagAA
	p.messages, p.bytes, p.first = 0, 0, p.first[:0]
	p.begin(softMessage)
	return p
}

// release gives the packer back. It must not be used after.
func (p *packer) release() {
	p.q, p.sign, p.send, p.opt = nil, nil, nil, reply.OPT{}
	packers.Put(p)
}

// begin starts a message of at most size octets. RFC 5936, Section 2.2.1: the question is in the first message.
func (p *packer) begin(size int) {
	p.builder.Reset(p.room[:size])
	if p.messages == 0 {
		p.builder.Question(p.q.Name, p.q.Type, p.q.Class)
		p.builder.Reserve(p.opt.Size())
	}
	if p.sign != nil {
		p.builder.Reserve(p.sign.size())
	}
	p.empty = true
}

// add appends a record, in the message begun or a new one. A record too long beside the question, or for a message of the
// usual size, gets a longer message. (servers.md 5.1, case 69)
func (p *packer) add(owner wire.Name, t wire.Type, ttl uint32, rdata []byte) error {
	for _, size := range [...]int{0, softMessage, hardMessage} {
		if size > 0 {
			if !p.empty {
				if err := p.flush(); err != nil {
					return err
				}
			}
			p.begin(size)
		}
		if p.builder.RR(wire.Answers, owner, t, p.q.Class, ttl, rdata) {
			p.empty = false
			return nil
		}
	}
	return fmt.Errorf("%w: %v %v of %d octets", errTooBig, owner, t, len(rdata))
}

// flush sends the message begun.
func (p *packer) flush() error {
	b := &p.builder
	if p.messages == 0 && p.opt.Present {
		b.Reserve(-p.opt.Size())
		var room [512]byte
		b.Raw(wire.Additionals, 1, p.opt.Append(room[:0], wire.NoError, hardMessage))
	}
	msg := b.Finish(p.q.ID, p.flags)
	if p.sign != nil {
		msg = p.sign.sign(msg)
	}
	if p.messages == 0 {
		p.first = append(p.first[:0], msg[:min(len(msg), firstKept)]...)
	}
	p.messages++
	p.bytes += len(msg)
	err := p.send(msg)
	p.begin(softMessage)
	return err
}

// close sends what is left.
func (p *packer) close() error {
	if p.empty {
		return nil
	}
	return p.flush()
}
