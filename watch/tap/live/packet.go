package live

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"anyu/watch/tap"
	"anyu/watch/tap/capture"
)

const (
	// packetBuffer is what the kernel holds for us: some 20,000 packets of DNS, each of which counts as 768 octets at least.
	packetBuffer = 32 << 20
	// packetWait is how long a read may take before it is looked whether the source is closed.
	packetWait = 200 * time.Millisecond
	snap       = 64 << 10
)

// packetSocket gets the packets of one interface, from the IP header on, whatever its link layer.
type packetSocket struct {
	fd       int
	loopback bool // where each packet is seen going out and coming in
	ports    []uint16
	gone     atomic.Uint64
}

// OpenInterface begins to capture on an interface the packets between which a port of DNS stands, and fragments.
func OpenInterface(name string, ports []uint16, s Settings, log *slog.Logger) (*Source, error) {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", name, err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if errors.Is(err, unix.EPERM) {
		return nil, fmt.Errorf("capturing on %s needs the capability CAP_NET_RAW", name)
	}
	if err != nil {
		return nil, fmt.Errorf("capturing on %s: %w", name, err)
	}
	p := &packetSocket{fd: fd, loopback: i.Flags&net.FlagLoopback != 0, ports: ports}
	if err := p.prepare(i.Index); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("capturing on %s: %w", name, err)
	}
	src := newSource(s, log)
	src.packets = p
	return src, nil
}

// prepare sets the socket up; it is bound last, so that nothing comes that the filter has not seen.
func (p *packetSocket) prepare(index int) error {
	program, err := filter(p.ports)
	if err != nil {
		return err
	}
	raw := make([]unix.SockFilter, len(program))
	for i, in := range program {
		raw[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	if err := unix.SetsockoptSockFprog(p.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(raw)), Filter: &raw[0]}); err != nil {
		return fmt.Errorf("setting the filter: %w", err)
	}
	if unix.SetsockoptInt(p.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, packetBuffer) != nil { // which needs CAP_NET_ADMIN
		unix.SetsockoptInt(p.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, packetBuffer) // as much of it as the system allows; what is lost is counted
	}
	wait := unix.NsecToTimeval(int64(packetWait))
	if err := unix.SetsockoptTimeval(p.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait); err != nil {
		return err
	}
	if err := unix.SetsockoptInt(p.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
		return err
	}
	return unix.Bind(p.fd, &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_ALL), Ifindex: index})
}

func networkOrder(v uint16) uint16 { return v<<8 | v>>8 }

