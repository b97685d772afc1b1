package node

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"anyu/dns/wire"
	"anyu/watch/gauge"
	"anyu/watch/history"
	"anyu/watch/store"
)

// Status is the node in a few figures.
type Status struct {
	Node         string        `json:"node"`
	Version      string        `json:"version"`
	Started      time.Time     `json:"started"`
	Listening    []Listening   `json:"listening"`
	Zones        int           `json:"zones"`
	ZoneProblems int           `json:"zone_problems"`
	PerSecond    float64       `json:"queries_per_second"` // last minute
	Success      *float64      `json:"success_ratio"`      // last minute; null without queries that deserved an answer
	OpenFindings int           `json:"open_findings"`
	LastWeek     *WeekState    `json:"last_week"` // the last hour beside the same hour last week; null: nothing is known of that
	Dropped      uint64        `json:"dropped"`   // observations that found a ring or the log full; /metrics has every place
	Sources      []SourceState `json:"sources"`   // the taps
	Store        *store.Status `json:"store,omitempty"`
}

// Listening is one open door.
type Listening struct {
	Service string `json:"service"`
	Address string `json:"address"`
}

// Status tells how the node is.
func (n *Node) Status() Status {
	s := Status{Node: n.conf().Node, Version: n.opts.Version, Started: n.started.UTC()}
	for _, a := range n.listen.Addresses() {
		s.Listening = append(s.Listening, Listening{a.Service, a.Bound.String()})
	}
	slices.SortFunc(s.Listening, func(a, b Listening) int { return strings.Compare(a.Service+a.Address, b.Service+b.Address) })
	for _, z := range n.Zones() {
		s.Zones++
		if z.Error != "" || z.State != "ok" {
			s.ZoneProblems++
		}
	}
	minute := n.gauge.Summary(gauge.Self, time.Now(), time.Minute)
	s.PerSecond = minute.Volume()
	if rate, ok := minute.SuccessRate(); ok {
		s.Success = &rate
	}
	s.LastWeek = n.lastWeek()
	for _, count := range n.findings.OpenCount() {
		s.OpenFindings += count
	}
	s.Dropped = n.watch.Dropped()
	if n.trail != nil {
		s.Dropped += n.trail.Dropped()
	}
	s.Sources = n.Sources()
	if n.store != nil {
		now := n.store.Status()
		s.Store = &now
	}
	return s
}

// WeekState compares the four figures of this server with those of the same hour last week. What is null is unknown.
type WeekState struct {
	PerSecond Compared `json:"queries_per_second"`
	Success   Compared `json:"success_ratio"`
	P95       Compared `json:"p95_seconds"`
	CPU       Compared `json:"cpu_ratio"`
	Known     float64  `json:"known_seconds_of_last_week"` // of that hour; less than 3600 says that it is not known whole
}

// Compared is one figure.
type Compared struct {
	Now    *float64 `json:"now"`
	Before *float64 `json:"before"`
}

// lastWeekTime bounds what the comparison may take: a status is asked by health checks too.
const lastWeekTime = time.Second

func (n *Node) lastWeek() *WeekState {
	if n.history == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), lastWeekTime)
	defer cancel()
	w, err := n.history.LastWeek(ctx, time.Now(), `source="self"`)
	if err != nil {
		n.opts.Log.Debug("comparison with last week", "error", err)
	}
	if w.Known == 0 {
		return nil
	}
	compared := func(p history.Pair) (c Compared) {
		if !math.IsNaN(p.Now) {
			c.Now = &p.Now
		}
		if !math.IsNaN(p.Before) {
			c.Before = &p.Before
		}
		return c
	}
	return &WeekState{compared(w.Volume), compared(w.Success), compared(w.P95), compared(w.CPU), w.Known.Seconds()}
}

// dropped counts what was given up, by place.
func (n *Node) dropped() []history.Count {
	l := n.listen.Statistics()
	var sendErrors, refused, overflow uint64
	for _, t := range l.Transports {
		sendErrors += t.SendErrors
		refused += t.Refused
	}
	for _, s := range l.Sockets {
		overflow += s.Overflow
	}
	counts := []history.Count{
		{Name: "ring", N: n.watch.Dropped()}, {Name: "socket", N: overflow}, {Name: "send", N: sendErrors},
		{Name: "connection", N: refused + l.Evicted}, {Name: "not_a_query", N: n.server.Silent()}, {Name: "rate_limit", N: n.server.Limited()},
	}
	if n.trail != nil {
		counts = append(counts, history.Count{Name: "log", N: n.trail.Dropped()}, history.Count{Name: "log_sample", N: n.trail.LeftOut()})
	}
	if n.sender != nil {
		counts = append(counts, history.Count{Name: "dnstap", N: n.sender.Dropped()})
	}
	if n.history != nil {
		counts = append(counts, history.Count{Name: "history", N: n.history.Refused()})
	}
	return append(counts, history.Count{Name: "findings", N: n.findings.Dropped()}, n.notifyDropped())
}

// handle runs a command of the control socket, and keeps those that change something.
func (n *Node) handle(ctx context.Context, who, command string, args []string) (any, error) {
	result, err := n.command(ctx, who, command, args)
	if changes(command, args) {
		facts := map[string]string{"args": strings.Join(args, " "), "by": "anyu control"}
		if command == "erase" {
			facts = map[string]string{"by": "anyu ledger erase"} // not whose data it was: that would be kept for good
		}
		if err != nil {
			facts["error"] = err.Error()
		}
		n.audit(who, command, factsOf(facts)...)
	}
	return result, err
}

// changes tells commands that do something from those that only look.
func changes(command string, args []string) bool {
	switch command {
	case "status", "zones", "recursion", "rssac002":
		return false
	case "nta":
		return len(args) > 0 && args[0] != "list"
	}
	return true
}

func (n *Node) command(ctx context.Context, who, command string, args []string) (any, error) {
	switch command {
	case "status":
		return n.Status(), nil
	case "zones":
		return n.Zones(), nil
	case "rssac002":
		return n.rssacCommand()
	case "reload":
		start := time.Now()
		n.systemd.tell("RELOADING=1\nMONOTONIC_USEC=%d", monotonic())
		err := n.Reload(ctx, who, slices.Contains(args, "all"))
		n.systemd.tell("READY=1")
		if err != nil {
			return nil, err
		}
		return fmt.Sprintf("reloaded in %v", time.Since(start).Round(time.Millisecond)), nil
	}
	if result, ok, err := n.recursionCommand(command, args); ok {
		return result, err
	}
	if command == "erase" {
		return n.erase(ctx, who, args)
	}
	if command == "transfer" || command == "notify" {
		return n.moveNow(command, args)
	}
	return nil, errors.New("there is no command " + command + ": there are status, zones, rssac002, reload, transfer NAME, notify NAME, recursion, flush, nta and erase")
}

// Zones are the states of all zones, by name; none while the node is only starting.
func (n *Node) Zones() []ZoneState {
	if !n.isOpen() {
		return nil
	}
	list := n.moves.states(n.zones.states())
	slices.SortFunc(list, func(a, b ZoneState) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// moveNow fetches a secondary whole, or tells the secondaries of a zone, because a person asks for it.
func (n *Node) moveNow(command string, args []string) (any, error) {
	if len(args) != 1 {
		return nil, errors.New(command + " takes the name of a zone")
	}
	name, err := wire.ParseName(args[0])
	if err != nil {
		return nil, err
	}
	if command == "notify" {
		return "telling the secondaries of " + canonical(name), n.moves.room.Notify(name)
	}
	return "fetching " + canonical(name), n.moves.room.Transfer(name)
}
