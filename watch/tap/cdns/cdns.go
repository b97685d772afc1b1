// Package cdns reads C-DNS (RFC 8618): DNS transactions in blocks of CBOR, whose names, addresses and signatures are in tables of the block.
//
// A file holds no messages. What is stored of a query and a response is written out as messages again, without name compression (RFC 8618, Section 9),
// so that everything behind this package sees the same as from a capture; the sizes they had are told beside them.
//
// The package promises: no input makes it panic; an index without an entry, a block that is no map and the like are errors with their octet, and
// what is whole around them is read. It refuses drafts of the format (compactor's files before version 1.0): their keys mean other things.
// Limits today: a file is held in memory, MaxFile at most; writing is not there yet.
package cdns

import (
	"errors"
	"fmt"
	"io"

	"github.com/fxamacker/cbor/v2"
)

// MaxFile bounds a file in memory (stops: a stream without an end).
const MaxFile = 1 << 30

// modes of the decoder: bounds (stop: memory for arrays that are only announced, stacks of nested ones).
func mode() cbor.DecMode {
	m, err := cbor.DecOptions{MaxNestedLevels: 16, MaxArrayElements: 1 << 24, MaxMapPairs: 1 << 20}.DecMode()
	if err != nil {
		panic(err) // constants
	}
	return m
}

// IsCDNS tells whether a file begins as C-DNS does, of whatever version.
func IsCDNS(head []byte) bool {
	return len(head) >= 7 && (head[0] == 0x83 || head[0] == 0x9F) && (string(head[1:7]) == "eC-DNS" || string(head[1:7]) == "hDNS-S")
}

// preamble is FilePreamble (RFC 8618, Section 7.3.1).
type preamble struct {
	Major      uint        `cbor:"0,keyasint"`
	Minor      uint        `cbor:"1,keyasint"`
	Parameters []parameter `cbor:"3,keyasint"`
}

// parameter is BlockParameters (Section 7.3.1.1).
type parameter struct {
	Storage struct {
		Ticks   uint64 `cbor:"0,keyasint"`
		Prefix4 *uint8 `cbor:"6,keyasint"`
		Prefix6 *uint8 `cbor:"7,keyasint"`
	} `cbor:"0,keyasint"`
}

// block is Block (Section 7.3.2).
type block struct {
	Preamble struct {
		Earliest  []uint64 `cbor:"0,keyasint"` // seconds, ticks
		Parameter uint     `cbor:"1,keyasint"`
	} `cbor:"0,keyasint"`
	Tables    tables      `cbor:"2,keyasint"`
	Items     []item      `cbor:"3,keyasint"`
	Malformed []malformed `cbor:"5,keyasint"`
}

// tables is BlockTables (Section 7.3.2.3).
type tables struct {
	Addresses  [][]byte    `cbor:"0,keyasint"`
	ClassTypes []classType `cbor:"1,keyasint"`
	Names      [][]byte    `cbor:"2,keyasint"` // and RDATA
	Signatures []signature `cbor:"3,keyasint"`
	Lists      [][]uint    `cbor:"4,keyasint"` // of questions
	Questions  []question  `cbor:"5,keyasint"`
	RRLists    [][]uint    `cbor:"6,keyasint"`
	RRs        []rr        `cbor:"7,keyasint"`
	Broken     []broken    `cbor:"8,keyasint"`
}

type classType struct {
	Type  uint16 `cbor:"0,keyasint"`
	Class uint16 `cbor:"1,keyasint"`
}

type question struct {
	Name      uint `cbor:"0,keyasint"`
	ClassType uint `cbor:"1,keyasint"`
}

type rr struct {
	Name      uint    `cbor:"0,keyasint"`
	ClassType uint    `cbor:"1,keyasint"`
	TTL       *uint32 `cbor:"2,keyasint"`
	Data      *uint   `cbor:"3,keyasint"`
}

// signature is QueryResponseSignature (Section 7.3.2.3.2).
type signature struct {
	Server    *uint   `cbor:"0,keyasint"`
	Port      *uint16 `cbor:"1,keyasint"`
	Transport *uint8  `cbor:"2,keyasint"`
	Kind      *uint8  `cbor:"3,keyasint"`
	Flags     *uint8  `cbor:"4,keyasint"`
	Opcode    *uint8  `cbor:"5,keyasint"`
	DNSFlags  *uint32 `cbor:"6,keyasint"`
	Rcode     *uint16 `cbor:"7,keyasint"`
	ClassType *uint   `cbor:"8,keyasint"`
	QD        *uint16 `cbor:"9,keyasint"`
	Version   *uint8  `cbor:"13,keyasint"`
	Payload   *uint16 `cbor:"14,keyasint"`
	Options   *uint   `cbor:"15,keyasint"`
	Answer    *uint16 `cbor:"16,keyasint"` // rcode of the response
}

