package console

import (
	"cmp"
	"fmt"
	"slices"

	"anyu/watch/gauge"
)

// keptTops are the largest of a dimension over the page's period, from the history.
func (c *Console) keptTops(p *page, dimension string) (shares []gauge.Share) {
	query := fmt.Sprintf("sum by (%s) (increase(anyu_queries_total[%ds]))", dimension, int(p.Period.Span().Seconds()))
	list, err := c.opts.History.At(p.r.Context(), query, p.Period.To)
	if err != nil {
		return nil
	}
	for _, line := range list {
		if len(line.Samples) > 0 && line.Samples[0].Value >= 0.5 {
			shares = append(shares, gauge.Share{Name: line.Labels[dimension], Count: uint64(line.Samples[0].Value + 0.5)})
		}
	}
	slices.SortFunc(shares, func(a, b gauge.Share) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name)) })
	return shares
}
