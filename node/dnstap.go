package node

import (
	"context"
	"strings"

	"anyu/watch"
	"anyu/watch/tap/out"
)

// openDnstap adds the sender of our own observations to those who see them.
func (n *Node) openDnstap(parts *watch.Parts) {
	d := n.conf().Dnstap
	if d.To == "" {
		return
	}
	identity := d.Identity
	if identity == "" {
		identity = n.conf().Node
	}
	network, address, _ := strings.Cut(d.To, ":")
	n.sender = out.New(network, address, identity, n.opts.Log)
	parts.Detectors = append(parts.Detectors, n.sender)
}

// runDnstap sends until the observations have ended.
func (n *Node) runDnstap() (stop func()) {
	if n.sender == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); n.sender.Run(ctx) }()
	return func() { cancel(); <-done }
}
