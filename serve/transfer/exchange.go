package transfer

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"anyu/dns/tsig"
	"anyu/dns/wire"
)

// alpnDoT is what a server for zone transfer over TLS must choose (RFC 9103, Section 7.1).
const alpnDoT = "dot"

// dialWait is how long connecting may take, TLS included. A dead primary of many zones must not hold the places of others for long.
const dialWait = 5 * time.Second

func randomID() uint32 {
	var b [4]byte
	rand.Read(b[:])
	return binary.BigEndian.Uint32(b[:])
}

// exchange sends one message to a server over udp, tcp or tls and gives each reply, verified and without its TSIG, to take until it
// says that it has all. idle is how long the next message may take; ctx bounds the whole. Over UDP what does not
// answer our question is passed over: anybody can send it.
func (r *Room) exchange(ctx context.Context, to *Remote, network string, query []byte, idle time.Duration, take func([]byte) (bool, error)) error {
	conn, err := r.dial(ctx, to, network, idle)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	var chain *tsig.Chain
	sent := query
	if to.Key != nil {
		chain = tsig.NewChain(to.Key)
		sent = chain.Sign(bytes.Clone(query), r.now())
	}
	c := &replies{ctx: ctx, conn: conn, udp: network == "udp", query: query, idle: idle}
	if err := c.send(sent); err != nil {
		return failure(ctx, err)
	}
	for last := error(nil); ; {
		msg, err := c.next()
		if err != nil {
			if last != nil {
				return last
			}
			return failure(ctx, err)
		}
		if chain != nil {
			if msg, err = chain.Verify(msg, r.now()); err != nil {
				if c.udp && ctx.Err() == nil {
					last = err // perhaps forged: the real answer may still come
					continue
				}
				return err
			}
		}
		done, err := take(msg)
		if err != nil || !done {
			if err != nil {
				return err
			}
			continue
		}
		if chain != nil {
			return chain.End()
		}
		return nil
	}
}

// failure prefers the context's word about why an exchange ended.
func failure(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// dial opens the connection; TLS is verified before anything is said. RFC 9103, Section 9.3.1 (strict): the certificate must have
// the name in the configuration.
func (r *Room) dial(ctx context.Context, to *Remote, network string, idle time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, min(idle, dialWait))
	defer cancel()
	if network != "tls" {
		return r.opts.Dial(ctx, network, to.Address.String())
	}
	raw, err := r.opts.Dial(ctx, "tcp", to.Address.String())
	if err != nil {
		return nil, err
	}
	conf := to.TLS.Clone()
	conf.MinVersion, conf.NextProtos = tls.VersionTLS13, []string{alpnDoT} // RFC 9103, Sections 7 and 7.1
	conn := tls.Client(raw, conf)
	err = conn.HandshakeContext(ctx)
	if err == nil && conn.ConnectionState().NegotiatedProtocol != alpnDoT {
		err = errors.New("server does not offer the ALPN protocol dot")
	}
	if err != nil {
		raw.Close()
		return nil, fmt.Errorf("tls: %w", err)
	}
	return conn, nil
}

// replies reads the messages that come back.
type replies struct {
	ctx   context.Context
	conn  net.Conn
	udp   bool
	query []byte
	idle  time.Duration
	buf   []byte
}

func (c *replies) send(msg []byte) error {
	c.conn.SetWriteDeadline(time.Now().Add(c.idle))
	if !c.udp {
		msg = append(binary.BigEndian.AppendUint16(make([]byte, 0, len(msg)+2), uint16(len(msg))), msg...)
	}
	_, err := c.conn.Write(msg)
	return err
}

// next returns the next message that may be a reply. It is valid until the next call.
func (c *replies) next() ([]byte, error) {
	c.conn.SetReadDeadline(time.Now().Add(c.idle))
	if c.ctx.Err() != nil { // after the deadline was set, which would undo that of the context's end
		return nil, c.ctx.Err()
	}
	if c.buf == nil {
		c.buf = make([]byte, hardMessage)
	}
	if c.udp {
		for {
			n, err := c.conn.Read(c.buf)
			if err != nil {
				return nil, err
			}
			if answers(c.buf[:n], c.query) {
				return c.buf[:n], nil
			}
		}
	}
	if _, err := io.ReadFull(c.conn, c.buf[:2]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint16(c.buf))
	if _, err := io.ReadFull(c.conn, c.buf[:n]); err != nil {
		return nil, err
	}
	if n < wire.HeaderSize || binary.BigEndian.Uint16(c.buf) != binary.BigEndian.Uint16(c.query) || c.buf[2]&0x80 == 0 {
		return nil, errors.New("server sent something that is no answer to our question")
	}
	return c.buf[:n], nil
}

// answers tells whether a datagram answers a query: same ID, opcode and question (RFC 5452, Section 9.1).
func answers(msg, query []byte) bool {
	if len(msg) < wire.HeaderSize {
		return false
	}
	h, q := wire.ReadHeader(msg), wire.ReadHeader(query)
	if h.ID != q.ID || h.Flags&wire.FlagQR == 0 || h.Opcode() != q.Opcode() {
		return false
	}
	if h.QD == 0 {
		return h.Rcode() != wire.NoError // an error may come without the question
	}
	var p, s wire.Parser
	p.Start(msg)
	s.Start(query)
	a, err := p.Question()
	b, _ := s.Question()
	return err == nil && h.QD == 1 && a.Type == b.Type && a.Class == b.Class && a.Name.Equal(b.Name)
}
