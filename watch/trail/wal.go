package trail

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path/filepath"
	"strings"
	"time"

	"anyu/event"
)

// An append-only file is walMagic and then frames: length and CRC-32C of the body (4 octets each, little endian), the body. A body
// is its kind and a payload: rows, or what a number in rows means. A number is explained before a row uses it.
//
// What follows the last whole frame was being written when the process died: it was never acknowledged and is cut.
const (
	walMagic  = "anyulog2"
	walMagic1 = "anyulog1" // until November 2026
	walDir    = "wal"
	walExt    = ".wal"

	// maxLog seals a file (bounds: the memory that making segments takes).
	maxLog = 192 << 20

	frameHead = 8
	maxFrame  = 1 << 20 // (stops: a damaged length that asks for gigabytes)

	frameRows   = 1
	frameZone   = 2 // number (4 octets), name
	frameSource = 3 // number (2 octets), length of name (1 octet), name, node

	frameWithout = 4 // the columns that are not kept, with commas between; before any rows
	frameKey     = 5 // the ID of the key that clients are pseudonyms of; before any rows
)

// walName names a file by its beginning; names sort by time.
func walName(now time.Time) string { return now.UTC().Format("20060102T150405.000000000Z") }

// appendLog is the append-only file being written.
type appendLog struct {
	path    string
	id      string // of its segments too
	key     string // of the pseudonyms in it
	file    AppendFile
	began   time.Time
	size    int64 // of whole frames
	rows    int
	unsaved int // rows written and not synced

	zones   map[uint32]bool // explained
	sources map[uint16]bool
	buf     []byte

	regions []region // what is where in time, for readers
}

// region is a run of frames of some size, with the times of its rows.
type region struct {
	offset, end int64
	first, last int64 // us
}

const regionSize = 64 << 10

func createLog(opts *Options, now time.Time, key string) (*appendLog, error) {
	id := walName(now)
	l := &appendLog{id: id, key: key, path: filepath.Join(opts.Dir, walDir, id+walExt), began: now, zones: map[uint32]bool{}, sources: map[uint16]bool{}}
	var err error
	if l.file, err = opts.Create(l.path); err != nil {
		return nil, err
	}
	if _, err := l.file.Write([]byte(walMagic)); err != nil {
		return nil, errors.Join(err, l.file.Close())
	}
	l.size = int64(len(walMagic))
	l.frame(frameWithout, []byte(leaveOut(opts.Without).String()))
	if key != "" {
		l.frame(frameKey, []byte(key))
	}
	return l, nil
}

// append writes a slab of rows, after explanations of the numbers it uses first, in one write, and tells where they are.
func (l *appendLog) append(s *slab, opts *Options) (region, error) {
	reg := region{first: 1<<63 - 1, last: -1 << 63}
	for rest := s.buf; ; {
		q, n := headOf(rest)
		if n == 0 {
			break
		}
		rest = rest[n:]
		if q.has&event.HasZone != 0 && !l.zones[q.zone] {
			l.zones[q.zone] = true
			l.frame(frameZone, binary.LittleEndian.AppendUint32(nil, q.zone), []byte(opts.Names.Name(q.zone)))
		}
		if !l.sources[q.source] {
			l.sources[q.source] = true
			name, node := opts.Source(q.source)
			name = name[:min(len(name), 255)]
			head := append(binary.LittleEndian.AppendUint16(nil, q.source), byte(len(name)))
			l.frame(frameSource, head, []byte(name), []byte(node))
		}
		reg.first, reg.last = min(reg.first, q.time/1000), max(reg.last, q.time/1000)
	}
	l.frame(frameRows, s.buf)
	if _, err := l.file.Write(l.buf); err != nil {
		return region{}, err
	}
	reg.offset, reg.end = l.size, l.size+int64(len(l.buf))
	l.size, l.buf = reg.end, l.buf[:0]
	l.rows += s.rows
	l.unsaved += s.rows
	return reg, nil
}

// note remembers a region for readers, who hold the same lock.
func (l *appendLog) note(r region) {
	if n := len(l.regions); n > 0 && l.regions[n-1].end-l.regions[n-1].offset < regionSize {
		old := &l.regions[n-1]
		old.end, old.first, old.last = r.end, min(old.first, r.first), max(old.last, r.last)
		return
	}
	l.regions = append(l.regions, r)
}

func (l *appendLog) frame(kind byte, parts ...[]byte) {
	at := len(l.buf)
	l.buf = append(l.buf, make([]byte, frameHead)...)
	l.buf = append(l.buf, kind)
	for _, p := range parts {
		l.buf = append(l.buf, p...)
	}
	body := l.buf[at+frameHead:]
	binary.LittleEndian.PutUint32(l.buf[at:], uint32(len(body)))
	binary.LittleEndian.PutUint32(l.buf[at+4:], crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)))
}

