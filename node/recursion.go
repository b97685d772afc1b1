package node

import (
	"context"
	"errors"
	"os"
	"time"

	"anyu/config"
	"anyu/event"
	"anyu/serve"
)

// openRecursion makes what the server needs to resolve. It opens nothing but files.
func (n *Node) openRecursion(c *config.Config) error {
	p, err := n.planRecursion(c)
	if err != nil {
		return err
	}
	if p.conf.Off {
		return nil
	}
	nta, err := openNegatives(n.data.Path(negativeFile))
	if err != nil {
		return err
	}
	tuneCollector()
	n.resolver, err = newResolver(resolverParts{plan: p, dir: n.data.Path(anchorDir), nta: nta, log: n.opts.Log})
	return err
}

// attachRecursion makes the loops. They answer from now on.
func (n *Node) attachRecursion(ctx context.Context) error {
	if n.resolver == nil {
		return nil
	}
	if err := n.resolver.attach(n.server, n.workers(), func() *serve.Worker { return n.worker(ringSize, 0) }); err != nil {
		return err
	}
	n.resolver.keepRoot(n.data.Path(mirrorDir), n.findings, n.conf().Node)
	n.resolver.run(ctx)
	return nil
}

// tendRecursion starts what goes on beside answering.
func (n *Node) tendRecursion(ctx context.Context) {
	if n.resolver == nil {
		return
	}
	n.work.Go(func() { n.keepCache(ctx) })
	n.work.Go(func() { n.resolver.followAnchors(ctx) })
	n.work.Go(func() { n.resolver.watchHealth(ctx, n.findings, n.conf().Node) })
	n.work.Go(func() { n.resolver.watchClients(ctx, n.findings, n.conf().Node) })
	n.work.Go(func() { n.resolver.endNegatives(ctx) })
	n.work.Go(func() { n.resolver.root.run(ctx) })
}

// keepCache restores the cache and then saves it from time to time. Answers do not wait for it.
func (n *Node) keepCache(ctx context.Context) {
	r, file := n.resolver, n.data.Path(cacheFile)
	start := time.Now()
	if *n.conf().Recursion.Cache.Save && n.simulation == nil {
		count, err := restoreCache(r.cache, file, r.minds(), start.UnixNano())
		switch {
		case errors.Is(err, errOtherSettings):
			n.opts.Log.Info("the cache begins empty", "reason", err)
		case err != nil:
			n.opts.Log.Warn("the cache begins empty", "error", err)
		case count > 0:
			n.opts.Log.Info("cache restored", "entries", count, "took", time.Since(start).Round(time.Millisecond))
		}
	}
	r.restored.Store(true)
	for {
		select {
		case <-time.After(time.Duration(n.conf().Recursion.Cache.SaveEvery)):
			n.saveCache()
		case <-ctx.Done():
			return
		}
	}
}

// saveCache writes the cache, or says why it could not be.
func (n *Node) saveCache() {
	r := n.resolver
	if r == nil || n.simulation != nil || !r.restored.Load() {
		return // what is on disk is more than what is here, or of another world
	}
	file := n.data.Path(cacheFile)
	if !*n.conf().Recursion.Cache.Save {
		os.Remove(file) // of names that somebody asked for nothing is to be left
		return
	}
	start := time.Now()
	err := saveCache(r.cache, file, r.minds())
	report(n.findings, kindCacheSave, n.conf().Node, event.Warning, err == nil, func() []event.Fact {
		return []event.Fact{{Name: "error", Value: err.Error()}, {Name: "file", Value: file}}
	})
	if err != nil {
		n.opts.Log.Error("the cache was not saved", "error", err)
		return
	}
	n.opts.Log.Debug("cache saved", "took", time.Since(start))
}

// closeRecursion ends the loops when nobody asks any more, and keeps what they learned.
func (n *Node) closeRecursion() {
	if n.resolver == nil {
		return
	}
	n.resolver.close()
	n.saveCache()
}

// errNeverOn: a resolver takes sockets and memory, which a node that began without has not.
var errNeverOn = errors.New("recursion.off cannot become false while anyu runs: restart it")

// planReload reads all that another configuration of recursion needs, and returns what puts it into effect.
func (n *Node) planReload(c *config.Config) (apply func(), err error) {
	p, err := n.planRecursion(c)
	if err != nil {
		return nil, err
	}
	z, err := discoveryZone(c)
	if err != nil {
		return nil, err
	}
	discover := func() { n.server.Change(serve.Change{Put: []serve.Zone{z}}) }
	switch {
	case p.conf.Off:
		return discover, nil // clients are refused; what is known stays, for when it is on again
	case n.resolver == nil:
		return nil, errNeverOn
	}
	fresh, err := n.resolver.prepare(p)
	if err != nil {
		return nil, err
	}
	return func() { discover(); n.resolver.configure(p, fresh) }, nil
}
