package column

import (
	"errors"
	"fmt"
	"sort"
)

// span is where a page is, from the offset index.
type span struct {
	at, octets int64 // its header included
	row        int64 // the first one's number in the group
}

// spans are the pages of a column, from its offset index.
func (k *Chunk) spans() ([]span, error) {
	if k.pages != nil {
		return k.pages, nil
	}
	f := k.file
	if k.indexAt <= 0 || k.indexOctets <= 0 || k.indexOctets > maxFooter || k.indexAt > f.size-k.indexOctets {
		return nil, errors.New("it has no offset index")
	}
	var text []byte
	if in := k.indexAt - f.tailAt; in >= 0 {
		text = f.tail[in : in+k.indexOctets]
	} else {
		text = make([]byte, k.indexOctets)
		if _, err := f.from.ReadAt(text, k.indexAt); err != nil {
			return nil, fmt.Errorf("reading the offset index: %w", err)
		}
	}
	c := cursor{b: text}
	var list []span
	c.fields(func(id int64, kind byte) bool {
		if id != 1 {
			return false
		}
		c.elements(kind, func(kind byte) { list = append(list, readSpan(&c, kind)) })
		return true
	})
	if c.err != nil {
		return nil, fmt.Errorf("reading the offset index: %w", c.err)
	}
	for i, s := range list {
		if s.at <= 0 || s.octets <= 0 || s.octets > maxPageOctets || s.at > f.size-s.octets || s.row >= k.rows || i == 0 && s.row != 0 || i > 0 && s.row <= list[i-1].row {
			return nil, errors.New("an offset index that does not fit the file")
		}
	}
	if len(list) == 0 {
		return nil, errors.New("no pages")
	}
	k.pages = list
	return list, nil
}

func readSpan(c *cursor, kind byte) (s span) {
	c.structure(kind, func(id int64, kind byte) bool {
		switch id {
		case 1:
			s.at = c.number(kind)
		case 2:
			s.octets = c.number(kind)
		case 3:
			s.row = c.number(kind)
		default:
			return false
		}
		return true
	})
	return s
}

// end is the row behind a page.
func (k *Chunk) end(page int) int64 {
	if page+1 < len(k.pages) {
		return k.pages[page+1].row
	}
	return k.rows
}

// holding is the number of the page that has a row.
func (k *Chunk) holding(row int64) int {
	return sort.Search(len(k.pages), func(i int) bool { return k.pages[i].row > row }) - 1
}
