package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"anyu/watch/tap"
	"anyu/watch/tap/capture"
	"anyu/watch/tap/cdns"
	"anyu/watch/tap/dnstap"
	"anyu/watch/tap/framestream"
)

// converter writes what is read into a file of another format. One without a file does nothing.
type converter struct {
	file    *os.File
	end     func() error
	pairs   func(*tap.Transaction) // of a format that keeps transactions; nil: it keeps messages
	written uint64
	refused uint64
}

// converter opens the output and lets the reader write into it.
func (t *tapping) converter(r *tap.Reader) (*converter, error) {
	c := &converter{end: func() error { return nil }}
	if t.to == "" {
		return c, nil
	}
	open := map[string]func(io.Writer, *tap.Reader) error{"dnstap": c.toDnstap, "pcap": c.toPcap, "cdns": c.toCDNS}[t.to]
	if open == nil {
		return nil, fmt.Errorf("--to %s: there are dnstap, pcap and cdns", t.to)
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

func (c *converter) toCDNS(out io.Writer, _ *tap.Reader) error {
	host, err := os.Hostname()
	if err != nil {
		host = "" // the format need not have it
	}
	buffered := bufio.NewWriterSize(out, 1<<16)
	w, err := cdns.NewWriter(buffered, "anyu "+version, host)
	if err != nil {
		return err
	}
	c.end = func() error { return errors.Join(w.Close(), buffered.Flush()) }
	var it cdns.Item
	c.pairs = func(x *tap.Transaction) {
		x.ToCDNS(&it)
		c.count(w.Add(&it))
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
