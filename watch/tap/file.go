package tap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"anyu/event"
	"anyu/watch/tap/capture"
	"anyu/watch/tap/cdns"
	"anyu/watch/tap/dnstap"
	"anyu/watch/tap/framestream"
)

// Formats of files.
const (
	FormatDnstap = "dnstap"
	FormatPcap   = "pcap"
	FormatPcapng = "pcapng"
	FormatCDNS   = "c-dns"
)

// Reader reads a file of observations of any format, compressed or not.
type Reader struct {
	// Table gets the messages.
	Table *Table
	// Each, unless nil, sees each message before it is paired.
	Each func(*Message)
	// Complain, unless nil, hears what is wrong where: "frame 7" or "octet 4711", and what.
	Complain func(place, text string)
	// Ports of DNS in captures; nil: capture.Ports().
	Ports []uint16

	// What was found.
	Format  string
	Frames  uint64 // frames or packets
	Broken  uint64 // places where the container, or a frame of it, could not be read
	Lost    uint64 // packets that whoever captured says he lost
	Unknown uint64 // dnstap messages of types newer than this program
	Packets *capture.Statistics

	latest int64
}

// Read reads a file to its end. An error means that nothing more could be read, and names the place; all that was read before it is in the table.
func (r *Reader) Read(in io.Reader) error {
	b, err := plain(in)
	if err != nil {
		return err
	}
	head, err := b.Peek(peekSize)
	switch {
	case len(head) == 0 && errors.Is(err, io.EOF):
		return errors.New("nothing is there: the file is empty")
	case err != nil && !errors.Is(err, io.EOF):
		return err
	case cdns.IsCDNS(head):
		return r.cdns(b)
	case capture.IsCapture(head):
		return r.captured(b)
	case len(head) >= 4 && binary.BigEndian.Uint32(head) == 0:
		return r.dnstap(b)
	}
	return fmt.Errorf("neither dnstap (Frame Streams), pcap, pcapng nor C-DNS: the file begins with %x", head)
}

// take gives a message to the table. The time of files is that of their messages, and does not go back.
func (r *Reader) take(m *Message) {
	if m.Has&event.HasTime != 0 {
		r.latest = max(r.latest, m.Time)
	}
	if r.Each != nil {
		r.Each(m)
	}
	r.Table.Add(m, r.latest)
}

func (r *Reader) complain(place, text string) {
	r.Broken++
	if r.Complain != nil {
		r.Complain(place, text)
	}
}

func (r *Reader) captured(in io.Reader) error {
	f, err := capture.NewFile(in)
	if err != nil {
		return err
	}
	r.Format = f.Format()
	if r.Ports == nil {
		r.Ports = capture.Ports()
	}
	var m Message
	d := capture.NewDecoder(r.Ports, func(c *capture.Message) {
		m.FromCapture(c)
		r.take(&m)
	})
	d.Complain = func(frame uint64, why capture.Reason) {
		if r.Complain != nil { // counted by the decoder
			r.Complain(fmt.Sprintf("frame %d", frame), why.String())
		}
	}
	r.Packets = &d.Statistics
	for {
		var p capture.Packet
		err := f.Next(&p)
		r.Frames, r.Lost = f.Frames(), f.LostByCapture
		var breach *capture.Error
		switch {
		case err == nil:
			d.Packet(&p)
			continue
		case errors.As(err, &breach):
			r.complain(fmt.Sprintf("octet %d, after frame %d", breach.Offset, breach.Frame), breach.Text)
			continue
		}
		d.Close()
		if errors.Is(err, io.EOF) {
			return nil
		}
		return fmt.Errorf("octet %d, after frame %d: %w", f.Read(), f.Frames(), err)
	}
}

func (r *Reader) dnstap(in io.Reader) error {
	r.Format = FormatDnstap
	f := framestream.NewReader(in, nil, framestream.ContentType)
	var d dnstap.Message
	var m Message
	for {
		frame, err := f.Next()
		if n := f.TooLong(); n > r.Broken {
			r.complain(fmt.Sprintf("octet %d", f.Offset()), "a frame longer than any dnstap message was passed over")
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			r.complain(fmt.Sprintf("octet %d", f.Offset()), "the file ends without STOP: whoever wrote it did not end regularly, or goes on")
			return nil
		default:
			return err
		}
		r.Frames++
		if err := d.Decode(frame); err != nil {
			r.complain(fmt.Sprintf("octet %d, frame %d", f.Offset(), r.Frames), err.Error())
			continue
		}
		if !d.Type.Known() {
			r.Unknown++
		}
		if !m.FromDnstap(&d) {
			r.Table.Bare()
			continue
		}
		r.take(&m)
	}
}
