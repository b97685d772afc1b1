// Package cdns reads and writes C-DNS (RFC 8618): DNS transactions in blocks of CBOR, whose names, addresses and signatures are in tables of the block.
//
// A file holds no messages. What is stored of a query and a response is written out as messages again, without name compression (RFC 8618, Section 9),
// so that everything behind this package sees the same as from a capture; the sizes they had are told beside them.
//
// The package promises: no input makes it panic; an index without an entry, a block that is no map and the like are errors with their octet, and
// what is whole around them is read. Files of compactor from before version 1.0 (0.2 and 0.5) are read, not written; other drafts are refused: their keys mean other things.
// Limits today: a file that is read is held in memory, MaxFile at most; of what is written, a block is.
package cdns

import (
	"errors"
	"fmt"
	"io"

	"github.com/fxamacker/cbor/v2"

	"anyu/dns/wire"
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
		Ticks    uint64      `cbor:"0,keyasint"`
		MaxItems uint        `cbor:"1,keyasint"`
		Hints    hints       `cbor:"2,keyasint"`
		Opcodes  []uint16    `cbor:"3,keyasint"`
		Types    []wire.Type `cbor:"4,keyasint"`
		Prefix4  *uint8      `cbor:"6,keyasint,omitempty"`
		Prefix6  *uint8      `cbor:"7,keyasint,omitempty"`
	} `cbor:"0,keyasint"`
	Collection *collection `cbor:"1,keyasint,omitempty"`
}

// hints is StorageHints (Section 7.3.1.1.1): which fields are stored where they are known.
type hints struct {
	Items      uint32 `cbor:"0,keyasint"`
	Signatures uint32 `cbor:"1,keyasint"`
	Records    uint32 `cbor:"2,keyasint"`
	Other      uint32 `cbor:"3,keyasint"`
}

// collection is CollectionParameters (Section 7.3.1.1.2).
type collection struct {
	Generator string `cbor:"8,keyasint,omitempty"`
	Host      string `cbor:"9,keyasint,omitempty"`
}

// block is Block (Section 7.3.2).
type block struct {
	Preamble struct {
		Earliest  []uint64 `cbor:"0,keyasint,omitempty"` // seconds, ticks
		Parameter uint     `cbor:"1,keyasint"`
	} `cbor:"0,keyasint"`
	Statistics statistics  `cbor:"1,keyasint"`
	Tables     tables      `cbor:"2,keyasint"`
	Items      []item      `cbor:"3,keyasint,omitempty"`
	Malformed  []malformed `cbor:"5,keyasint,omitempty"`
}

// statistics is BlockStatistics (Section 7.3.2.2).
type statistics struct {
	Messages           uint64 `cbor:"0,keyasint,omitempty"`
	Items              uint64 `cbor:"1,keyasint,omitempty"`
	UnmatchedQueries   uint64 `cbor:"2,keyasint,omitempty"`
	UnmatchedResponses uint64 `cbor:"3,keyasint,omitempty"`
	Malformed          uint64 `cbor:"5,keyasint,omitempty"`
}

// tables is BlockTables (Section 7.3.2.3).
type tables struct {
	Addresses  [][]byte    `cbor:"0,keyasint,omitempty"`
	ClassTypes []classType `cbor:"1,keyasint,omitempty"`
	Names      [][]byte    `cbor:"2,keyasint,omitempty"` // and RDATA
	Signatures []signature `cbor:"3,keyasint,omitempty"`
	Lists      [][]uint    `cbor:"4,keyasint,omitempty"` // of questions
	Questions  []question  `cbor:"5,keyasint,omitempty"`
	RRLists    [][]uint    `cbor:"6,keyasint,omitempty"`
	RRs        []rr        `cbor:"7,keyasint,omitempty"`
	Broken     []broken    `cbor:"8,keyasint,omitempty"`
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
	TTL       *uint32 `cbor:"2,keyasint,omitempty"`
	Data      *uint   `cbor:"3,keyasint,omitempty"`
}

