package framestream

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// writeBuffer gathers frames for one system call.
const writeBuffer = 64 << 10

// Writer sends the frames of one stream.
type Writer struct {
	out     *bufio.Writer
	answers *Reader // nil: the other side says nothing
	content string
	length  [4]byte
}

// NewWriter writes a stream of frames of a content type. Where answers is not nil, Start and Stop wait for the reader's answers.
func NewWriter(out io.Writer, answers io.Reader, content string) *Writer {
	w := &Writer{out: bufio.NewWriterSize(out, writeBuffer), content: content}
	if answers != nil {
		w.answers = NewReader(answers, nil, content)
	}
	return w
}

// Start begins the stream.
func (w *Writer) Start() error {
	if w.answers != nil {
		c, err := w.ask(controlReady, w.content, controlAccept)
		if err != nil {
			return err
		}
		if c.types > 0 && !c.offers {
			return w.answers.wrong("the reader does not take frames of type %q", w.content)
		}
	}
	if err := w.send(controlStart, w.content); err != nil {
		return err
	}
	return w.Flush()
}

// Frame appends a data frame.
func (w *Writer) Frame(b []byte) error {
	if len(b) == 0 || len(b) > MaxFrame {
		return fmt.Errorf("a frame of %d octets cannot be sent", len(b))
	}
	binary.BigEndian.PutUint32(w.length[:], uint32(len(b)))
	w.out.Write(w.length[:]) // bufio repeats an error on the next call
	_, err := w.out.Write(b)
	return err
}

// Flush sends what was gathered.
func (w *Writer) Flush() error { return w.out.Flush() }

// Stop ends the stream. Where there is somebody to answer, it returns when all frames have been read there.
func (w *Writer) Stop() error {
	if w.answers != nil {
		_, err := w.ask(controlStop, "", controlFinish)
		return err
	}
	if err := w.send(controlStop, ""); err != nil {
		return err
	}
	return w.Flush()
}

func (w *Writer) send(kind uint32, content string) error {
	_, err := w.out.Write(appendControl(nil, kind, content))
	return err
}

// ask sends a control frame and reads the answer, which must be of the kind wanted.
func (w *Writer) ask(kind uint32, content string, wanted uint32) (control, error) {
	if err := w.send(kind, content); err != nil {
		return control{}, err
	}
	if err := w.Flush(); err != nil {
		return control{}, err
	}
	c, err := w.answers.opening()
	if err != nil {
		return c, fmt.Errorf("waiting for %s: %w", controlName(wanted), err)
	}
	if c.kind != wanted {
		return c, w.answers.wrong("%s where %s belongs", controlName(c.kind), controlName(wanted))
	}
	return c, nil
}
