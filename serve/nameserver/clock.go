package nameserver

// clock is a bounded map: when it is full, a new key takes the place of one that was not looked at since the hand passed it (CLOCK), so
// that servers an attacker names push each other out before those in use. Keys and values hold no pointers, so the
// garbage collector walks neither.
type clock[K comparable, V any] struct {
	index map[K]int32
	cells []cell[K, V]
	limit int
	hand  int
}

type cell[K comparable, V any] struct {
	key   K
	value V
	used  bool
	held  bool
}

func (c *clock[K, V]) resize(limit int) {
	c.limit = max(limit, 1)
	if len(c.cells) > c.limit {
		old := c.cells
		c.clear()
		for i := range old {
			if old[i].held && len(c.cells) < c.limit {
				v, _ := c.put(old[i].key)
				*v = old[i].value
			}
		}
	}
}

func (c *clock[K, V]) clear() {
	c.index, c.cells, c.hand = nil, nil, 0
}

// get returns the value of a key or nil; it is good until the next put.
func (c *clock[K, V]) get(k K) *V {
	i, ok := c.index[k]
	if !ok {
		return nil
	}
	c.cells[i].used = true
	return &c.cells[i].value
}

// put returns the value of a key and whether the key is new; then the value is that of another key, to be overwritten.
func (c *clock[K, V]) put(k K) (v *V, isNew bool) {
	if v := c.get(k); v != nil {
		return v, false
	}
	if c.index == nil {
		c.index = make(map[K]int32)
	}
	i := len(c.cells)
	if i < c.limit {
		c.cells = append(c.cells, cell[K, V]{})
	} else {
		i = c.turn()
		if c.cells[i].held {
			delete(c.index, c.cells[i].key)
		}
	}
	c.cells[i].key, c.cells[i].held, c.cells[i].used = k, true, false
	c.index[k] = int32(i)
	return &c.cells[i].value, true
}

// turn moves the hand to a cell that may be taken; after one round all of them may.
func (c *clock[K, V]) turn() int {
	for {
		i := c.hand
		c.hand = (c.hand + 1) % len(c.cells)
		if !c.cells[i].used {
			return i
		}
		c.cells[i].used = false
	}
}

func (c *clock[K, V]) remove(k K) {
	if i, ok := c.index[k]; ok {
		delete(c.index, k)
		c.cells[i].held, c.cells[i].used = false, false
	}
}

func (c *clock[K, V]) each(yield func(K, *V)) {
	for i := range c.cells {
		if c.cells[i].held {
			yield(c.cells[i].key, &c.cells[i].value)
		}
	}
}
