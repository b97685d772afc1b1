package framestream

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// readBuffer holds some hundreds of frames: one system call for all of them. A frame within it is handed out without being copied.
const readBuffer = MaxFrame + 4

// Reader collects the frames of one stream.
type Reader struct {
	in      *bufio.Reader
	answers io.Writer // nil: nobody to answer, as with files
	content string

	offset   int64 // of the next unread octet
	frame    int64 // offset of the frame read last
	held     int   // octets of the frame handed out last, still in the buffer
	started  bool
	twoSided bool
	tooLong  uint64
}

// NewReader reads a stream of frames of a content type. Where answers is nil, a writer that wants an answer is refused.
func NewReader(in io.Reader, answers io.Writer, content string) *Reader {
	return &Reader{in: bufio.NewReaderSize(in, readBuffer), answers: answers, content: content}
}

// Offset is where the frame handed out last begins, or the error stood.
func (r *Reader) Offset() int64 { return r.frame }

// Read is the number of octets read.
func (r *Reader) Read() int64 { return r.offset + int64(r.held) }

// TooLong counts the frames passed over because they are longer than MaxFrame.
func (r *Reader) TooLong() uint64 { return r.tooLong }

// Waiting tells whether another whole data frame is already in memory: Next would not wait.
func (r *Reader) Waiting() bool {
	n := r.in.Buffered() - r.held
	if n < 4 {
		return false
	}
	b, err := r.in.Peek(r.held + 4)
	if err != nil {
		return false
	}
	length := binary.BigEndian.Uint32(b[r.held:])
	return length > 0 && uint64(n) >= 4+uint64(length)
}

// Next is the next data frame, valid until the call after it. io.EOF is the regular end, a STOP; io.ErrUnexpectedEOF a stream that
// broke off.
func (r *Reader) Next() ([]byte, error) {
	r.release()
	if err := r.Start(); err != nil {
		return nil, err
	}
	for {
		r.frame = r.offset
		length, err := r.length()
		if err != nil {
			return nil, err
		}
		if length == 0 {
			return nil, r.end()
		}
		if length > MaxFrame {
			r.tooLong++
			if err := r.discard(int64(length)); err != nil {
				return nil, err
			}
			continue
		}
		b, err := r.in.Peek(int(length))
		if err != nil {
			return nil, r.broken(err)
		}
		r.held = int(length)
		return b, nil
	}
}

// release drops the frame handed out last from the buffer.
func (r *Reader) release() {
	n, _ := r.in.Discard(r.held) // it was peeked at, so it is there
	r.offset += int64(n)
	r.held = 0
}

func (r *Reader) length() (uint32, error) {
	b, err := r.in.Peek(4)
	if err != nil {
		return 0, r.broken(err)
	}
	n := binary.BigEndian.Uint32(b)
	return n, r.discard(4)
}

func (r *Reader) discard(n int64) error {
	for n > 0 {
		did, err := r.in.Discard(int(min(n, 1<<30)))
		r.offset += int64(did)
		n -= int64(did)
		if err != nil {
			return r.broken(err)
		}
	}
	return nil
}

// broken is an end in the middle.
func (r *Reader) broken(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// control reads a control frame whose escape was read.
func (r *Reader) control() (control, error) {
	length, err := r.length()
	if err != nil {
		return control{}, err
	}
	if length > maxControl {
		return control{}, r.wrong("control frame of %d octets, at most %d", length, maxControl)
	}
	b, err := r.in.Peek(int(length))
	if err != nil {
		return control{}, r.broken(err)
	}
	c, text := readControl(b, r.content)
	if text != "" {
		return c, r.wrong("%s", text)
	}
	return c, r.discard(int64(length))
}

func (r *Reader) wrong(format string, args ...any) error {
	return &Error{r.frame, fmt.Sprintf(format, args...)}
}

// Start reads up to and with START, once. A caller with a deadline for it calls it before Next, which may wait for its first frame for days.
func (r *Reader) Start() error {
	if r.started {
		return nil
	}
	if err := r.start(); err != nil {
		return err
	}
	r.started = true
	return nil
}

// start looks at the first control frame, which tells whether the writer waits for an answer.
func (r *Reader) start() error {
	c, err := r.opening()
	if err != nil {
		return err
	}
	if c.kind == controlReady {
		if r.answers == nil {
			return r.wrong("READY where nobody can answer: this is one side of a conversation, no file")
		}
		if c.types > 0 && !c.offers {
			return r.wrong("the writer offers no frames of type %q", r.content)
		}
		if _, err := r.answers.Write(appendControl(nil, controlAccept, r.content)); err != nil {
			return fmt.Errorf("answering READY: %w", err)
		}
		r.twoSided = true
		if c, err = r.opening(); err != nil {
			return err
		}
	}
	switch {
	case c.kind != controlStart:
		return r.wrong("%s where START belongs", controlName(c.kind))
	case c.types > 1:
		return r.wrong("START with %d content types", c.types)
	case c.types == 1 && !c.offers:
		return r.wrong("the frames are not of type %q", r.content)
	}
	return nil
}

// opening reads a control frame before the first data frame.
func (r *Reader) opening() (control, error) {
	r.frame = r.offset
	escape, err := r.length()
	if err != nil {
		return control{}, err
	}
	if escape != 0 {
		return control{}, r.wrong("data before START: this is no Frame Streams")
	}
	return r.control()
}

// end reads the control frame between data frames, which can only be STOP.
func (r *Reader) end() error {
	c, err := r.control()
	if err != nil {
		return err
	}
	if c.kind != controlStop {
		return r.wrong("%s between data frames", controlName(c.kind))
	}
	if r.twoSided {
		if _, err := r.answers.Write(appendControl(nil, controlFinish, "")); err != nil {
			return fmt.Errorf("answering STOP: %w", err)
		}
	}
	return io.EOF
}
