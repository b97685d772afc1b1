package trail

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"anyu/dns/wire"
)

// marks are in a segment's footer: a line for every markRows rows, with the row's number, a blank, and its name. Rows are in the order of names, so that a reader finds the few
// pages of a name, or of all below it, without reading others. A column index could not tell: its order is that of letters from the left.
type marks []byte

const (
	marksKey = "anyu.names"
	markRows = 512
)

// note takes the next row.
func (m *marks) note(row int64, name string) {
	if row%markRows == 0 {
		*m = append(append(append(strconv.AppendInt(*m, row, 10), ' '), name...), '\n')
	}
}

// mark is one of them, read. Its name becomes a key where it is compared, which few are.
type mark struct {
	row  int64
	name string
}

// readMarks reads what a footer has; nil where it is not what anyu writes.
func readMarks(text string) []mark {
	list := make([]mark, 0, groupRows/markRows) // of most segments; a footer of nothing but line ends makes no more room
	for line := range strings.Lines(text) {
		number, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		row, err := strconv.ParseInt(number, 10, 64)
		if !ok || err != nil || row < 0 || len(list) > 0 && row <= list[len(list)-1].row {
			return nil
		}
		list = append(list, mark{row, name})
	}
	return list
}

// nameKey is what orders a name in presentation form; nil where it is none.
func nameKey(text string) []byte {
	name, err := wire.ParseName(text)
	if text == "" || err != nil {
		return nil
	}
	return wire.AppendKey([]byte{}, name, wire.Root())
}

// span is where rows of names from key on lie, up to and without until; nil is the end.
func span(list []mark, key, until []byte) (begin, end int64) {
	end = 1 << 62
	first, _ := slices.BinarySearchFunc(list, key, compareMark)
	if first > 0 {
		begin = list[first-1].row // rows of the name may begin behind this mark
	}
	if until != nil {
		if last, _ := slices.BinarySearchFunc(list, until, compareMark); last < len(list) {
			end = list[last].row
		}
	}
	return begin, end
}

func compareMark(m mark, key []byte) int { return bytes.Compare(nameKey(m.name), key) }

// after is the first key behind those that begin with key; nil where there is none.
func after(key []byte) []byte {
	next := slices.Clone(key)
	for i := len(next) - 1; i >= 0; i-- {
		if next[i]++; next[i] != 0 {
			return next[:i+1]
		}
	}
	return nil
}
