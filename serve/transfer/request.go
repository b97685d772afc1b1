package transfer

import (
	"time"

	"anyu/dns/tsig"
	"anyu/dns/wire"
	"anyu/dns/zone"
	"anyu/serve/listen"
	"anyu/serve/reply"
)

// INFO-CODEs we send (RFC 8914, Section 4).
const (
	reasonOther      = 0
	reasonNotReady   = 14
	reasonProhibited = 18
	reasonNoReason   = reply.NoReason
)

// ourPayload is the UDP size told in the OPT of transfers and NOTIFY.
const ourPayload = 1232

// Result is what a request became, for the observation. First is valid until the next request.
type Result struct {
	Rcode wire.Rcode
	Zone  wire.Name // nil: none of ours
	Bytes int
	First []byte
}

// signer signs the messages of one reply in order.
type signer struct {
	request *tsig.Request
	now     func() time.Time
}

func (s *signer) size() int              { return s.request.Size() }
func (s *signer) sign(msg []byte) []byte { return s.request.Answer(msg, s.now()) }
func (s *signer) key() *tsig.Key         { return s.request.Key() }
func keyOf(s *signer) *tsig.Key {
	if s == nil {
		return nil
	}
	return s.key()
}

// request is one message in hand.
type request struct {
	msg  []byte
	q    *wire.Query
	from *listen.Client
	sign *signer // nil: not signed
	opt  reply.OPT
}

// refusal is a short answer with its reason.
type refusal struct {
	rcode  wire.Rcode
	reason uint16
	text   string
}

// open reads the signature. A refusal means that nothing else may be done with the message.
func (r *Room) open(msg []byte, q *wire.Query, from *listen.Client) (*request, *refusal) {
	req := &request{msg: msg, q: q, from: from}
	req.opt = reply.OPT{Present: q.HasEDNS, Payload: ourPayload, DO: q.DO, Keepalive: -1, Expire: -1, Reason: reasonNoReason}
	if q.TSIG == 0 {
		return req, nil
	}
	signed, err := tsig.Check(msg, q.TSIG, r.key, r.now())
	if err != nil {
		return req, &refusal{wire.FormErr, reasonNoReason, ""}
	}
	req.sign = &signer{signed, r.now}
	if signed.Err != nil {
		// RFC 8945, Section 5.2: NOTAUTH, with the error in the TSIG.
		return req, &refusal{wire.NotAuth, reasonNoReason, signed.Err.Text}
	}
	req.msg = signed.Message
	return req, nil
}

// short writes an answer without records, signed if the request was.
func (req *request) short(out []byte, f *refusal, more uint16) int {
	req.opt.Reason, req.opt.Text = f.reason, f.text
	if f.reason == reasonNoReason {
		req.opt.Text = ""
	}
	n := reply.Short(out, req.msg, req.q, f.rcode, more, &req.opt)
	if req.sign != nil {
		n = len(req.sign.sign(out[:n:len(out)]))
	}
	return n
}

// Message answers one message that is no plain question: NOTIFY, a transfer over UDP or HTTPS, or anything signed. inner answers a
// question whose signature holds, leaving the given room. It returns the length of the reply in out.
func (r *Room) Message(msg []byte, q *wire.Query, from *listen.Client, out []byte, inner func(msg, out []byte, room int) int) (int, wire.Rcode) {
	req, f := r.open(msg, q, from)
	if f == nil {
		switch {
		case q.Opcode() == wire.OpcodeNotify:
			f = r.notified(req)
			if f.rcode == wire.NoError {
				// RFC 1996, Section 4.7: the answer has AA and the same ID. (case 66)
				return req.short(out, f, wire.FlagAA), wire.NoError
			}
		case q.Opcode() != wire.OpcodeQuery || req.sign == nil && q.Type != wire.TypeAXFR && q.Type != wire.TypeIXFR:
			f = &refusal{wire.NotImp, reasonNoReason, ""}
		case q.Type == wire.TypeAXFR:
			// RFC 5936, Section 4.2: AXFR over UDP is not defined.
			f = &refusal{wire.FormErr, reasonNoReason, ""}
		case q.Type == wire.TypeIXFR:
			return r.single(req, out)
		default:
			n := inner(req.msg, out, req.sign.size())
			if n <= 0 {
				return 0, wire.NoError
			}
			rcode := wire.ReadHeader(out).Rcode()
			return len(req.sign.sign(out[:n:len(out)])), rcode
		}
	}
	return req.short(out, f, 0), f.rcode
}

