package cache

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"anyu/dns/wire"
)

// A saved cache: a line with the format's version, entries as they are kept, each behind its length, a length of 0, and the SHA-256 of all
// that.
const magic = "anyu cache 1\n"

var (
	// ErrFormat: this is no saved cache, or of another version, or not as it was saved.
	ErrFormat = errors.New("not a saved cache of this version, or damaged")
)

// Save writes all entries. Readers and writers go on meanwhile; what they change is saved as it was before or after. Denials are not
// saved, they are learned again with the first questions.
func (c *Cache) Save(w io.Writer) error {
	sum := sha256.New()
	b := bufio.NewWriterSize(io.MultiWriter(w, sum), 1<<16)
	if _, err := b.WriteString(magic); err != nil {
		return fmt.Errorf("saving the cache: %w", err)
	}
	var buf []byte
	for i := range c.shards {
		s := &c.shards[i]
		for _, seg := range s.all() {
			s.mu.Lock()
			buf = buf[:0]
			s.walk(seg, func(_, _ uint64, _ *atomic.Uint64, e entry) {
				buf = binary.AppendUvarint(buf, uint64(len(e)))
				buf = append(buf, e...)
			})
			s.mu.Unlock()
			if _, err := b.Write(buf); err != nil {
				return fmt.Errorf("saving the cache: %w", err)
			}
		}
	}
	if err := b.WriteByte(0); err != nil {
		return fmt.Errorf("saving the cache: %w", err)
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("saving the cache: %w", err)
	}
	if _, err := w.Write(sum.Sum(nil)); err != nil {
		return fmt.Errorf("saving the cache: %w", err)
	}
	return nil
}

// all returns the segments of a shard, those used longest first, so that a smaller cache keeps the newer ones.
func (s *shard) all() []*segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append(append([]*segment(nil), s.rings[kept].queue...), s.rings[trial].queue...)
}

// Restore replaces the content by what Save wrote, and returns how many entries that gave. What is over, or was stored in a future that this
// clock does not know, is left out. Anything that is not as Save wrote it is refused with ErrFormat, and then the cache is as before. Work and
// memory are bounded by the octets given and by Config.Bytes.
func (c *Cache) Restore(r io.Reader, now int64) (int, error) {
	begun := c.Epoch()
	sum := sha256.New()
	in := &summed{r: bufio.NewReaderSize(r, 1<<16), sum: sum}
	head := make([]byte, len(magic))
	if _, err := io.ReadFull(in, head); err != nil || string(head) != magic {
		return 0, fmt.Errorf("restoring the cache: %w", ErrFormat)
	}
	aside := New(*c.config.Load())
	buf := make([]byte, MaxEntry)
	at := seconds(now)
	for {
		n, err := binary.ReadUvarint(in)
		if err != nil || n > MaxEntry {
			return 0, fmt.Errorf("restoring the cache: %w", ErrFormat)
		}
		if n == 0 {
			break
		}
		e := entry(buf[:n])
		if _, err := io.ReadFull(in, e); err != nil || !e.sound() {
			return 0, fmt.Errorf("restoring the cache: %w", ErrFormat)
		}
		if e.usable(at, aside.config.Load().Stale) && e.stored() <= at {
			h := aside.secret.hash(e.kind(), e.key())
			aside.shard(h).store(h, e, at)
		}
	}
	want := sum.Sum(nil)
	got := make([]byte, sha256.Size)
	if _, err := io.ReadFull(in.r, got); err != nil || string(got) != string(want) {
		return 0, fmt.Errorf("restoring the cache: %w", ErrFormat)
	}
	if c.Epoch() != begun {
		return 0, errFlushed
	}
	return c.adopt(aside, begun), nil
}

var errFlushed = errors.New("the cache was flushed while it was being restored")

// adopt takes the content of another cache, entry by entry where the number of shards differs.
//
// Nothing is taken when somebody flushed since the epoch begun: adopt's own flush counts it on by one.
func (c *Cache) adopt(from *Cache, begun uint64) int {
	c.FlushAll()
	now := c.Since(begun + 1)
	n := 0
	for i := range from.shards {
		f := &from.shards[i]
		for _, r := range f.rings {
			for _, seg := range r.queue {
				f.walk(seg, func(_, _ uint64, _ *atomic.Uint64, e entry) {
					h := c.secret.hash(e.kind(), e.key())
					s := c.shard(h)
					s.mu.Lock()
					defer s.mu.Unlock()
					if !now.over() {
						s.store(h, e, e.stored())
						n++
					}
				})
			}
		}
		f.clear() // gives the memory back as it goes
	}
	return n
}

// summed is a reader that sums what is read.
type summed struct {
	r   *bufio.Reader
	sum io.Writer
	one [1]byte
}

func (s *summed) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	_, _ = s.sum.Write(p[:n]) // a hash takes everything
	return n, err
}

func (s *summed) ReadByte() (byte, error) {
	b, err := s.r.ReadByte()
	if err == nil {
		s.one[0] = b
		_, _ = s.sum.Write(s.one[:])
	}
	return b, err
}

// sound tells whether octets are an entry that all readers can take apart.
func (e entry) sound() bool {
	if len(e) < entryHeader || len(e)%4 != 0 || e.size() != len(e) || entryHeader+e.keyLen() > len(e) || e.keyLen() > keyRoom {
		return false
	}
	name := keyName(e.key())
	if name == nil || wire.ValidName(name) != nil || e.expires() < e.stored() {
		return false
	}
	rest := e.keyLen() - len(name)
	switch e.kind() {
	case kindRRset:
		_, ok := decodeRRset(e, e.stored())
		return rest == 2 && ok
	case kindAnswer, kindNoName, kindFailure:
		_, ok := decodeAnswer(e, e.stored())
		return rest == 5 && ok
	case kindPacket:
		return rest == 5 && e.soundPacket()
	}
	return false
}

func (e entry) soundPacket() bool {
	b := e.body()
	if len(b) < packetHeader+1 {
		return false
	}
	le := binary.LittleEndian
	ttls := packetHeader + int(le.Uint16(b[14:])) + 2*int(le.Uint16(b[16:]))
	pad := int(b[len(b)-1])
	if pad == 0 || pad > 4 || ttls > len(b)-pad {
		return false
	}
	var p Packet
	p.decode(e)
	found, ok := appendTTLs(nil, p.Body, int(p.AN)+int(p.NS)+int(p.AR))
	return ok && string(found) == string(p.ttls)
}
