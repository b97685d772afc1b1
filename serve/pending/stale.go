package pending

import (
	"anyu/dns/message"
	"anyu/serve/resolve"
)

// replyStale answers those who wait with expired records, if there are any; resolving goes on.
func (t *Table) replyStale(now int64, p *question) {
	a := t.stale(now, p.q, p.cd)
	if a == nil {
		return
	}
	t.counts.Stale++
	p.answered = true
	t.answer(now, p, a)
}

// stale puts together an answer from records that have expired (RFC 8767, Section 4). nil: there is none, or what is there was found bogus.
func (t *Table) stale(now int64, q message.Question, cd bool) *resolve.Answer {
	return t.engine.Stale(now, q, cd, t.config.StaleTTL)
}
