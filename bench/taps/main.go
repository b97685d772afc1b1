// Command taps writes the files of bench/tap.sh: what a resolver's clients asked and were told, as dnstap and as a capture.
package main

import (
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"

	"anyu/dns/wire"
	"anyu/watch/tap/capture"
	"anyu/watch/tap/dnstap"
	"anyu/watch/tap/framestream"
)

func main() {
	n := flag.Int("transactions", 1_000_000, "questions, each with its answer")
	tapFile := flag.String("dnstap", "", "file of Frame Streams to write")
	pcapFile := flag.String("pcap", "", "capture to write")
	socket := flag.String("send", "", "unix `SOCKET` that the file of -dnstap is sent to, in place of writing it")
	flag.Parse()
	err := error(nil)
	if *socket != "" {
		err = send(*socket, *tapFile)
	} else {
		err = errors.Join(writeDnstap(*tapFile, *n), writePcap(*pcapFile, *n))
	}
	if err != nil {
		log.Fatal(err)
	}
}

// crowd asks for 100,000 names by Zipf's law from 5,000 clients, 100,000 questions a second.
type crowd struct {
	r         *rand.Rand
	zipf      *rand.Zipf
	now       int64
	query     []byte
	reply     []byte
	client    uint32
	port      uint16
	sent      int64
	answered  int64
	nameStore [wire.MaxName]byte
}

func newCrowd() *crowd {
	c := &crowd{r: rand.New(rand.NewPCG(1, 2)), now: 1_790_000_000e9}
	c.zipf = rand.NewZipf(c.r, 1.1, 10, 99_999)
	return c
}

func (c *crowd) next() {
	n := c.zipf.Uint64()
	labels := []string{"www", fmt.Sprintf("name-%d", n), [...]string{"com", "cn", "net"}[n%3]}
	name := c.nameStore[:0]
	for _, l := range labels {
		name = append(append(name, byte(len(l))), l...)
	}
	name = append(name, 0)
	be := binary.BigEndian
	id := uint16(c.r.Uint32())
	c.query = append(be.AppendUint16(c.query[:0], id), 0x01, 0, 0, 1, 0, 0, 0, 0, 0, 1)
	c.query = append(append(c.query, name...), 0, 1, 0, 1)
	end := len(c.query)
	c.query = append(c.query, 0, 0, 41, 0x04, 0xD0, 0, 0, 0, 0, 0, 0)
	c.reply = append(c.reply[:0], c.query[:end]...)
	c.reply[2], c.reply[3], c.reply[11] = 0x81, 0x80, 1
	if n%7 == 0 {
		c.reply[3] |= 3
	} else {
		c.reply[7] = byte(1 + n%3)
		for i := range 1 + n%3 {
			c.reply = append(c.reply, 0xC0, 12, 0, 1, 0, 1, 0, 0, 1, 0x2C, 0, 4, 192, 0, byte(n>>8), byte(n+i))
		}
	}
	c.reply = append(c.reply, c.query[end:]...)
	c.client, c.port = 10<<24|uint32(c.r.IntN(5000)), uint16(1024+c.r.IntN(60000))
	c.now += 10_000
	c.sent, c.answered = c.now, c.now+int64(20_000+c.r.IntN(200_000))
}

func (c *crowd) address() []byte { return binary.BigEndian.AppendUint32(nil, c.client) }

func create(name string, fill func(*os.File) error) error {
	if name == "" {
		return nil
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(fill(f), f.Close())
}

func writeDnstap(name string, n int) error {
	return create(name, func(f *os.File) error {
		w := framestream.NewWriter(f, nil, framestream.ContentType)
		if err := w.Start(); err != nil {
			return err
		}
		c := newCrowd()
		var frame []byte
		for range n {
			c.next()
			m := dnstap.Message{Identity: []byte("bench"), Type: dnstap.ClientQuery, Has: dnstap.HasFamily | dnstap.HasProtocol | dnstap.HasQueryPort | dnstap.HasResponsePort | dnstap.HasQueryTime,
				Family: dnstap.INET, Protocol: dnstap.UDP, QueryAddress: c.address(), ResponseAddress: []byte{192, 0, 2, 53}, QueryPort: c.port, ResponsePort: 53, QueryTime: c.sent, Query: c.query}
			frame = m.Append(frame[:0])
			if err := w.Frame(frame); err != nil {
				return err
			}
			m.Type, m.Has, m.ResponseTime, m.Query, m.Response = dnstap.ClientResponse, m.Has|dnstap.HasResponseTime, c.answered, nil, c.reply
			frame = m.Append(frame[:0])
			if err := w.Frame(frame); err != nil {
				return err
			}
		}
		return w.Stop()
	})
}

func writePcap(name string, n int) error {
	return create(name, func(f *os.File) error {
		w, err := capture.NewWriter(f)
		if err != nil {
			return err
		}
		c := newCrowd()
		server := [16]byte{10: 0xFF, 0xFF, 192, 0, 2, 53}
		for range n {
			c.next()
			client := [16]byte{10: 0xFF, 0xFF}
			copy(client[12:], c.address())
			ask := capture.Message{Time: c.sent, From: client, FromPort: c.port, To: server, ToPort: 53, Hop: 64, Wire: c.query}
			answer := capture.Message{Time: c.answered, From: server, FromPort: 53, To: client, ToPort: c.port, Hop: 64, Wire: c.reply}
			if err := errors.Join(w.Write(&ask), w.Write(&answer)); err != nil {
				return err
			}
		}
		return w.Flush()
	})
}
