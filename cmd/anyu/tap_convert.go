package main

import (
	"fmt"
	"io"
	"os"

	"anyu/watch/tap"
	"anyu/watch/tap/capture"
	"anyu/watch/tap/dnstap"
	"anyu/watch/tap/framestream"
)

// converter writes what is read into a file of another format. One without a file does nothing.
type converter struct {
	file    *os.File
	end     func() error
	written uint64
	refused uint64
}

// converter opens the output and lets the reader write into it.
func (t *tapping) converter(r *tap.Reader) (*converter, error) {
	c := &converter{end: func() error { return nil }}
	if t.to == "" {
		return c, nil
	}
	open := map[string]func(io.Writer, *tap.Reader) error{"dnstap": c.toDnstap, "pcap": c.toPcap}[t.to]
	if open == nil {
		return nil, fmt.Errorf("--to %s: there are dnstap and pcap", t.to)
	}
	f, err := os.OpenFile(t.out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return nil, err
	}
	c.file = f
	if err := open(f, r); err != nil {
		f.Close()
		return nil, fmt.Errorf("writing %s: %w", t.out, err)
	}
	return c, nil
}

// close ends the file; an error of any write before comes out here.
func (c *converter) close() error {
	if c.file == nil {
		return nil
	}
	err := c.end()
	if closed := c.file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", c.file.Name(), err)
	}
	return nil
}

func (c *converter) toDnstap(out io.Writer, r *tap.Reader) error {
	w := framestream.NewWriter(out, nil, framestream.ContentType)
	c.end = w.Stop
	var d dnstap.Message
	var frame []byte
	r.Each = func(m *tap.Message) {
		m.ToDnstap(&d)
		frame = d.Append(frame[:0])
		c.count(w.Frame(frame))
	}
	return w.Start()
}

func (c *converter) toPcap(out io.Writer, r *tap.Reader) error {
	w, err := capture.NewWriter(out)
	if err != nil {
		return err
	}
	c.end = w.Flush
	var p capture.Message
	r.Each = func(m *tap.Message) {
		m.ToCapture(&p)
		c.count(w.Write(&p))
	}
	return nil
}

func (c *converter) count(err error) {
	if err != nil {
		c.refused++
	} else {
		c.written++
	}
}
