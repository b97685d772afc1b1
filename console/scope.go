package console

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"anyu/watch/gauge"
)

// scope is whose figures a page shows, as it stands in the address: ?source=NAME, ?source=* for all added up, or ?node=NODE. Without either it is
// this server itself: a tap in front of it sees the same queries once more, so a sum is only what somebody asks for.
type scope struct {
	source, node string
	set          gauge.Set
}

// everySource is the address of all sources together.
const everySource = "*"

// own tells whether this server is among them: its load belongs to the figures then.
func (s *scope) own() bool { return s.set&gauge.Self != 0 }

// single is the name of the one source that is shown.
func (s *scope) single() bool { return s.node == "" && s.source != everySource }

// pairs are for addresses.
func (s *scope) pairs() []string { return []string{"source", s.source, "node", s.node} }

// labels are for PromQL; there is none for what is not chosen.
func (s *scope) labels() []string {
	switch {
	case s.node != "":
		return []string{label("node", s.node)}
	case s.source == everySource:
		return nil
	case s.source == "":
		return []string{label("source", selfName)}
	}
	return []string{label("source", s.source)}
}

// selfName is what the gauge calls this server.
const selfName = "self"

// watchedSources are this server, the taps in their order, and what else was observed.
func (c *Console) watchedSources() []gauge.Watched {
	all := c.opts.Gauge.Sources()
	for _, s := range c.opts.Sources.Sources() {
		if !slices.ContainsFunc(all, func(w gauge.Watched) bool { return w.Name == s.Name }) {
			all = append(all, gauge.Watched{ID: nothingYet, Name: s.Name, Node: s.Node})
		}
	}
	return all
}

// nothingYet marks a source that nothing was observed of.
const nothingYet = gauge.MaxSources

// parseScope reads the choice. One that does not exist is told, and this server is shown.
func (p *page) parseScope(q url.Values) {
	p.sources = p.console.watchedSources()
	want := scope{source: q.Get("source"), node: q.Get("node")}
	if want.node != "" {
		want.source = ""
	}
	if want.source == selfName {
		want.source = ""
	}
	found := false
	for _, s := range p.sources {
		switch {
		case want.node != "" && s.Node == want.node, want.source == everySource, want.source == s.Name, want.node == "" && want.source == "" && s.Name == selfName:
			found = true
			if s.ID != nothingYet {
				want.set |= gauge.Only(s.ID)
			}
		}
	}
	if !found {
		p.wrong("error.source")
		want = scope{set: gauge.Self}
	}
	p.scope = want
}

// Scopes are the choices with their addresses; fewer than two are no choice.
func (p *page) Scopes() (all []preset) {
	if len(p.sources) < 2 || p.Here != "/" && !strings.HasPrefix(p.Here, "/zones") {
		return nil
	}
	var nodes []string
	for _, s := range p.sources {
		key := s.Name
		if key == selfName {
			key = ""
		}
		all = append(all, preset{p.sourceName(s.Name), p.With("source", key, "node", ""), p.scope.node == "" && p.scope.source == key})
		if !slices.Contains(nodes, s.Node) {
			nodes = append(nodes, s.Node)
		}
	}
	if len(nodes) > 1 {
		for _, n := range nodes {
			all = append(all, preset{p.T("scope.node", "node", n), p.With("source", "", "node", n), p.scope.node == n})
		}
	}
	return append(all, preset{p.T("scope.all"), p.With("source", everySource, "node", ""), p.scope.source == everySource})
}

// ScopeName is the choice in words.
func (p *page) ScopeName() string {
	switch {
	case p.scope.node != "":
		return p.T("scope.node", "node", p.scope.node)
	case p.scope.source == everySource:
		return p.T("scope.all")
	case p.scope.source == "":
		return p.T("scope.self")
	}
	return p.scope.source
}

// Summed tells whether several sources are added up, so that a question may count more than once.
func (p *page) Summed() bool { return !p.scope.single() && len(p.sources) > 1 }

// SourceNames are the sources as the log has them.
func (p *page) SourceNames() (names []string) {
	for _, s := range p.sources {
		names = append(names, s.Name)
	}
	return names
}

func (p *page) sourceName(name string) string {
	if name == selfName {
		return p.T("scope.self")
	}
	return name
}

// LogLink is an address of the query log, with the choice of sources said: there, none means all.
func (p *page) LogLink(pairs ...string) string {
	return p.Link("/log", append(pairs, p.logScope()...)...)
}

func (p *page) logScope() []string {
	if len(p.sources) > 1 && p.scope.single() && p.scope.source == "" {
		return []string{"source", selfName}
	}
	return p.scope.pairs()
}

// key tells scopes apart.
func (s *scope) key() string { return fmt.Sprintf("%q %q", s.source, s.node) }
