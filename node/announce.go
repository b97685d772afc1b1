package node

import (
	"fmt"
	"strings"

	"anyu/config"
)

// announce prints the first lines: where we listen, what is kept about clients and how to change that, and what to do next.
func (n *Node) announce() {
	w, c := n.opts.Out, n.conf()
	fmt.Fprintf(w, "anyu 安域 %s, node %s, data in %s\n", n.opts.Version, c.Node, n.data.Dir)
	s := n.Status()
	var doors []string
	for _, l := range s.Listening {
		doors = append(doors, l.Service+" "+l.Address)
	}
	fmt.Fprintf(w, "answers on   %s\n", strings.Join(doors, ", "))
	if n.console != nil {
		fmt.Fprintf(w, "console      %s\n", n.console.Address())
	}
	if n.trail != nil && *c.Log.Queries && !n.opts.NoQueryLog {
		fmt.Fprintf(w, "query log    %s logged with the client's %s for %d days in %s\n", sampled(&c.Log), n.askers(), c.Log.Days, n.data.Path(logDir))
		fmt.Fprintf(w, "             change it: log: {queries: false} or log: {days: N} in the configuration, or --no-query-log\n")
	} else {
		fmt.Fprintf(w, "query log    off\n")
	}
	if n.opts.NoLimits {
		fmt.Fprintf(w, "limits       OFF: rate limits are switched off by --no-limits, for measurements only\n")
	}
	n.announceRecursion(c)
	if len(c.Zones) > 0 {
		fmt.Fprintf(w, "zones        %d, being read; anyu control zones --data %s shows them\n", len(c.Zones), n.data.Dir)
		return
	}
	if n.opts.Lab {
		return
	}
	at := n.door()
	if !at.IsValid() {
		return
	}
	if n.resolver() == nil {
		fmt.Fprintf(w, "zones        none: other names are REFUSED. Next: anyu serve --zone example.org=FILE, or anyu serve --lab to look around\n")
		fmt.Fprintf(w, "try          dig @%s -p %d localhost\n", at.Addr(), at.Port())
		return
	}
	fmt.Fprintf(w, "try          dig @%s -p %d example.org, or anyu query example.org --trace\n", at.Addr(), at.Port())
}

// announceRecursion says who may have names looked up, where, and whether answers are validated.
func (n *Node) announceRecursion(c *config.Config) {
	if n.resolver() == nil {
		return
	}
	who := "loopback"
	for _, p := range c.Clients.Recursion {
		who += ", " + p.String()
	}
	from := "from the root servers"
	if n.simulation != nil {
		from = "from the root servers of the lab"
	}
	for _, f := range c.Recursion.Forward {
		if f.Name == "." {
			from = "by other resolvers (forward)"
		}
	}
	validated := "validated"
	if c.Recursion.Validation.Off {
		validated = "NOT validated"
	}
	fmt.Fprintf(n.opts.Out, "recursion    for %s, %s, %s\n", who, from, validated)
	for _, name := range c.Recursion.Validation.Insecure {
		fmt.Fprintf(n.opts.Out, "             %s and below are NOT validated in this run (--insecure)\n", name)
	}
}
