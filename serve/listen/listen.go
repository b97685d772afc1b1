// Package listen is the door of the server: it takes DNS messages off the network, hands each to an Answerer, and
// sends back what the Answerer wrote. One file a transport: udp, tcp, tls (DoT and XoT), https (DoH over HTTP/2 and
// HTTP/3, and plain HTTP behind a trusted proxy), quic (DoQ); proxy reads PROXYv2 before any of them.
//
// It promises: an answer leaves from the address that was asked, also one that comes later (Deferred), and that holds up no other; a UDP
// message costs no allocation and no contended lock; a client that is slow, silent or hostile costs itself its connection and nobody else an answer (table.go); a
// reload keeps every socket whose address stays, and Drain answers what was received before it stops.
//
// It refuses to decide: what is answered, dropped, limited or transferred is the Answerer's business. It looks into a
// message only where a transport's RFC makes it (the message ID in DoQ, TTLs for the freshness of DoH).
//
// Limits today: a QUIC connection that is silent for Limits.Idle is closed though a reply is to come; TLS 0-RTT is off for every transport; batched
// system calls exist on Linux only, elsewhere one datagram costs two calls and wildcard binds answer from the
// address the system chooses; net/http and quic-go start a goroutine for each HTTP request and QUIC stream, bounded by
// Limits.Requests.
package listen

import (
	"net/netip"

	"anyu/event"
)

// Client says who asked and how. It is valid until Answer or Stream returns.
type Client struct {
	Remote    netip.AddrPort  // the asker; behind a trusted proxy, the asker as the proxy tells
	Local     netip.AddrPort  // the address that was asked
	Transport event.Transport // how
	Arrived   int64           // ns since 1970, when the receive call returned
	// Later makes ready for a reply that is sent after Answer has returned Deferred. It may be called once, by Answer.
	Later func() Replier
	// ServerName is the name the client asked for in TLS (SNI); empty without.
	ServerName string
}

// Replier sends the reply to a Deferred message, to whoever asked and from where it was asked. Reply is called exactly once, by any
// goroutine, before Answer returns or long after; an empty message means that there is no reply. It neither keeps the message nor waits
// for the client, and does nothing once the client or the socket is gone.
type Replier interface{ Reply(msg []byte) }

// What an Answerer returns instead of a length.
const (
	Drop     = 0  // send nothing
	Deferred = -1 // somebody else sends it later
	Stream   = -2 // the reply is several messages: call Streamer.Stream. Streams only (TCP, TLS, QUIC)
)

// MaxMessage is the longest DNS message (RFC 1035, Section 4.2.2: the length is two octets).
const MaxMessage = 65535

// Answerer answers one message. It is used by one goroutine at a time. It writes the reply to out, which has room for
// MaxMessage octets whatever the transport (the Answerer limits UDP replies itself), and returns its length, or Drop,
// Deferred or Stream. It keeps neither query, from nor out.
type Answerer interface {
	Answer(query []byte, from *Client, out []byte) int
}

// Foreseer is an Answerer that gains from knowing what comes: Ahead is told the queries of a batch before the first of them is answered. They
// are as they came from the network, some may not be answered at all, and it keeps none.
type Foreseer interface {
	Ahead(queries [][]byte)
}

// Streamer writes a reply of several messages (AXFR, IXFR). It may run long and is used by many goroutines at a time.
// An error of send means that the client is gone or too slow; Stream returns it.
type Streamer interface {
	Stream(query []byte, from *Client, send func(msg []byte) error) error
}