// signature is QueryResponseSignature (Section 7.3.2.3.2).
type signature struct {
	Server    *uint   `cbor:"0,keyasint,omitempty"`
	Port      *uint16 `cbor:"1,keyasint,omitempty"`
	Transport *uint8  `cbor:"2,keyasint,omitempty"`
	Kind      *uint8  `cbor:"3,keyasint,omitempty"`
	Flags     *uint8  `cbor:"4,keyasint,omitempty"`
	Opcode    *uint8  `cbor:"5,keyasint,omitempty"`
	DNSFlags  *uint32 `cbor:"6,keyasint,omitempty"`
	Rcode     *uint16 `cbor:"7,keyasint,omitempty"`
	ClassType *uint   `cbor:"8,keyasint,omitempty"`
	QD        *uint16 `cbor:"9,keyasint,omitempty"`
	AN        *uint16 `cbor:"10,keyasint,omitempty"`
	NS        *uint16 `cbor:"11,keyasint,omitempty"`
	AR        *uint16 `cbor:"12,keyasint,omitempty"`
	Version   *uint8  `cbor:"13,keyasint,omitempty"`
	Payload   *uint16 `cbor:"14,keyasint,omitempty"`
	Options   *uint   `cbor:"15,keyasint,omitempty"`
	Answer    *uint16 `cbor:"16,keyasint,omitempty"` // rcode of the response
}

// item is QueryResponse (Section 7.3.2.4).
type item struct {
	Offset    *uint64   `cbor:"0,keyasint,omitempty"`
	Client    *uint     `cbor:"1,keyasint,omitempty"`
	Port      *uint16   `cbor:"2,keyasint,omitempty"`
	ID        *uint16   `cbor:"3,keyasint,omitempty"`
	Signature *uint     `cbor:"4,keyasint,omitempty"`
	Hops      *uint8    `cbor:"5,keyasint,omitempty"`
	Delay     *int64    `cbor:"6,keyasint,omitempty"`
	Name      *uint     `cbor:"7,keyasint,omitempty"`
	QuerySize *uint32   `cbor:"8,keyasint,omitempty"`
	ReplySize *uint32   `cbor:"9,keyasint,omitempty"`
	Query     *extended `cbor:"11,keyasint,omitempty"`
	Reply     *extended `cbor:"12,keyasint,omitempty"`
}

// extended is QueryResponseExtended (Section 7.3.2.4.2).
type extended struct {
	Questions  *uint `cbor:"0,keyasint,omitempty"`
	Answers    *uint `cbor:"1,keyasint,omitempty"`
	Authority  *uint `cbor:"2,keyasint,omitempty"`
	Additional *uint `cbor:"3,keyasint,omitempty"`
}

// malformed is MalformedMessage, broken MalformedMessageData (Sections 7.3.2.6 and 7.3.2.3.5).
type malformed struct {
	Offset *uint64 `cbor:"0,keyasint,omitempty"`
	Client *uint   `cbor:"1,keyasint,omitempty"`
	Port   *uint16 `cbor:"2,keyasint,omitempty"`
	Data   *uint   `cbor:"3,keyasint,omitempty"`
}

type broken struct {
	Server    *uint   `cbor:"0,keyasint,omitempty"`
	Port      *uint16 `cbor:"1,keyasint,omitempty"`
	Transport *uint8  `cbor:"2,keyasint,omitempty"`
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
	mode    cbor.DecMode
	whole   []byte
	rest    []byte
	params  []parameter
	version version
	left    int // blocks; -1: until a break
	blocks  uint64
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
	var raw cbor.RawMessage
	if err := errors.Join(r.next(&kind), r.next(&raw)); err != nil {
		return nil, r.wrong(err)
	}
	if err := r.readPreamble(kind, raw); err != nil {
		return nil, r.wrong(err)
	}
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
	if err := r.unmarshalBlock(raw, b); err != nil {
		return &Error{at, r.blocks, err.Error()}
	}
	return nil
}
