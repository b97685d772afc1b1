// Package capture finds DNS messages in captured packets: it reads the files of tcpdump and Wireshark (pcap, pcapng), takes link layers,
// IPv4, IPv6, UDP and TCP apart, and puts fragments and streams together again.
//
// It is written by hand: a packet of DNS needs some sixty octets of headers looked at and nothing allocated, errors have to name octet and
// frame, and every table has to have a bound.
//
// The package promises: no input makes it panic; nothing is allocated for a message that lies whole in one packet; what was a packet and did not become a
// message is counted by its reason; memory is bounded, by maxDatagrams and maxStreams and by the octets they hold together.
// It refuses to guess: streams whose beginning was not captured are read from the first segment that begins with a plausible
// message, and what was passed over is counted. It refuses to open files and sockets.
// Limits today: no tunnels (GRE, VXLAN, IP in IP), no decryption, checksums are not looked at (cards fill them in after the capture).
package capture

import "strconv"

// Message is one DNS message that travelled. Wire is borrowed until the function that was handed it returns.
type Message struct {
	Time             int64 // ns since 1970, of the packet that completed it; 0 where the file has none
	Frame            uint64
	From, To         [16]byte // IPv4 as ::ffff:a.b.c.d
	FromPort, ToPort uint16
	TCP              bool
	Hop              uint8 // TTL or hop limit of the packet that completed it
	Wire             []byte
}

// Reason is why a packet did not become a message.
type Reason uint8

// Reasons. Those from Cut on are defects, which are complained about; those before are the traffic of others.
const (
	NotIP Reason = iota
	OtherProtocol
	OtherPort
	Encrypted
	NoData
	Repeated
	Waiting
	Cut
	UnknownLink
	BadIP
	BadTransport
	BadFragment
	LostFragments
	Hole
	MidStream
	BadLength
	TooShort
	reasons
)

var reasonNames = [reasons]string{
	NotIP:         "no IP",
	OtherProtocol: "neither UDP nor TCP",
	OtherPort:     "another port",
	Encrypted:     "encrypted (port 853)",
	NoData:        "TCP segment without data",
	Repeated:      "TCP segment sent again",
	Waiting:       "part of a datagram or message that was not complete yet",
	Cut:           "cut by the capture",
	UnknownLink:   "link layer not known",
	BadIP:         "IP header malformed",
	BadTransport:  "UDP or TCP header malformed",
	BadFragment:   "IP fragments that overlap or do not fit",
	LostFragments: "IP fragments whose others never came",
	Hole:          "TCP segments missing",
	MidStream:     "TCP stream whose beginning is not there",
	BadLength:     "TCP message length below that of a header",
	TooShort:      "shorter than a DNS header",
}

func (r Reason) String() string {
	if r < reasons {
		return reasonNames[r]
	}
	return "reason " + strconv.Itoa(int(r))
}

// Defect tells whether something is wrong with the packet or the capture.
func (r Reason) Defect() bool { return r >= Cut }

// Statistics of a Decoder.
type Statistics struct {
	Packets  uint64
	DNSPorts uint64 // packets, first fragments among them, from or to ports 53, 853, 5353 and 5355
	Messages uint64
	Reasons  [reasons]uint64
}

// Decoder makes messages of packets. It is for one goroutine.
type Decoder struct {
	Statistics

	// Complain, unless nil, hears of each defect.
	Complain func(frame uint64, r Reason)

	ports     map[uint16]bool
	emit      func(*Message)
	datagrams datagrams
	streams   streams
	message   Message // reused
	cut       bool    // the packet in hand is shorter than it was
}

// Ports that speak DNS in clear: DNS, multicast DNS (RFC 6762) and LLMNR (RFC 4795).
func Ports() []uint16 { return []uint16{53, 5353, 5355} }

const portTLS = 853

// NewDecoder makes a decoder that hands messages from and to the given ports to emit.
func NewDecoder(ports []uint16, emit func(*Message)) *Decoder {
	d := &Decoder{ports: map[uint16]bool{}, emit: emit, datagrams: newDatagrams(), streams: newStreams()}
	for _, p := range ports {
		d.ports[p] = true
	}
	return d
}

// Packet takes a packet apart.
func (d *Decoder) Packet(p *Packet) {
	d.Packets++
	m := &d.message
	m.Time, m.Frame = p.Time, p.Frame
	d.cut = p.Length > len(p.Data)
	d.datagrams.expire(d, p.Time)
	ip, r := network(p.Link, p.Data)
	if ip == nil {
		d.reject(r)
		return
	}
	d.internet(ip)
}

// Close gives up what is not complete: fragments and streams.
func (d *Decoder) Close() {
	d.datagrams.clear(d)
	d.streams.clear(d)
}

// reject counts a packet that became no message. A packet that was cut is no proof of anything else.
func (d *Decoder) reject(r Reason) {
	if d.cut && (r == BadIP || r == BadTransport || r == TooShort) {
		r = Cut
	}
	d.Reasons[r]++
	if r.Defect() && d.Complain != nil {
		d.Complain(d.message.Frame, r)
	}
}

// wants tells whether a packet between these ports is to be read.
func (d *Decoder) wants(from, to uint16) bool {
	switch {
	case d.ports[from] || d.ports[to]:
		return true
	case from == portTLS || to == portTLS:
		d.reject(Encrypted)
	default:
		d.reject(OtherPort)
	}
	return false
}

func (d *Decoder) deliver(wire []byte) {
	if len(wire) < headerSize {
		d.reject(TooShort)
		return
	}
	d.Messages++
	d.message.Wire = wire
	d.emit(&d.message)
}

// headerSize is the least a DNS message has (RFC 1035, Section 4.1.1).
const headerSize = 12
