package rssac

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/axiomhq/hyperloglog"
	"github.com/dchest/siphash"
)

// maxExact is how many different sources of each kind are counted exactly: IPv4 addresses, IPv6 addresses, IPv6 /64. Beyond it (K-root has 7.5
// million IPv4 a day, a flood from made-up addresses more) a HyperLogLog goes on. 50 MB at the most, all three.
const maxExact = 1 << 20

// precision gives a standard error of 0.4 % in 64 kB.
const precision = 16

// Kinds of sources, in the order of the file.
const (
	sourceIPv4 = iota
	sourceIPv6
	sourceIPv6Net
	kinds
)

// sources are the different addresses of a day. New ones are appended to a file, so that saving costs what is new.
type sources struct {
	key       [2]uint64                  // of the hash, so that a restart goes on with the same
	estimates [kinds]*hyperloglog.Sketch // nil: exact
	v4        map[[4]byte]struct{}       // these three are in the file
	v6        map[[16]byte]struct{}
	nets      map[[8]byte]struct{}
	fresh     []byte // not in the file yet
}

// keptSources is what the state file has of them.
type keptSources struct {
	Key       [2]uint64
	Estimates [kinds][]byte
}

// MarshalJSON implements json.Marshaler.
func (s *sources) MarshalJSON() ([]byte, error) {
	kept := keptSources{Key: s.key}
	for kind, e := range s.estimates {
		if e != nil {
			b, err := e.MarshalBinary()
			if err != nil {
				return nil, err
			}
			kept.Estimates[kind] = b
		}
	}
	return json.Marshal(kept)
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *sources) UnmarshalJSON(b []byte) error {
	var kept keptSources
	if err := json.Unmarshal(b, &kept); err != nil {
		return err
	}
	s.key = kept.Key
	for kind, b := range kept.Estimates {
		if len(b) == 0 {
			continue
		}
		e, want := new(hyperloglog.Sketch), newEstimate()
		if err := e.UnmarshalBinary(b); err != nil {
			return err
		}
		if err := want.Merge(e); err != nil { // of another precision
			return err
		}
		s.estimates[kind] = want
	}
	return nil
}

// file is the name of the file of the addresses. With the key in it, one that was left by another day or run is never taken for it.
func (s *sources) file(dir string, day int64) string {
	return filepath.Join(dir, fmt.Sprintf("sources-%d-%016x", day, s.key[0]))
}

func (s *sources) begin() {
	var key [16]byte
	rand.Read(key[:]) // never fails
	s.key = [2]uint64{binary.LittleEndian.Uint64(key[:8]), binary.LittleEndian.Uint64(key[8:])}
	s.empty()
}

func (s *sources) empty() {
	s.v4, s.v6, s.nets = map[[4]byte]struct{}{}, map[[16]byte]struct{}{}, map[[8]byte]struct{}{}
}

func newEstimate() *hyperloglog.Sketch {
	e, err := hyperloglog.NewSketch(precision, false)
	if err != nil {
		panic(err) // the precision is a constant
	}
	return e
}

// add counts an address.
func (s *sources) add(a *[16]byte) {
	if isIPv4(a) {
		addTo(s, sourceIPv4, s.v4, [4]byte(a[12:]), a[12:])
		return
	}
	addTo(s, sourceIPv6, s.v6, *a, a[:])
	addTo(s, sourceIPv6Net, s.nets, [8]byte(a[:8]), a[:8])
}

// addTo puts one into its set, or into the estimate that took its place.
func addTo[K comparable](s *sources, kind int, set map[K]struct{}, key K, octets []byte) {
	if e := s.estimates[kind]; e != nil {
		e.InsertHash(s.hash(octets))
		return
	}
	if _, ok := set[key]; ok {
		return
	}
	set[key] = struct{}{}
	s.fresh = append(append(s.fresh, byte(kind)), octets...)
	if len(set) > maxExact {
		s.estimate(kind)
	}
}

func (s *sources) hash(octets []byte) uint64 { return siphash.Hash(s.key[0], s.key[1], octets) }

// estimate turns a set into an estimate.
func (s *sources) estimate(kind int) {
	e := newEstimate()
	switch kind {
	case sourceIPv4:
		for k := range s.v4 {
			e.InsertHash(s.hash(k[:]))
		}
		s.v4 = nil
	case sourceIPv6:
		for k := range s.v6 {
			e.InsertHash(s.hash(k[:]))
		}
		s.v6 = nil
	case sourceIPv6Net:
		for k := range s.nets {
			e.InsertHash(s.hash(k[:]))
		}
		s.nets = nil
	}
	s.estimates[kind] = e
}

// count is how many there are, and whether that is exact.
func (s *sources) count(kind int) (n uint64, exact bool) {
	if e := s.estimates[kind]; e != nil {
		return e.Estimate(), false
	}
	return uint64([kinds]int{len(s.v4), len(s.v6), len(s.nets)}[kind]), true
}

// appendTo adds octets to the file of the addresses.
func appendTo(path string, octets []byte) error {
	if len(octets) == 0 {
		return nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	at, err := f.Seek(0, io.SeekEnd)
	if err == nil {
		if _, err = f.Write(octets); err != nil {
			err = errors.Join(err, f.Truncate(at)) // what follows half a record could not be read
		}
	}
	return errors.Join(err, f.Close())
}

// load reads the file again. A torn last record is left out: its address comes again, or was seen in the lost seconds.
func (s *sources) load(path string) error {
	s.empty()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	whole, err := s.read(f)
	if err == nil {
		err = f.Truncate(whole)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	return nil
}

// lengths of the addresses of each kind.
var lengths = [kinds]int{4, 16, 8}

// read takes all whole records, and tells how long they are.
func (s *sources) read(r io.Reader) (whole int64, err error) {
	b, err := io.ReadAll(io.LimitReader(r, 64<<20)) // maxExact of each kind are 32 MB
	if err != nil {
		return 0, err
	}
	for len(b) > 0 {
		kind := int(b[0])
		if kind >= kinds {
			return whole, fmt.Errorf("damaged: there is no kind of source %d", kind)
		}
		if len(b) < 1+lengths[kind] {
			break
		}
		octets := b[1 : 1+lengths[kind]]
		switch kind {
		case sourceIPv4:
			addTo(s, kind, s.v4, [4]byte(octets), octets)
		case sourceIPv6:
			addTo(s, kind, s.v6, [16]byte(octets), octets)
		case sourceIPv6Net:
			addTo(s, kind, s.nets, [8]byte(octets), octets)
		}
		b = b[1+lengths[kind]:]
		whole += int64(1 + lengths[kind])
	}
	s.fresh = nil
	return whole, nil
}
