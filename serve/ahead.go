package serve

import (
	"anyu/dns/wire"
	"anyu/serve/fast"
)

// Ahead implements listen.Foreseer: the tables have fetched together what the queries of a batch will need.
func (w *Worker) Ahead(queries [][]byte) {
	questions := w.questions[:0]
	for _, msg := range queries[:min(len(queries), fast.MaxWarm)] {
		questions = append(questions, wire.QuestionOf(msg))
	}
	if len(w.server.table.Load().byName) > 0 {
		w.fast.Warm(questions)
	}
	if r := w.server.config.Load().Recursion; r != nil {
		r.Cache.Warm(questions)
	}
}