// single answers IXFR in one message, with the SOA alone (RFC 1995, Section 2; case 70).
func (r *Room) single(req *request, out []byte) (int, wire.Rcode) {
	_, z, f := r.authorise(req)
	if f != nil {
		return req.short(out, f, 0), f.rcode
	}
	n := 0
	p := newPacker(req.q, req.opt, req.sign, func(m []byte) error { n = copy(out, m); return nil })
	defer p.release()
	if err := writeSOA(p, z); err != nil {
		f := &refusal{wire.ServFail, reasonOther, ""}
		return req.short(out, f, 0), f.rcode
	}
	return n, wire.NoError
}

// authorise finds the zone of a transfer request and says whether the client may have it.
func (r *Room) authorise(req *request) (*entry, *zone.Zone, *refusal) {
	e := r.find(req.q.Name)
	if e == nil || req.q.Class != wire.ClassIN {
		// RFC 5936, Section 2.2.1
		return nil, nil, &refusal{wire.NotAuth, reasonNoReason, ""}
	}
	conf := e.conf.Load()
	if !conf.AllowTransfer.Allows(req.from.Remote.Addr(), keyOf(req.sign)) {
		return e, nil, &refusal{wire.Refused, reasonProhibited, "client or key not in allow_transfer"}
	}
	z := e.zone.Load()
	if z == nil {
		return e, nil, &refusal{wire.ServFail, reasonNotReady, "zone is not loaded or has expired"}
	}
	return e, z, nil
}

// Stream answers AXFR and IXFR over a stream. An error means that the connection is to be closed: the client must not take
// what it has for a zone.
func (r *Room) Stream(msg []byte, from *listen.Client, send func([]byte) error) (Result, error) {
	q := new(wire.Query)
	if q.Read(msg) != wire.Good || q.Name == nil {
		return Result{Rcode: wire.FormErr}, nil
	}
	req, f := r.open(msg, q, from)
	var e *entry
	var z *zone.Zone
	if f == nil {
		e, z, f = r.authorise(req)
	}
	if f != nil {
		r.log.Info("transfer refused", "zone", q.Name.String(), "client", from.Remote.String(), "rcode", f.rcode.String(), "reason", f.text)
		return r.refuse(req, e, f, send)
	}
	req.opt.Expire = e.expireOption(q, z, r.now())
	p := newPacker(q, req.opt, req.sign, send)
	defer p.release()
	start := r.now()
	kind, err := r.write(p, req, e, z)
	done := Result{Rcode: wire.NoError, Zone: e.name, Bytes: p.bytes, First: append([]byte(nil), p.first...)}
	e.sent(kind, p.bytes, r.now(), err)
	if err != nil {
		r.log.Warn("transfer out failed", "zone", e.text, "client", from.Remote.String(), "kind", kind, "error", err)
		return done, err
	}
	r.log.Info("zone sent", "zone", e.text, "client", from.Remote.String(), "kind", kind, "serial", z.Serial(), "octets", p.bytes,
		"messages", p.messages, "transport", from.Transport.String(), "took", r.now().Sub(start))
	return done, nil
}

// refuse sends a short answer as the only message of a stream.
func (r *Room) refuse(req *request, e *entry, f *refusal, send func([]byte) error) (Result, error) {
	out := make([]byte, len(req.msg)+1024)
	n := req.short(out, f, 0)
	done := Result{Rcode: f.rcode, Bytes: n, First: out[:n]}
	if e != nil {
		done.Zone = e.name
	}
	return done, send(out[:n])
}

// Kinds of a transfer.
const (
	kindAXFR = "axfr"
	kindIXFR = "ixfr"
	kindSOA  = "soa" // nothing new
)

// write chooses the form of the answer. RFC 1995, Section 4, and RFC 5936, Section 3: the version is fixed here, a change
// during the transfer does not touch it.
func (r *Room) write(p *packer, req *request, e *entry, z *zone.Zone) (kind string, err error) {
	if req.q.Type == wire.TypeAXFR {
		return kindAXFR, writeAXFR(p, z)
	}
	serial, ok := clientSerial(req.msg, req.q.Name, wire.Authorities)
	if !ok {
		p.flags |= uint16(wire.FormErr) // RFC 1995, Section 3: the SOA is missing
		return kindIXFR, p.flush()
	}
	if !newer(z.Serial(), serial) {
		return kindSOA, writeSOA(p, z)
	}
	steps := e.since(serial, z.Serial())
	if steps == nil {
		return kindAXFR, writeAXFR(p, z)
	}
	defer steps.close()
	// RFC 1995, Section 5: a history longer than the zone is of no use. What fits into one message always is.
	if _, records, bytes := z.Size(); steps.bytes > bytes+int64(records)*recordHead+softMessage {
		return kindAXFR, writeAXFR(p, z)
	}
	return kindIXFR, writeIXFR(p, z, steps)
}