// filter lets the kernel pass on what may be DNS: UDP and TCP from or to one of the ports, fragments, and IPv6 with extension headers.
func filter(ports []uint16) ([]bpf.RawInstruction, error) {
	const yes, no = "yes", "no"
	type line struct {
		bpf.Instruction
		jump, t, f string // where to, if a jump; "" is the next line
	}
	label := map[string]int{}
	var lines []line
	add := func(in bpf.Instruction) { lines = append(lines, line{Instruction: in}) }
	test := func(cond bpf.JumpTest, v uint32, t, f string) {
		lines = append(lines, line{Instruction: bpf.JumpIf{Cond: cond, Val: v}, jump: "if", t: t, f: f})
	}
	either := func(load func(off uint32) bpf.Instruction) {
		for _, off := range []uint32{0, 2} {
			add(load(off))
			for _, port := range ports {
				test(bpf.JumpEqual, uint32(port), yes, "")
			}
		}
	}
	add(bpf.LoadAbsolute{Off: 0, Size: 1})
	add(bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 4})
	test(bpf.JumpEqual, 6, "six", "")
	test(bpf.JumpEqual, 4, "", no)
	add(bpf.LoadAbsolute{Off: 9, Size: 1})
	test(bpf.JumpEqual, unix.IPPROTO_UDP, "four", "")
	test(bpf.JumpEqual, unix.IPPROTO_TCP, "", no)
	label["four"] = len(lines)
	add(bpf.LoadAbsolute{Off: 6, Size: 2})
	test(bpf.JumpBitsSet, 0x1FFF, yes, "") // a fragment after the first
	add(bpf.LoadMemShift{Off: 0})
	either(func(off uint32) bpf.Instruction { return bpf.LoadIndirect{Off: off, Size: 2} })
	add(bpf.RetConstant{Val: 0})
	label["six"] = len(lines)
	add(bpf.LoadAbsolute{Off: 6, Size: 1})
	test(bpf.JumpEqual, unix.IPPROTO_UDP, "ports6", "")
	test(bpf.JumpEqual, unix.IPPROTO_TCP, "ports6", "")
	for _, extension := range []uint32{unix.IPPROTO_FRAGMENT, unix.IPPROTO_HOPOPTS, unix.IPPROTO_DSTOPTS, unix.IPPROTO_ROUTING} {
		test(bpf.JumpEqual, extension, yes, "")
	}
	add(bpf.RetConstant{Val: 0})
	label["ports6"] = len(lines)
	either(func(off uint32) bpf.Instruction { return bpf.LoadAbsolute{Off: 40 + off, Size: 2} })
	label[no] = len(lines)
	add(bpf.RetConstant{Val: 0})
	label[yes] = len(lines)
	add(bpf.RetConstant{Val: snap})
	program := make([]bpf.Instruction, len(lines))
	for i, l := range lines {
		program[i] = l.Instruction
		if l.jump == "" {
			continue
		}
		skip := func(to string) uint8 {
			if to == "" {
				return 0
			}
			return uint8(label[to] - i - 1) // maxPorts keeps it below 256
		}
		in := l.Instruction.(bpf.JumpIf)
		in.SkipTrue, in.SkipFalse = skip(l.t), skip(l.f)
		program[i] = in
	}
	return bpf.Assemble(program)
}

// lost is what the kernel did not keep for us.
func (p *packetSocket) lost() uint64 {
	if s, err := unix.GetsockoptTpacketStats(p.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil { // reading it begins it anew
		p.gone.Add(uint64(s.Drops))
	}
	return p.gone.Load()
}

func (p *packetSocket) close() {
	p.lost()
	unix.Close(p.fd)
	p.fd = -1
}

// capture reads packets until the source is closed.
func (s *Source) capture() {
	var m tap.Message
	var now time.Time
	d := capture.NewDecoder(s.packets.ports, func(c *capture.Message) {
		m.FromCapture(c)
		s.add(&m, now)
	})
	d.Complain = func(_ uint64, why capture.Reason) {
		s.broken++
		s.problem = why.String()
	}
	buf, control := make([]byte, snap), make([]byte, 128)
	for !s.closed() {
		n, meta, _, from, err := unix.Recvmsg(s.packets.fd, buf, control, unix.MSG_TRUNC)
		switch {
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			s.fail("capturing", err)
			select {
			case <-s.closing:
			case <-time.After(pause): // an interface that is down may come again
			}
			continue
		}
		link, _ := from.(*unix.SockaddrLinklayer)
		if link == nil || s.packets.loopback && link.Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		now = time.Now()
		p := capture.Packet{Time: stamp(control[:meta], now), Link: capture.LinkRaw, Length: n, Data: buf[:min(n, len(buf))]}
		s.mu.Lock()
		s.frames++
		p.Frame = s.frames
		d.Packet(&p)
		s.mu.Unlock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now = time.Now()
	d.Close()
}

// stamp is the kernel's time of a packet, or now.
func stamp(control []byte, now time.Time) int64 {
	for len(control) >= unix.SizeofCmsghdr {
		head, data, rest, err := unix.ParseOneSocketControlMessage(control)
		if err != nil {
			break
		}
		if head.Level == unix.SOL_SOCKET && head.Type == unix.SCM_TIMESTAMPNS && len(data) >= 16 {
			return int64(binary.NativeEndian.Uint64(data))*1e9 + int64(binary.NativeEndian.Uint64(data[8:]))
		}
		control = rest
	}
	return now.UnixNano()
}