// unpacker unpacks the first row of what a file of some version has.
type unpacker func(q *packed, b []byte) (rest []byte, ok bool)

// formatOf tells how the rows of an append-only file are packed, from how it begins.
func formatOf(text []byte) (unpacker, bool) {
	switch {
	case strings.HasPrefix(string(text[:min(len(text), len(walMagic))]), walMagic):
		return (*packed).next, true
	case strings.HasPrefix(string(text[:min(len(text), len(walMagic))]), walMagic1):
		return (*packed).next1, true
	}
	return nil, false
}

// frames gives every whole frame of b, with its payload's offset. It returns how many octets they take; the error is errCut where something follows them that is none.
func frames(b []byte, see func(kind byte, at int, payload []byte)) (good int, err error) {
	for len(b) > good {
		head := b[good:]
		if len(head) < frameHead {
			return good, errCut
		}
		length := binary.LittleEndian.Uint32(head)
		if length == 0 || length > maxFrame || len(head) < frameHead+int(length) {
			return good, errCut
		}
		body := head[frameHead : frameHead+int(length)]
		if crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)) != binary.LittleEndian.Uint32(head[4:]) {
			return good, errCut
		}
		see(body[0], good+frameHead+1, body[1:])
		good += frameHead + int(length)
	}
	return good, nil
}

var errCut = errors.New("no whole frame")

// readFrames gives every whole frame of r, which is behind the magic. It returns how many octets they take; the error is errCut where
// something follows them that is none.
func readFrames(r io.Reader, see func(kind byte, payload []byte) error) (good int64, err error) {
	buffered := bufio.NewReaderSize(r, 256<<10)
	var body []byte
	for {
		var head [frameHead]byte
		if n, err := io.ReadFull(buffered, head[:]); err != nil {
			if n == 0 && err == io.EOF {
				return good, nil
			}
			return good, cutOr(err)
		}
		length := binary.LittleEndian.Uint32(head[:])
		if length == 0 || length > maxFrame {
			return good, errCut
		}
		if cap(body) < int(length) {
			body = make([]byte, length)
		}
		body = body[:length]
		if _, err := io.ReadFull(buffered, body); err != nil {
			return good, cutOr(err)
		}
		if crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)) != binary.LittleEndian.Uint32(head[4:]) {
			return good, errCut
		}
		if err := see(body[0], body[1:]); err != nil {
			return good, err
		}
		good += frameHead + int64(length)
	}
}

func cutOr(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return errCut
	}
	return fmt.Errorf("reading append-only file: %w", err)
}

// dictionary is what the explaining frames of a file say.
type dictionary struct {
	zones   map[uint32]string
	sources map[uint16][2]string
	without without
	key     string
}

func newDictionary() *dictionary {
	return &dictionary{zones: map[uint32]string{}, sources: map[uint16][2]string{}}
}

func (d *dictionary) zone(id uint32) string { return d.zones[id] }
func (d *dictionary) source(id uint16) (name, node string) {
	s := d.sources[id]
	return s[0], s[1]
}

// learn takes an explaining frame.
func (d *dictionary) learn(kind byte, payload []byte) {
	switch {
	case kind == frameZone && len(payload) >= 4:
		d.zones[binary.LittleEndian.Uint32(payload)] = string(payload[4:])
	case kind == frameSource && len(payload) >= 3 && len(payload) >= 3+int(payload[2]):
		n := 3 + int(payload[2])
		d.sources[binary.LittleEndian.Uint16(payload)] = [2]string{string(payload[3:n]), string(payload[n:])}
	case kind == frameWithout:
		d.without = leaveOut(strings.Split(string(payload), ","))
	case kind == frameKey:
		d.key = string(payload)
	}
}

// readLog gives every row of an append-only file whose reader stands at its beginning, without the hidden columns.
func readLog(r io.Reader, hidden without, see func(Row) error) (good int64, err error) {
	magic := make([]byte, len(walMagic))
	n, err := io.ReadFull(r, magic)
	if err == io.EOF && n == 0 {
		return 0, nil // created, and then the power went
	}
	if err != nil && err != io.ErrUnexpectedEOF {
		return 0, err // a disk that cannot be read now may be read later
	}
	next, ok := formatOf(magic[:n])
	if !ok {
		return 0, errCut
	}
	d := newDictionary()
	t := newTranslator(d.zone, d.source)
	t.next, t.without = next, hidden
	good, err = readFrames(r, func(kind byte, payload []byte) error {
		if kind != frameRows {
			d.learn(kind, payload)
			t.without, t.key = d.without|hidden, d.key
			return nil
		}
		return t.rows(payload, see)
	})
	return good + int64(len(walMagic)), err
}

func (t *translator) rows(payload []byte, see func(Row) error) error {
	var q packed
	for rest, ok := t.next(&q, payload); ok; rest, ok = t.next(&q, rest) {
		if err := see(t.row(&q)); err != nil {
			return err
		}
	}
	return nil
}
