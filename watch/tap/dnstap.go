package tap

import (
	"anyu/event"
	"anyu/watch/tap/dnstap"
)

// transports of dnstap's protocols.
var transports = [...]event.Transport{
	OtherTransport, dnstap.UDP: event.UDP, dnstap.TCP: event.TCP, dnstap.DOT: event.TLS, dnstap.DOH: event.HTTPS,
	dnstap.DNSCryptUDP: OtherTransport, dnstap.DNSCryptTCP: OtherTransport, dnstap.DOQ: event.QUIC,
}

// kindOf are the kinds of dnstap's types.
func kindOf(t dnstap.Type) Kind {
	if !t.Known() {
		return kinds
	}
	return Kind((t - 1) / 2)
}

// FromDnstap makes a message of a dnstap one, whose octets it borrows; false where there is no DNS message inside: PowerDNS reports newly observed
// domains so, and CoreDNS everything, unless configured with `full`.
func (m *Message) FromDnstap(d *dnstap.Message) bool {
	*m = Message{Kind: kindOf(d.Type), Reply: d.Type.IsResponse(), Identity: d.Identity, Zone: d.QueryZone, Transport: OtherTransport}
	if !d.Type.Known() {
		m.Reply = d.Response != nil
	}
	m.Wire = d.Query
	if m.Reply {
		m.Wire, m.Query = d.Response, d.Query
	}
	if d.Has&dnstap.HasProtocol != 0 && int(d.Protocol) < len(transports) {
		m.Transport = transports[d.Protocol]
	}
	if address(&m.Client, d.QueryAddress) {
		m.ClientPort, m.Has = d.QueryPort, m.Has|event.HasClient
	}
	if address(&m.Server, d.ResponseAddress) {
		m.ServerPort, m.Has = d.ResponsePort, m.Has|event.HasServer
	}
	switch {
	case !m.Reply && d.Has&dnstap.HasQueryTime != 0:
		m.Time, m.Has = d.QueryTime, m.Has|event.HasTime
	case m.Reply && d.Has&dnstap.HasResponseTime != 0:
		m.Time, m.Has = d.ResponseTime, m.Has|event.HasTime
	}
	if m.Reply && d.Has&dnstap.HasQueryTime != 0 {
		m.Asked = d.QueryTime
	}
	return m.Wire != nil
}

// address takes 4 or 16 octets. All zero is a wildcard: BIND tells it for its own side of outgoing sockets.
func address(to *[16]byte, from []byte) bool {
	zero := true
	for _, c := range from {
		zero = zero && c == 0
	}
	if zero {
		return false
	}
	if len(from) == 4 {
		*to = [16]byte{10: 0xFF, 11: 0xFF}
		copy(to[12:], from)
	} else {
		copy(to[:], from)
	}
	return true
}

// protocols of our transports.
var protocols = [event.Transports]dnstap.Protocol{event.UDP: dnstap.UDP, event.TCP: dnstap.TCP, event.TLS: dnstap.DOT, event.HTTPS: dnstap.DOH, event.QUIC: dnstap.DOQ}

// ToDnstap makes a dnstap message, which borrows m's octets.
func (m *Message) ToDnstap(d *dnstap.Message) {
	kind := m.Kind
	if kind >= kinds {
		kind = Client
	}
	*d = dnstap.Message{Identity: m.Identity, QueryZone: m.Zone, Type: dnstap.Type(kind)*2 + 1}
	if len(m.Zone) == 0 {
		d.QueryZone = nil
	}
	if int(m.Transport) < len(protocols) {
		d.Protocol, d.Has = protocols[m.Transport], d.Has|dnstap.HasProtocol
	}
	if m.Has&event.HasClient != 0 {
		d.QueryAddress, d.QueryPort, d.Has = octets(&m.Client), m.ClientPort, d.Has|dnstap.HasQueryPort
		d.Family, d.Has = family(d.QueryAddress), d.Has|dnstap.HasFamily
	}
	if m.Has&event.HasServer != 0 {
		d.ResponseAddress, d.ResponsePort, d.Has = octets(&m.Server), m.ServerPort, d.Has|dnstap.HasResponsePort
		d.Family, d.Has = family(d.ResponseAddress), d.Has|dnstap.HasFamily
	}
	if !m.Reply {
		d.Query = m.Wire
		if m.Has&event.HasTime != 0 {
			d.QueryTime, d.Has = m.Time, d.Has|dnstap.HasQueryTime
		}
		return
	}
	d.Type++
	d.Response, d.Query = m.Wire, m.Query
	if m.Has&event.HasTime != 0 {
		d.ResponseTime, d.Has = m.Time, d.Has|dnstap.HasResponseTime
	}
	if m.Asked != 0 {
		d.QueryTime, d.Has = m.Asked, d.Has|dnstap.HasQueryTime
	}
}

func octets(a *[16]byte) []byte {
	if [12]byte(a[:12]) == [12]byte{10: 0xFF, 11: 0xFF} {
		return a[12:]
	}
	return a[:]
}

func family(a []byte) uint8 {
	if len(a) == 4 {
		return dnstap.INET
	}
	return dnstap.INET6
}
