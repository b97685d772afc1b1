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

// resolver is what finds answers; nil: there are zones only.
func (n *Node) resolver() *resolver { return n.finder.Load() }

// openRecursion makes what the server needs to resolve. It opens nothing but files.
func (n *Node) openRecursion(c *config.Config) error {
	p, err := n.planRecursion(c)
	if err != nil {
		return err
	}
	if p.conf.Off {
		return nil
	}
	r, err := n.newResolver(p)
	n.finder.Store(r)
	return err
}

func (n *Node) newResolver(p *recursionPlan) (*resolver, error) {
	nta, err := openNegatives(n.data.Path(negativeFile))
	if err != nil {
		return nil, err
	}
	tuneCollector()
	return newResolver(resolverParts{plan: p, dir: n.data.Path(anchorDir), nta: nta, log: n.opts.Log})
}

// attachRecursion makes the loops. They answer from now on.
func (n *Node) attachRecursion(ctx context.Context) error {
	if r := n.resolver(); r != nil {
		return n.runResolver(ctx, r)
	}
	return nil
}

func (n *Node) runResolver(ctx context.Context, r *resolver) error {
	if err := r.attach(n.server, n.workers(), func() *serve.Worker { return n.worker(streamRing, 0) }); err != nil {
		return err
	}
	r.keepRoot(n.data.Path(mirrorDir), n.findings, n.conf().Node)
	r.run(ctx)
	return nil
}

// tendRecursion starts what goes on beside answering.
func (n *Node) tendRecursion(ctx context.Context) {
	r := n.resolver()
	if r == nil {
		return
	}
	n.work.Go(func() { n.keepCache(ctx) })
	n.work.Go(func() { r.followAnchors(ctx) })
	n.work.Go(func() { r.watchHealth(ctx, n.findings, n.conf().Node) })
	n.work.Go(func() { r.watchClients(ctx, n.findings, n.conf().Node) })
	n.work.Go(func() { r.endNegatives(ctx) })
	n.work.Go(func() { r.root.run(ctx) })
	if n.opts.SpareProcessors {
		n.work.Go(func() { n.tendProcessors(ctx) })
	}
}

// keepCache restores the cache and then saves it from time to time. Answers do not wait for it.
func (n *Node) keepCache(ctx context.Context) {
	r, file := n.resolver(), n.data.Path(cacheFile)
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
	for saved := time.Now(); ; {
		select {
		case <-time.After(time.Until(saved.Add(time.Duration(n.conf().Recursion.Cache.SaveEvery)))):
			n.saveCache()
			saved = time.Now()
		case <-r.reloaded:
		case <-ctx.Done():
			return
		}
	}
}

// saveCache writes the cache, or says why it could not be.
func (n *Node) saveCache() {
	r := n.resolver()
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
	r := n.resolver()
	if r == nil {
		return
	}
	r.close()
	n.saveCache()
}

// noticeReload tells who sleeps that the configuration is another.
func (n *Node) noticeReload() {
	r := n.resolver()
	if r == nil {
		return
	}
	select {
	case r.reloaded <- struct{}{}:
	default:
	}
}

// planReload reads all that another configuration of recursion needs, and returns what puts it into effect, and what gives it up.
func (n *Node) planReload(c *config.Config) (apply, undo func(), err error) {
	p, err := n.planRecursion(c)
	if err != nil {
		return nil, nil, err
	}
	z, err := discoveryZone(c)
	if err != nil {
		return nil, nil, err
	}
	nothing := func() {}
	discover := func() { n.server.Change(serve.Change{Put: []serve.Zone{z}}) }
	switch {
	case p.conf.Off:
		return discover, nothing, nil // clients are refused; what is known stays, for when it is on again
	case n.resolver() == nil:
		return n.planFirst(p, discover)
	}
	fresh, err := n.resolver().prepare(p)
	if err != nil {
		return nil, nil, err
	}
	return func() { discover(); n.resolver().configure(p, fresh) }, nothing, nil
}

// planFirst makes a resolver for a node that began without.
func (n *Node) planFirst(p *recursionPlan, discover func()) (apply, undo func(), err error) {
	r, err := n.newResolver(p)
	if err != nil {
		return nil, nil, err
	}
	if err := n.runResolver(n.life, r); err != nil {
		return nil, nil, err
	}
	return func() {
		discover()
		n.finder.Store(r)
		n.registry.MustRegister(&resolverFigures{r, n.conf().Node})
		n.tendRecursion(n.life)
	}, r.close, nil
}
