package node

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// probeID marks our own question, so that the answer can be told from anything else.
const probeID = 0x616E

// feedWatchdog tells systemd that we live, but only after a question through the real socket was answered: a process that
// runs and does not answer is to be restarted.
func (n *Node) feedWatchdog(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if n.answersItself(every / 2) {
				n.systemd.tell("WATCHDOG=1")
			} else {
				n.opts.Log.Error("no answer from our own socket", "patience", every/2)
			}
		}
	}
}

// door is an address at which this node can be asked from this machine; invalid where there is none.
func (n *Node) door() netip.AddrPort {
	to := netip.AddrPort{}
	for _, a := range n.listen.Addresses() {
		if a.Service == "dns" {
			to = a.Bound
			break
		}
	}
	switch {
	case !to.IsValid() || !to.Addr().IsUnspecified():
		return to
	case to.Addr().Is4():
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), to.Port())
	}
	return netip.AddrPortFrom(netip.IPv6Loopback(), to.Port())
}

// answersItself asks for localhost over UDP.
func (n *Node) answersItself(patience time.Duration) bool {
	to := n.door()
	if !to.IsValid() {
		return true // nothing to ask at
	}
	c, err := net.Dial("udp", to.String())
	if err != nil {
		return false
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	query := []byte{probeID >> 8, probeID & 0xFF, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 9, 'l', 'o', 'c', 'a', 'l', 'h', 'o', 's', 't', 0, 0, 1, 0, 1}
	if _, err := c.Write(query); err != nil {
		return false
	}
	var reply [512]byte
	k, err := c.Read(reply[:])
	return err == nil && k >= 12 && reply[0] == query[0] && reply[1] == query[1] && reply[2]&0x80 != 0
}
