package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"anyu/dns/wire"
	"anyu/serve/validate"
)

const negativeFile = "negative.json"

// maxNegatives bounds the list that `control nta add` makes.
const maxNegatives = 1000

// Negative is a negative trust anchor as a person made it with `anyu control nta`, or the configuration (RFC 7646).
type Negative struct {
	Name   string    `json:"name"`
	Owner  string    `json:"owner"`
	Reason string    `json:"reason"`
	Begin  time.Time `json:"begin,omitzero"`
	End    time.Time `json:"end,omitzero"` // zero: as long as this process runs
	From   string    `json:"from"`         // control, configuration or command line
}

// negatives are those made with control. They are kept over a restart.
type negatives struct {
	file string // "": not kept
	mu   sync.Mutex
	all  []Negative
}

func openNegatives(file string) (*negatives, error) {
	n := &negatives{file: file}
	if file == "" {
		return n, nil
	}
	b, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return n, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &n.all)
	}
	if err != nil {
		return nil, fmt.Errorf("reading negative trust anchors: %w", err)
	}
	return n, nil
}

// current are those that are not over.
func (n *negatives) current(now time.Time) (list []Negative) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, a := range n.all {
		if a.End.After(now) {
			list = append(list, a)
		}
	}
	return list
}

// list is the same for the validator.
func (n *negatives) list(now time.Time) (list []validate.NegativeAnchor) {
	for _, a := range n.current(now) {
		if name, err := wire.ParseName(a.Name); err == nil {
			list = append(list, validate.NegativeAnchor{Name: name, Owner: a.Owner, Reason: a.Reason, End: a.End.Unix()})
		}
	}
	return list
}

// add puts one in, or replaces that of the same name.
func (n *negatives) add(a Negative, now time.Time) error {
	name, err := wire.ParseName(a.Name)
	if err != nil {
		return err
	}
	a.Name, a.From = canonical(name), "control"
	if err := (validate.NegativeAnchor{Name: name, Owner: a.Owner, Reason: a.Reason, Begin: a.Begin.Unix(), End: a.End.Unix()}).Check(); err != nil {
		return err
	}
	return n.change(now, func(list []Negative) ([]Negative, error) {
		list = slices.DeleteFunc(list, func(b Negative) bool { return b.Name == a.Name })
		if len(list) >= maxNegatives {
			return nil, fmt.Errorf("there are %d negative trust anchors already", len(list))
		}
		return append(list, a), nil
	})
}

func (n *negatives) remove(text string, now time.Time) error {
	name, err := wire.ParseName(text)
	if err != nil {
		return err
	}
	return n.change(now, func(list []Negative) ([]Negative, error) {
		before := len(list)
		list = slices.DeleteFunc(list, func(b Negative) bool { return b.Name == canonical(name) })
		if len(list) == before {
			return nil, fmt.Errorf("there is no negative trust anchor %s that control made; `control nta list` shows all", canonical(name))
		}
		return list, nil
	})
}

// change edits the list and keeps it. What is over is dropped.
func (n *negatives) change(now time.Time, edit func([]Negative) ([]Negative, error)) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	list := slices.DeleteFunc(slices.Clone(n.all), func(a Negative) bool { return !a.End.After(now) })
	list, err := edit(list)
	if err != nil {
		return err
	}
	if n.file != "" {
		b, err := json.MarshalIndent(list, "", "  ")
		if err == nil {
			err = writeFile(n.file, b, 0o640)
		}
		if err != nil {
			return err
		}
	}
	n.all = list
	return nil
}
