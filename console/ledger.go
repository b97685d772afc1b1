package console

import (
	"net/http"
	"time"
)

// Book tells of the ledger.
type Book interface {
	// Ledger is nil where there is none: the disk took nothing when anyu started.
	Ledger() *Ledger
}

// Ledger is the proof of what is kept, as the page shows it.
type Ledger struct {
	Entries    int          `json:"entries"`
	Segments   int          `json:"segments"`
	Octets     int64        `json:"octets"` // of the segments
	Signed     time.Time    `json:"signed,omitzero"`
	Key        string       `json:"key"`
	Checkpoint string       `json:"checkpoint"`
	Lost       uint64       `json:"lost"` // entries that there was no room for
	Checked    time.Time    `json:"checked,omitzero"`
	Problems   []string     `json:"problems"` // of the last check
	Recent     []LedgerNote `json:"recent"`   // acts, traces, rules and losses, newest first
}

// LedgerNote is an entry that a person may want to read.
type LedgerNote struct {
	N    int64     `json:"n"`
	Time time.Time `json:"time"`
	Kind string    `json:"kind"`
	Act  string    `json:"act"`
	Who  string    `json:"who"`
	Why  string    `json:"why"`
	Text string    `json:"text"` // its facts
}

type ledgerView struct {
	*page
	L *Ledger
}

func (c *Console) ledger(p *page) error {
	p.Title = p.T("nav.ledger")
	return p.show("ledger", http.StatusOK, ledgerView{p, c.ledgerNow()})
}

func (c *Console) ledgerNow() *Ledger {
	if c.opts.Book == nil {
		return nil
	}
	return c.opts.Book.Ledger()
}

func (c *Console) apiLedger(p *page) error {
	p.json(http.StatusOK, c.ledgerNow())
	return nil
}

// checkpoint gives the signed head of now, to be kept elsewhere.
func (c *Console) checkpoint(p *page) error {
	l := c.ledgerNow()
	if l == nil || l.Checkpoint == "" {
		return &httpError{http.StatusNotFound, "error.missing"}
	}
	p.w.Header().Set("Content-Disposition", `attachment; filename="checkpoint"`)
	plain(p.w, http.StatusOK, l.Checkpoint)
	return nil
}
