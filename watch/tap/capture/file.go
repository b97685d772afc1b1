package capture

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Packet is one captured packet. Data is valid until the next one is read.
type Packet struct {
	Time   int64 // ns since 1970; 0: the file does not say
	Frame  uint64
	Offset int64 // of its record in the file
	Link   Link
	Length int // on the wire; Data may be shorter
	Data   []byte
}

// Error is a breach of the file format at a place. The reader goes on behind it if it can.
type Error struct {
	Offset int64
	Frame  uint64 // read before
	Text   string
}

func (e *Error) Error() string {
	return fmt.Sprintf("octet %d, after frame %d: %s", e.Offset, e.Frame, e.Text)
}

const (
	// maxPacket bounds a packet: tcpdump's largest snap length (stops: a length field that claims memory).
	maxPacket = 256 << 10
	// fileBuffer holds the largest block and lets a reader look ahead when it has lost its way.
	fileBuffer = 1 << 20
	// maxSearch bounds how far the next record is looked for behind a broken one.
	maxSearch = 64 << 20
)

// File reads a capture file of either format.
type File struct {
	in     *bufio.Reader
	offset int64
	frame  uint64
	held   int // octets of the record handed out, still in the buffer
	last   int64
	order  binary.ByteOrder
	format format

	// LostByCapture counts packets that whoever wrote the file says he lost (pcapng's interface statistics).
	LostByCapture uint64
}

// format is one of the two kinds of files.
type format interface {
	// record reads the record at the start of the file's unread part into p; false for one that is no packet. It must not take more of the
	// file than the record.
	record(f *File, p *Packet) (bool, error)
	// fits tells whether a record can begin at the start of b, which goes on for some records' length.
	fits(f *File, b []byte) bool
	name() string
}

// NewFile reads the header of a capture file.
func NewFile(in io.Reader) (*File, error) {
	f := &File{in: bufio.NewReaderSize(in, fileBuffer)}
	b, err := f.in.Peek(4)
	if err != nil {
		return nil, f.wrong("shorter than a capture file's header")
	}
	if binary.BigEndian.Uint32(b) == blockSection {
		f.format = &pcapng{}
		return f, nil
	}
	classic, err := newPcap(f)
	if err != nil {
		return nil, err
	}
	f.format = classic
	return f, nil
}

// IsCapture tells whether a file that begins with b, of at least four octets, is a capture file.
func IsCapture(b []byte) bool {
	return len(b) >= 4 && (binary.BigEndian.Uint32(b) == blockSection || magics[binary.BigEndian.Uint32(b)] != 0 || magics[binary.LittleEndian.Uint32(b)] != 0)
}

// Format is pcap or pcapng.
func (f *File) Format() string { return f.format.name() }

// Frames counts the packets read.
func (f *File) Frames() uint64 { return f.frame }

// Read is the number of octets read.
func (f *File) Read() int64 { return f.offset + int64(f.held) }

// Next reads the next packet. io.EOF is the end. After an *Error the next call goes on behind the breach, where the next record seems to
// begin; any other error ends the file.
func (f *File) Next(p *Packet) error {
	f.release()
	for {
		if _, err := f.in.Peek(1); err != nil {
			return err
		}
		start := f.offset
		is, err := f.format.record(f, p)
		if err != nil {
			return f.goOn(err)
		}
		if is {
			f.frame++
			p.Frame, p.Offset = f.frame, start
			if p.Time > 0 {
				f.last = p.Time
			}
			return nil
		}
		f.release()
	}
}

// take makes the next n octets the record in hand.
func (f *File) take(n int) ([]byte, error) {
	b, err := f.in.Peek(n)
	if err != nil {
		if errors.Is(err, io.EOF) {
			return nil, f.wrong("the file ends inside a record: %d octets of %d are there", len(b), n)
		}
		return nil, err
	}
	f.held = n
	return b, nil
}

func (f *File) release() {
	n, _ := f.in.Discard(f.held) // it was peeked at, so it is there
	f.offset += int64(n)
	f.held = 0
}

func (f *File) wrong(format string, args ...any) error {
	return &Error{f.offset, f.frame, fmt.Sprintf(format, args...)}
}

// goOn looks for the next record behind a broken one, octet by octet, and returns the error that says where it broke.
func (f *File) goOn(broken error) error {
	var e *Error
	if !errors.As(broken, &e) {
		return broken
	}
	f.held = 0
	for searched := 0; searched < maxSearch; {
		b, err := f.in.Peek(fileBuffer)
		if len(b) < 2 {
			f.held = len(b)
			f.release()
			return e
		}
		for at := 1; at < len(b); at++ {
			if f.format.fits(f, b[at:]) {
				f.skip(at)
				return e
			}
			// What follows may be a whole record that only seems none because the buffer ends.
			if err == nil && at > fileBuffer-2*maxPacket {
				break
			}
		}
		n := len(b)
		if err == nil {
			n = fileBuffer - 2*maxPacket
		}
		f.skip(n)
		searched += n
		if err != nil {
			return e
		}
	}
	return fmt.Errorf("%w; no record was found in the %d MiB behind it", e, maxSearch>>20)
}

func (f *File) skip(n int) {
	f.held = n
	f.release()
}

// near tells whether a time can belong to this file: within a day of the packet before.
func (f *File) near(t int64) bool {
	const day = 86400e9
	return f.last == 0 || t-f.last < day && f.last-t < day
}