// item is QueryResponse (Section 7.3.2.4).
type item struct {
	Offset    *uint64   `cbor:"0,keyasint"`
	Client    *uint     `cbor:"1,keyasint"`
	Port      *uint16   `cbor:"2,keyasint"`
	ID        *uint16   `cbor:"3,keyasint"`
	Signature *uint     `cbor:"4,keyasint"`
	Hops      *uint8    `cbor:"5,keyasint"`
	Delay     *int64    `cbor:"6,keyasint"`
	Name      *uint     `cbor:"7,keyasint"`
	QuerySize *uint32   `cbor:"8,keyasint"`
	ReplySize *uint32   `cbor:"9,keyasint"`
	Query     *extended `cbor:"11,keyasint"`
	Reply     *extended `cbor:"12,keyasint"`
}

// extended is QueryResponseExtended (Section 7.3.2.4.2).
type extended struct {
	Questions  *uint `cbor:"0,keyasint"`
	Answers    *uint `cbor:"1,keyasint"`
	Authority  *uint `cbor:"2,keyasint"`
	Additional *uint `cbor:"3,keyasint"`
}

// malformed is MalformedMessage, broken MalformedMessageData (Sections 7.3.2.6 and 7.3.2.3.5).
type malformed struct {
	Offset *uint64 `cbor:"0,keyasint"`
	Client *uint   `cbor:"1,keyasint"`
	Port   *uint16 `cbor:"2,keyasint"`
	Data   *uint   `cbor:"3,keyasint"`
}

type broken struct {
	Server    *uint   `cbor:"0,keyasint"`
	Port      *uint16 `cbor:"1,keyasint"`
	Transport *uint8  `cbor:"2,keyasint"`
	Payload   []byte  `cbor:"3,keyasint"`
}

// Error is a breach at a place.
type Error struct {
	Offset int64
	Block  uint64 // from 1; 0: before the blocks
	Text   string
}

func (e *Error) Error() string {
	if e.Block == 0 {
		return fmt.Sprintf("octet %d: %s", e.Offset, e.Text)
	}
	return fmt.Sprintf("octet %d, block %d: %s", e.Offset, e.Block, e.Text)
}

// Reader reads a file block by block.
type Reader struct {
	mode   cbor.DecMode
	whole  []byte
	rest   []byte
	params []parameter
	left   int // blocks; -1: until a break
	blocks uint64
}

// NewReader reads a file into memory and its preamble.
func NewReader(in io.Reader) (*Reader, error) {
	b, err := io.ReadAll(io.LimitReader(in, MaxFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > MaxFile {
		return nil, fmt.Errorf("C-DNS of more than %d MiB: split it", MaxFile>>20)
	}
	r := &Reader{mode: mode(), whole: b}
	if len(b) == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	r.rest = b[1:] // of three elements, or without a length
	var kind string
	var p preamble
	var raw cbor.RawMessage
	if err := errors.Join(r.next(&kind), r.next(&raw)); err != nil {
		return nil, r.wrong(err)
	}
	if kind != "C-DNS" {
		return nil, r.wrong(fmt.Errorf("a draft of C-DNS, of type %q: only version 1.0 (RFC 8618) is read", kind))
	}
	if err := r.mode.Unmarshal(raw, &p); err != nil || p.Major != 1 {
		return nil, r.wrong(fmt.Errorf("C-DNS of version %d.%d: only 1.0 (RFC 8618) is read, not the drafts before it", p.Major, p.Minor))
	}
	r.params = p.Parameters
	return r, r.head()
}

func (r *Reader) next(to any) (err error) {
	r.rest, err = r.mode.UnmarshalFirst(r.rest, to)
	return err
}

// Offset is that of the octet read next.
func (r *Reader) Offset() int64 { return int64(len(r.whole) - len(r.rest)) }

func (r *Reader) wrong(err error) error { return &Error{r.Offset(), r.blocks, err.Error()} }

// head reads the head of the array of blocks (RFC 8949, Section 3).
func (r *Reader) head() error {
	if len(r.rest) == 0 {
		return r.wrong(io.ErrUnexpectedEOF)
	}
	first := r.rest[0]
	r.rest = r.rest[1:]
	size := 0
	switch {
	case first == 0x9F:
		r.left = -1
		return nil
	case first >= 0x80 && first < 0x98:
		r.left = int(first & 31)
		return nil
	case first >= 0x98 && first <= 0x9B:
		size = 1 << (first & 3)
	default:
		return r.wrong(errors.New("no array where the blocks belong"))
	}
	if len(r.rest) < size {
		return r.wrong(io.ErrUnexpectedEOF)
	}
	n := uint64(0)
	for _, c := range r.rest[:size] {
		n = n<<8 | uint64(c)
	}
	r.rest = r.rest[size:]
	r.left = int(min(n, uint64(len(r.rest)))) // a block has an octet at least
	return nil
}

// block reads the next block; io.EOF is the regular end. An *Error whose block was skipped leaves the reader behind it; any other ends it.
func (r *Reader) block(b *block) error {
	if r.left == 0 {
		return io.EOF
	}
	if r.left < 0 && len(r.rest) > 0 && r.rest[0] == 0xFF {
		return io.EOF
	}
	at := r.Offset()
	r.blocks++
	var raw cbor.RawMessage
	if err := r.next(&raw); err != nil {
		return fmt.Errorf("octet %d, block %d: %w", at, r.blocks, err)
	}
	if r.left > 0 {
		r.left--
	}
	if err := r.mode.Unmarshal(raw, b); err != nil {
		return &Error{at, r.blocks, err.Error()}
	}
	return nil
}
