package node

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"sync/atomic"
	"time"

	"anyu/config"
	"anyu/event"
	"anyu/watch/pseudonym"
	"anyu/watch/trail"
)

// PseudonymDir is the folder of sealed keys in the data folder.
const PseudonymDir = "pseudonyms"

const (
	// kindPseudonyms is the finding that no key could be made: clients are then not in the log at all.
	kindPseudonyms = "log-pseudonyms"
	// keyLook is how often a key's age is looked at, and a missing one tried again.
	keyLook = time.Minute
)

// hider cuts or replaces the addresses of clients before the log writes them.
type hider struct {
	bits4, bits6 int
	pseudonyms   config.Pseudonyms
	dir, node    string
	key          atomic.Pointer[pseudonym.Key] // of now; nil: none could be made
}

// newHider is nil where addresses are kept as they are.
func newHider(c *config.Config, dir string) *hider {
	h := &hider{bits4: *c.Log.Clients.IPv4, bits6: *c.Log.Clients.IPv6, pseudonyms: c.Log.Clients.Pseudonyms, dir: dir, node: c.Node}
	if h.bits4 == 32 && h.bits6 == 128 && !h.pseudonyms.On() {
		return nil
	}
	return h
}

// Hide implements trail.Hider.
func (h *hider) Hide(q *event.Query) (key string) {
	if q.Has&event.HasSubnet != 0 {
		q.SubnetBits = min(q.SubnetBits, uint8(h.cut(&q.Subnet)))
	}
	h.cut(&q.Client)
	if !h.pseudonyms.On() {
		return ""
	}
	q.Has &^= event.HasSubnet
	k := h.key.Load()
	if k == nil {
		q.Has &^= event.HasClient
		return ""
	}
	if q.Has&event.HasClient != 0 {
		k.Hide(&q.Client)
	}
	return k.ID
}

// cut leaves the first bits of an address, and tells how many.
func (h *hider) cut(a *[16]byte) int {
	addr := netip.AddrFrom16(*a)
	bits, whole := h.bits6, 0
	if addr.Is4In6() {
		bits, whole = h.bits4, 96
	}
	for i := range a {
		switch left := whole + bits - 8*i; {
		case left <= 0:
			a[i] = 0
		case left < 8:
			a[i] &= 0xFF << (8 - left)
		}
	}
	return bits
}

// renew makes a key, and keeps it sealed, where there is none or the one in use is too old.
func (h *hider) renew(now time.Time) error {
	if k := h.key.Load(); k != nil && now.Sub(k.Begin) < time.Duration(h.pseudonyms.Days)*24*time.Hour && !now.Before(k.Begin.Add(-time.Hour)) {
		return nil
	}
	k, err := pseudonym.NewKey(now)
	if err != nil {
		return err
	}
	sealed, err := k.Seal(h.node, pseudonym.Groups{h.pseudonyms.First, h.pseudonyms.Second})
	if err != nil {
		return err
	}
	if err := sealed.Save(h.dir); err != nil {
		return err
	}
	h.key.Store(k)
	return nil
}

// hideClients prepares the log's hider; the first key is there before the first row.
func (n *Node) hideClients() trail.Hider {
	h := newHider(n.conf(), filepath.Join(n.data.Path(PseudonymDir)))
	if h == nil {
		return nil
	}
	n.hider = h
	n.renewKey(time.Now())
	return h
}

// tendPseudonyms renews the key.
func (n *Node) tendPseudonyms(ctx context.Context) {
	if n.hider == nil {
		return
	}
	tick := time.NewTicker(keyLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			n.renewKey(now)
		}
	}
}

func (n *Node) renewKey(now time.Time) {
	if !n.hider.pseudonyms.On() {
		return
	}
	before := n.hider.key.Load()
	err := n.hider.renew(now)
	if err != nil {
		n.opts.Log.Error("no key for pseudonyms", "error", err)
	}
	if k := n.hider.key.Load(); k != before {
		n.opts.Log.Info("clients have new pseudonyms", "key", k.ID)
	}
	report(n.findings, kindPseudonyms, n.conf().Node, event.Warning, err == nil, func() []event.Fact {
		facts := []event.Fact{{Name: "error", Value: fmt.Sprint(err)}}
		if k := n.hider.key.Load(); k != nil {
			return append(facts, event.Fact{Name: "key-in-use", Value: k.ID})
		}
		return facts
	})
}

// askers says how clients stand in the log.
func (n *Node) askers() string {
	switch {
	case n.hider == nil:
		return "address"
	case n.hider.pseudonyms.On():
		return "pseudonym (anyu pseudonym)"
	}
	return fmt.Sprintf("address cut to %d bits (IPv4) or %d (IPv6)", n.hider.bits4, n.hider.bits6)
}
