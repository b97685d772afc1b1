package transfer

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"anyu/dns/wire"
	"anyu/dns/zone"
)

// The form of a history file: journalMagic, then steps. A step is a frame (length of the body, CRC-32C of the body, both
// uint32, big endian) and a body: serial before, serial after, number of records of the zone after (uint64), then records in the
// order of a difference sequence of IXFR (RFC 1995, Section 4): the old SOA, what is removed, the new SOA, what is added.
// A record is the length of its owner (one octet), owner, type, TTL, RDLENGTH, RDATA.
const (
	journalMagic = "anyu journal 1\r\n"
	frameSize    = 8
	bodyHead     = 16
	recordHead   = 9 // without the owner
)

var (
	errStep    = errors.New("step of a history is damaged")
	errTooLong = errors.New("change is larger than the history may be")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// step is where one difference stands in the file.
type step struct {
	from, to uint32
	records  uint64
	off      int64 // of the body
	size     int64 // of the body
}

func appendRecord(dst []byte, r zone.Record) []byte {
	dst = append(dst, byte(len(r.Owner)))
	dst = append(dst, r.Owner...)
	dst = binary.BigEndian.AppendUint16(dst, uint16(r.Type))
	dst = binary.BigEndian.AppendUint32(dst, r.TTL)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(r.RData)))
	return append(dst, r.RData...)
}

// encodeStep writes the frame and body of the difference between two versions; errTooLong where it exceeds limit.
func encodeStep(old, fresh *zone.Zone, limit int64) ([]byte, error) {
	_, records, _ := fresh.Size()
	var added []byte
	out := make([]byte, frameSize, 4096)
	out = binary.BigEndian.AppendUint32(out, old.Serial())
	out = binary.BigEndian.AppendUint32(out, fresh.Serial())
	out = binary.BigEndian.AppendUint64(out, uint64(records))
	ttl, soa := soaOf(old)
	out = appendRecord(out, zone.Record{Owner: old.Apex(), Type: wire.TypeSOA, TTL: ttl, RData: soa})
	ttl, soa = soaOf(fresh)
	added = appendRecord(added, zone.Record{Owner: fresh.Apex(), Type: wire.TypeSOA, TTL: ttl, RData: soa})
	put := func(to *[]byte) func(zone.Record) error {
		return func(r zone.Record) error {
			if r.Type == wire.TypeSOA && r.Owner.Equal(fresh.Apex()) {
				return nil
			}
			*to = appendRecord(*to, r)
			if int64(len(out)+len(added)) > limit {
				return errTooLong
			}
			return nil
		}
	}
	if err := zone.Diff(old, fresh, put(&out), put(&added)); err != nil {
		return nil, err
	}
	out = append(out, added...)
	body := out[frameSize:]
	binary.BigEndian.PutUint32(out, uint32(len(body)))
	binary.BigEndian.PutUint32(out[4:], crc32.Checksum(body, castagnoli))
	return out, nil
}

// scanSteps reads the steps of a history file of the given size as far as they are whole and follow one another; whole is where the
// good part ends. Whatever comes after, a crash left. A step is never longer than limit.
func scanSteps(r io.Reader, limit int64) (steps []step, whole int64, err error) {
	in := bufio.NewReaderSize(r, 1<<16)
	magic := make([]byte, len(journalMagic))
	if _, err := io.ReadFull(in, magic); err != nil || string(magic) != journalMagic {
		return nil, 0, errStep
	}
	whole = int64(len(journalMagic))
	var head [frameSize + bodyHead]byte
	sum := crc32.New(castagnoli)
	for {
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return steps, whole, nil
		}
		size := int64(binary.BigEndian.Uint32(head[:]))
		if size < bodyHead || size > limit {
			return steps, whole, nil
		}
		body := head[frameSize:]
		s := step{
			from: binary.BigEndian.Uint32(body), to: binary.BigEndian.Uint32(body[4:]), records: binary.BigEndian.Uint64(body[8:]),
			off: whole + frameSize, size: size,
		}
		sum.Reset()
		sum.Write(body)
		if n, _ := io.CopyN(sum, in, size-bodyHead); n != size-bodyHead || sum.Sum32() != binary.BigEndian.Uint32(head[4:]) {
			return steps, whole, nil
		}
		if len(steps) > 0 && steps[len(steps)-1].to != s.from {
			return steps, whole, nil
		}
		steps = append(steps, s)
		whole += frameSize + size
	}
}

// history is a run of steps that is being read.
type history struct {
	in    io.ReaderAt
	steps []step
	bytes int64
	done  func()
}

func (h *history) close() {
	if h.done != nil {
		h.done()
	}
}

// each yields the records of all steps in order. A record is valid until the callback returns.
func (h *history) each(yield func(zone.Record) error) error {
	for _, s := range h.steps {
		if err := readStep(h.in, s, yield); err != nil {
			return err
		}
	}
	return nil
}

// readStep yields the records of one step, of which it holds a few KiB at a time.
func readStep(in io.ReaderAt, s step, yield func(zone.Record) error) error {
	b := bufio.NewReaderSize(io.NewSectionReader(in, s.off+bodyHead, s.size-bodyHead), 1<<15)
	var room []byte
	for {
		r, err := readRecord(b, &room)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := yield(r); err != nil {
			return err
		}
	}
}

// readRecord reads the next record into room; io.EOF where none is left.
func readRecord(b *bufio.Reader, room *[]byte) (zone.Record, error) {
	owner, err := b.ReadByte()
	if err != nil {
		return zone.Record{}, io.EOF
	}
	head := int(owner) + recordHead - 1
	*room = grow(*room, head)
	if _, err := io.ReadFull(b, *room); err != nil {
		return zone.Record{}, fmt.Errorf("%w: %w", errStep, err)
	}
	fixed := (*room)[owner:]
	r := zone.Record{Type: wire.Type(binary.BigEndian.Uint16(fixed)), TTL: binary.BigEndian.Uint32(fixed[2:])}
	size := int(binary.BigEndian.Uint16(fixed[6:]))
	*room = grow(*room, head+size)
	if _, err := io.ReadFull(b, (*room)[head:]); err != nil {
		return zone.Record{}, fmt.Errorf("%w: %w", errStep, err)
	}
	r.Owner, r.RData = wire.Name((*room)[:owner]), (*room)[head:]
	if wire.ValidName(r.Owner) != nil {
		return zone.Record{}, errStep
	}
	return r, nil
}

// grow gives b the length n and keeps what it holds.
func grow(b []byte, n int) []byte {
	if cap(b) < n {
		b = append(make([]byte, 0, 2*n), b...)
	}
	return b[:n]
}

// applyStep makes the version after a step from the one before, as a secondary does with a difference sequence.
func applyStep(in io.ReaderAt, s step, z *zone.Zone) (*zone.Zone, error) {
	if z.Serial() != s.from {
		return nil, errStep
	}
	e := z.Edit()
	soas := 0
	err := readStep(in, s, func(r zone.Record) error {
		if r.Type == wire.TypeSOA && r.Owner.Equal(z.Apex()) {
			soas++
		}
		if soas == 1 {
			return e.Remove(r.Owner, r.Type, r.RData)
		}
		return e.Add(r.Owner, r.Type, r.TTL, r.RData)
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errStep, err)
	}
	fresh, err := e.Done()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errStep, err)
	}
	if _, records, _ := fresh.Size(); fresh.Serial() != s.to || uint64(records) != s.records {
		return nil, errStep
	}
	return fresh, nil
}
