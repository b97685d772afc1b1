package tap

import (
	"errors"
	"io"
	"net/netip"

	"anyu/event"
	"anyu/watch/tap/cdns"
)

// kindsOfCDNS are our kinds of C-DNS's. A file that tells none is taken as a capture is.
var kindsOfCDNS = [...]Kind{cdns.KindStub: Stub, cdns.KindClient: Client, cdns.KindResolver: Resolver, cdns.KindAuthoritative: Auth, cdns.KindForwarder: Forwarder, cdns.KindTool: Tool, cdns.KindUnknown: Client}

// transportsOfCDNS are our transports; it knows no QUIC, which is other there.
var transportsOfCDNS = map[cdns.Transport]event.Transport{cdns.UDP: event.UDP, cdns.TCP: event.TCP, cdns.TLS: event.TLS, cdns.HTTPS: event.HTTPS}

func (r *Reader) cdns(in io.Reader) error {
	f, err := cdns.NewReader(in)
	if err != nil {
		return err
	}
	r.Format = FormatCDNS
	err = f.Each(func(it *cdns.Item) { r.Frames++; r.item(it) }, func(err error) {
		var breach *cdns.Error
		if errors.As(err, &breach) {
			r.complain("C-DNS", breach.Error())
		}
	})
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// item gives the messages of an item to the table, which need not look for a counterpart: the file says what belongs together.
func (r *Reader) item(it *cdns.Item) {
	ask := Message{Kind: kindsOfCDNS[it.Kind], Transport: OtherTransport, Wire: it.Query, Size: it.QuerySize, Hop: it.Hop, ClientPort: it.ClientPort, ServerPort: it.ServerPort}
	if t, ok := transportsOfCDNS[it.Transport]; ok {
		ask.Transport = t
	}
	if it.Client != nil && address(&ask.Client, it.Client) {
		ask.Has |= event.HasClient
	}
	if it.Server != nil && address(&ask.Server, it.Server) {
		ask.Has |= event.HasServer
	}
	answer := ask
	answer.Reply, answer.Wire, answer.Size, answer.Hop, answer.Partial = true, it.Reply, it.ReplySize, 0, it.Partial
	if it.Timed {
		ask.Time, ask.Has = it.Time, ask.Has|event.HasTime
	}
	if it.Delayed {
		answer.Time, answer.Has = it.ReplyTime, answer.Has|event.HasTime
	}
	if r.Each != nil && it.Query != nil {
		r.Each(&ask)
	}
	if r.Each != nil && it.Reply != nil {
		r.Each(&answer)
	}
	switch {
	case it.Query != nil && it.Reply != nil:
		r.Table.AddPair(&ask, &answer)
	case it.Query != nil:
		r.Table.AddAlone(&ask)
	default:
		r.Table.AddAlone(&answer)
	}
}

// ToCDNS fills what C-DNS keeps of a transaction. It has no place for the name of the server and of the zone.
func (t *Transaction) ToCDNS(it *cdns.Item) {
	q := &t.Query
	*it = cdns.Item{Query: t.Question, Reply: t.Answer, Partial: t.Partial, Hop: t.Hop, Kind: cdns.KindUnknown, Transport: cdns.Other}
	for theirs, ours := range kindsOfCDNS[:cdns.KindUnknown] {
		if ours == t.Kind {
			it.Kind = theirs
		}
	}
	for theirs, ours := range transportsOfCDNS {
		if ours == q.Transport {
			it.Transport = theirs
		}
	}
	if q.Has&event.HasClient != 0 {
		it.Client, it.ClientPort = shortest(&q.Client), q.ClientPort
	}
	if q.Has&event.HasServer != 0 {
		it.Server, it.ServerPort = shortest(&q.Server), q.ServerPort
	}
	if t.Question != nil {
		it.QuerySize = int(q.QuerySize)
	}
	if t.Answer != nil {
		it.ReplySize = int(q.ReplySize)
	}
	if q.Has&event.HasTime != 0 && q.Has&event.TimeOfReply == 0 {
		it.Time, it.Timed = q.Time, true
	}
	if t.ReplyTime != 0 {
		it.ReplyTime, it.Delayed = t.ReplyTime, true
	}
}

// shortest is an address in its own family.
func shortest(a *[16]byte) []byte {
	if netip.AddrFrom16(*a).Is4In6() {
		return a[12:]
	}
	return a[:]
}
