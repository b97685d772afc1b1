package cdns

import (
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// Files of compactor from before RFC 8618 are of two drafts, which it called 0.2 ("DNS-STAT") and 0.5. What they store is the same; the numbers of the fields are others,
// and an index counts from 1, for 0 is none. A block of theirs is read with their numbers and becomes one of 1.0.

// version is whose numbers a file has.
type version uint8

const (
	final version = iota
	draft02
	draft05
)

// draftTicks: their times are in microseconds.
const draftTicks = 1_000_000

// configuration is what the drafts have in place of BlockParameters: of it, which sections of messages are stored.
type configuration struct {
	Responses uint `cbor:"8,keyasint"` // bits: further questions, answers, authority, additional
}

// everySection is set where all records of responses are stored.
const everySection = 1<<1 | 1<<2 | 1<<3

func (c *configuration) parameters() []parameter {
	var p parameter
	p.Storage.Ticks = draftTicks
	if c.Responses&everySection == everySection {
		p.Storage.Hints.Items = responseHints
	}
	return []parameter{p}
}

// readPreamble reads what stands before the blocks, of a file of some kind.
func (r *Reader) readPreamble(kind string, raw cbor.RawMessage) error {
	var v struct {
		Major uint            `cbor:"0,keyasint"`
		Minor cbor.RawMessage `cbor:"1,keyasint"` // of 0.2: the configuration
		More  cbor.RawMessage `cbor:"3,keyasint"`
	}
	if err := r.mode.Unmarshal(raw, &v); err != nil {
		return err
	}
	var conf configuration
	if kind == "DNS-STAT" {
		if v.Major != 2 { // here it is the version
			return fmt.Errorf("a draft of C-DNS, DNS-STAT of version %d: 1.0 (RFC 8618) and the drafts 0.2 and 0.5 of compactor are read", v.Major)
		}
		r.version = draft02
		if err := r.mode.Unmarshal(v.Minor, &conf); err != nil {
			return fmt.Errorf("configuration: %w", err)
		}
		r.params = conf.parameters()
		return nil
	}
	var minor uint
	if err := r.mode.Unmarshal(v.Minor, &minor); kind != "C-DNS" || err != nil || v.Major == 0 && minor != 5 || v.Major > 1 {
		return fmt.Errorf("%q of version %d.%d: C-DNS 1.0 (RFC 8618) and the drafts 0.2 and 0.5 of compactor are read", kind, v.Major, minor)
	}
	if v.Major == 0 {
		r.version = draft05
		if err := r.mode.Unmarshal(v.More, &conf); err != nil {
			return fmt.Errorf("configuration: %w", err)
		}
		r.params = conf.parameters()
		return nil
	}
	var p preamble
	if err := r.mode.Unmarshal(raw, &p); err != nil {
		return err
	}
	r.params = p.Parameters
	return nil
}

// draftBlock is a block of the drafts. The tables that are not named have the same form.
type draftBlock[I any] struct {
	Preamble struct {
		Earliest []uint64 `cbor:"1,keyasint"`
	} `cbor:"0,keyasint"`
	Tables struct {
		Addresses  [][]byte         `cbor:"0,keyasint"`
		ClassTypes []classType      `cbor:"1,keyasint"`
		Names      [][]byte         `cbor:"2,keyasint"`
		Signatures []draftSignature `cbor:"3,keyasint"`
		Lists      [][]uint         `cbor:"4,keyasint"`
		Questions  []question       `cbor:"5,keyasint"`
		RRLists    [][]uint         `cbor:"6,keyasint"`
		RRs        []rr             `cbor:"7,keyasint"`
	} `cbor:"2,keyasint"`
	Items []I `cbor:"3,keyasint"`
}

type draftSignature struct {
	Server    *uint   `cbor:"0,keyasint"`
	Port      *uint16 `cbor:"1,keyasint"`
	Transport *uint8  `cbor:"2,keyasint"`
	Flags     uint8   `cbor:"3,keyasint"`
	Opcode    *uint8  `cbor:"4,keyasint"`
	DNSFlags  *uint32 `cbor:"5,keyasint"`
	Rcode     *uint16 `cbor:"6,keyasint"`
	ClassType *uint   `cbor:"7,keyasint"`
	QD        *uint16 `cbor:"8,keyasint"`
	AN        *uint16 `cbor:"9,keyasint"`
	AR        *uint16 `cbor:"10,keyasint"`
	NS        *uint16 `cbor:"11,keyasint"`
	Version   *uint8  `cbor:"12,keyasint"`
	Payload   *uint16 `cbor:"13,keyasint"`
	Options   *uint   `cbor:"14,keyasint"`
	Answer    *uint16 `cbor:"15,keyasint"`
}

// item02 and item05 are a transaction. Picoseconds of 0.5, which nothing ever wrote, are not looked at.
type item02 struct {
	Offset    *uint64   `cbor:"0,keyasint"`
	Client    *uint     `cbor:"1,keyasint"`
	Port      *uint16   `cbor:"2,keyasint"`
	ID        *uint16   `cbor:"3,keyasint"`
	Signature *uint     `cbor:"4,keyasint"`
	Hops      *uint8    `cbor:"5,keyasint"`
	Delay     *int64    `cbor:"6,keyasint"`
	Name      *uint     `cbor:"7,keyasint"`
	ReplySize *uint32   `cbor:"8,keyasint"`
	Query     *extended `cbor:"9,keyasint"`
	Reply     *extended `cbor:"10,keyasint"`
	QuerySize *uint32   `cbor:"11,keyasint"`
}

type item05 struct {
	Offset    *uint64   `cbor:"0,keyasint"`
	Client    *uint     `cbor:"2,keyasint"`
	Port      *uint16   `cbor:"3,keyasint"`
	ID        *uint16   `cbor:"4,keyasint"`
	Signature *uint     `cbor:"5,keyasint"`
	Hops      *uint8    `cbor:"6,keyasint"`
	Delay     *int64    `cbor:"7,keyasint"`
	Name      *uint     `cbor:"9,keyasint"`
	QuerySize *uint32   `cbor:"10,keyasint"`
	ReplySize *uint32   `cbor:"11,keyasint"`
	Query     *extended `cbor:"12,keyasint"`
	Reply     *extended `cbor:"13,keyasint"`
}

func (i *item02) item() item {
	return item{Offset: i.Offset, Client: from1(i.Client), Port: i.Port, ID: i.ID, Signature: from1(i.Signature), Hops: i.Hops, Delay: i.Delay, Name: from1(i.Name),
		QuerySize: i.QuerySize, ReplySize: i.ReplySize, Query: i.Query.from1(), Reply: i.Reply.from1()}
}

func (i *item05) item() item {
	return (*item02)(&item02{i.Offset, i.Client, i.Port, i.ID, i.Signature, i.Hops, i.Delay, i.Name, i.ReplySize, i.Query, i.Reply, i.QuerySize}).item()
}

// unmarshalBlock reads a block in the numbers of the file's version.
func (r *Reader) unmarshalBlock(raw cbor.RawMessage, b *block) error {
	switch r.version {
	case draft02:
		return unmarshalDraft(r.mode, raw, b, (*item02).item)
	case draft05:
		return unmarshalDraft(r.mode, raw, b, (*item05).item)
	}
	return r.mode.Unmarshal(raw, b)
}

func unmarshalDraft[I any](mode cbor.DecMode, raw cbor.RawMessage, b *block, final func(*I) item) error {
	var d draftBlock[I]
	if err := mode.Unmarshal(raw, &d); err != nil {
		return err
	}
	t := &d.Tables
	b.Preamble.Earliest = d.Preamble.Earliest
	b.Tables = tables{Addresses: t.Addresses, ClassTypes: t.ClassTypes, Names: t.Names, Lists: t.Lists, Questions: t.Questions, RRLists: t.RRLists, RRs: t.RRs}
	for i := range t.Signatures {
		b.Tables.Signatures = append(b.Tables.Signatures, t.Signatures[i].signature())
	}
	for _, lists := range [...][][]uint{t.Lists, t.RRLists} {
		for _, list := range lists {
			for i := range list {
				list[i]-- // 0 becomes one that no table has, and is told as such
			}
		}
	}
	for i := range t.Questions {
		t.Questions[i].Name--
		t.Questions[i].ClassType--
	}
	for i := range t.RRs {
		r := &t.RRs[i]
		r.Name--
		r.ClassType--
		r.Data = from1(r.Data)
	}
	for i := range d.Items {
		b.Items = append(b.Items, final(&d.Items[i]))
	}
	return nil
}

// Flags of a signature in the drafts that are not those of 1.0.
const (
	draftHasQuestion     = 1 << 2
	draftQueryOPT        = 1 << 3
	draftReplyOPT        = 1 << 4
	draftReplyNoQuestion = 1 << 5
)

func (d *draftSignature) signature() signature {
	flags := d.Flags & (hasQuery | hasReply)
	for _, f := range [...]struct {
		set bool
		bit uint8
	}{
		{d.Flags&draftQueryOPT != 0, queryHasOPT}, {d.Flags&draftReplyOPT != 0, replyHasOPT},
		{d.Flags&hasQuery != 0 && d.Flags&draftHasQuestion == 0, queryHasNoQuestion},
		{d.Flags&draftReplyNoQuestion != 0 || d.Flags&(hasQuery|draftHasQuestion) == 0, replyHasNoQuestion},
	} {
		if f.set {
			flags |= f.bit
		}
	}
	transport := value(d.Transport)
	transport = transport>>1&1 | transport&1<<1 // theirs: TCP, IPv6; ours: IPv6, then the transport's number
	return signature{Server: from1(d.Server), Port: d.Port, Transport: &transport, Flags: &flags, Opcode: d.Opcode, DNSFlags: d.DNSFlags, Rcode: d.Rcode,
		ClassType: from1(d.ClassType), QD: d.QD, AN: d.AN, NS: d.NS, AR: d.AR, Version: d.Version, Payload: d.Payload, Options: from1(d.Options), Answer: d.Answer}
}

func (e *extended) from1() *extended {
	if e == nil {
		return nil
	}
	return &extended{from1(e.Questions), from1(e.Answers), from1(e.Authority), from1(e.Additional)}
}

// from1 is an index as RFC 8618 counts, from 0.
func from1(i *uint) *uint {
	if i == nil || *i == 0 {
		return nil
	}
	n := *i - 1
	return &n
}
