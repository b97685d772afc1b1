package zone

import (
	"bytes"
	"errors"
	"io"
)

// blockSize is how much of a master file is read and parsed at a time.
const blockSize = 1 << 20

// firstBlock is the size of the first buffer: most zones are small and need no other.
const firstBlock = 32 << 10

var errLongRecord = errors.New("a record or comment is longer than 1 MiB")

// blocks cuts a master file at line ends where no parenthesis is open.
type blocks struct {
	r    io.Reader
	size int    // of a block
	rest []byte // read, not handed out; in a buffer of its own
	line int    // of the first octet of rest
	eof  bool
}

func newBlocks(r io.Reader, size int) *blocks {
	return &blocks{r: r, size: size, line: 1, rest: make([]byte, 0, min(size, 4096))}
}

// buffer returns one for the block after n others: buf if it is large enough.
func (b *blocks) buffer(buf []byte, n int) []byte {
	switch {
	case b.eof && len(b.rest) == 0:
		return buf // nothing is left to put into it
	case n == 0:
		return make([]byte, 0, min(firstBlock, b.size))
	case cap(buf) < b.size:
		return make([]byte, 0, b.size)
	}
	return buf
}

// next fills buf with a block, and says on which line it begins. A buf smaller than blockSize is replaced where a record
// does not fit it. At the end it returns io.EOF.
func (b *blocks) next(buf []byte) (block []byte, line int, err error) {
	buf = append(buf[:0], b.rest...)
	if err := b.fill(&buf); err != nil {
		return nil, b.line, err
	}
	if len(buf) == 0 {
		return nil, b.line, io.EOF
	}
	cut := len(buf)
	if !b.eof {
		cut = safeCut(buf)
	}
	if cut == 0 && cap(buf) < maxRecordText {
		buf = append(make([]byte, 0, maxRecordText), buf...)
		if err := b.fill(&buf); err != nil {
			return nil, b.line, err
		}
		if cut = len(buf); !b.eof {
			cut = safeCut(buf)
		}
	}
	if cut == 0 {
		return nil, b.line, errLongRecord
	}
	b.rest = append(b.rest[:0], buf[cut:]...)
	line = b.line
	b.line += bytes.Count(buf[:cut], []byte{'\n'})
	return buf[:cut], line, nil
}

// fill reads until buf is full or the file ends.
func (b *blocks) fill(buf *[]byte) error {
	for !b.eof && len(*buf) < cap(*buf) {
		n, err := b.r.Read((*buf)[len(*buf):cap(*buf)])
		*buf = (*buf)[:len(*buf)+n]
		if err == io.EOF {
			b.eof = true
		} else if err != nil {
			return err
		}
	}
	return nil
}

// safeCut is the offset after the last line end of buf that ends a record, 0 for none. Where it can it chooses one that a
// record with its own owner follows, so that the next block needs nothing from this one.
func safeCut(buf []byte) int {
	if bytes.IndexByte(buf, '(') >= 0 {
		return carefulCut(buf)
	}
	last := bytes.LastIndexByte(buf, '\n') + 1
	// The line after the last line end may be cut in its first octet: look at those before.
	for cut, tries := last, 0; cut > 0 && tries < 64; tries++ {
		if cut < len(buf) && charOf[buf[cut]] == charWord {
			return cut
		}
		cut = bytes.LastIndexByte(buf[:cut-1], '\n') + 1
	}
	return last
}

// carefulCut is safeCut for text with parentheses.
func carefulCut(buf []byte) int {
	depth, last, owned := 0, 0, 0
	quoted := false
	for i := 0; i < len(buf); i++ {
		switch charOf[buf[i]] {
		case charEscape:
			i++
		case charQuote:
			quoted = !quoted
		case charOpen:
			if !quoted {
				depth++
			}
		case charClose:
			if !quoted && depth > 0 {
				depth--
			}
		case charComment:
			if !quoted {
				n := bytes.IndexByte(buf[i:], '\n')
				if n < 0 {
					i = len(buf)
					continue
				}
				i += n - 1
			}
		case charLine:
			if depth > 0 {
				continue
			}
			quoted = false // not closed on its line: an error that the parser reports
			last = i + 1
			if i+1 < len(buf) && charOf[buf[i+1]] == charWord {
				owned = i + 1
			}
		}
	}
	if owned > len(buf)/2 {
		return owned
	}
	return last
}
