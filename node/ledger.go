package node

import (
	"maps"
	"slices"
	"time"

	"anyu/config"
	"anyu/watch/ledger"
)

// ledgerDir is where the ledger is, inside the data folder.
const ledgerDir = "ledger"

// LedgerDir is the same for commands.
const LedgerDir = ledgerDir

// LogDir is where the query log is, inside the data folder.
const LogDir = logDir

// audit keeps an administrative act. It is on disk when audit returns; where the disk takes nothing the act is done nevertheless (flushing a poisoned
// name is more urgent than the note of it), and the finding says so.
func (n *Node) audit(who, act string, facts ...ledger.Fact) {
	n.opts.Log.Info("administrative act", "who", who, "act", act)
	if err := n.keepEntries(time.Now(), &ledger.Entry{Kind: ledger.Audit, Subject: act, Who: who, Facts: facts}); err != nil {
		n.opts.Log.Error("an administrative act is not in the ledger", "who", who, "act", act, "error", err)
	}
}

// Audit implements console.Auditor.
func (s shown) Audit(who, act string, facts map[string]string) {
	s.n.audit(who, act, factsOf(facts)...)
}

// Trace implements console.Auditor.
func (s shown) Trace(who string, facts map[string]string) {
	if err := s.n.keepEntries(time.Now(), &ledger.Entry{Kind: ledger.Trace, Subject: "query-log", Who: who, Facts: factsOf(facts)}); err != nil {
		s.n.opts.Log.Error("a trace is not in the ledger", "who", who, "error", err)
	}
}

// recordRules keeps which configuration is in force, by its digest and by the names of what changed; not its values, which may be secrets.
func (n *Node) recordRules(who string, old, now *config.Config) {
	sum, changed := config.Difference(old, now)
	if old != nil && len(changed) == 0 {
		return
	}
	e := &ledger.Entry{Kind: ledger.Rule, Subject: "configuration", SHA256: sum, Who: who}
	for _, key := range changed {
		e.Facts = append(e.Facts, ledger.Fact{Name: "changed", Value: key})
	}
	if err := n.keepEntries(time.Now(), e); err != nil {
		n.opts.Log.Error("a change of the configuration is not in the ledger", "error", err)
	}
}

// factsOf puts named texts in the order of their names.
func factsOf(m map[string]string) (list []ledger.Fact) {
	for _, name := range slices.Sorted(maps.Keys(m)) {
		list = append(list, ledger.Fact{Name: name, Value: m[name]})
	}
	return list
}
