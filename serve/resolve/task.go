package resolve

import (
	"iter"
	"time"

	"anyu/dns/message"
	"anyu/serve/validate"
)

// task is one resolution.
type task struct {
	e        *Engine
	config   *Config
	opts     Options
	started  int64
	epoch    uint64 // of the cache, then
	on       *coroutine
	outcome  Outcome // of the Ask it waited for
	waitsFor *task   // whose result it waits for
	spent    spent
	checks   *validate.Budget
	depth    int
	trace    []Step
	from     map[string]server  // who gave an unchecked answer
	proofs   [][]*message.RRset // of the replies heard
	blamed   []server           // whose answers did not hold
	upstream Upstreamed         // who gave the last link
}

// stopped unwinds a coroutine whose engine was stopped.
type stopped struct{}

func (e *Engine) start(opts Options, body func(*task)) {
	t := &task{e: e, config: e.config, opts: opts, started: e.now, epoch: e.Cache.Epoch()}
	t.checks = validate.DefaultLimits().Budget()
	t.checks.Trace = opts.Trace
	t.on = e.coroutine()
	t.on.task, t.on.body = t, body
	e.tasks++
	e.ready = append(e.ready, t)
}

// maxIdle bounds the coroutines that are kept for use again.
const maxIdle = 512

// coroutine runs tasks, one after another. It is used again because of its stack: a new one has 8 KiB and is copied each time that it
// grows, which was 4 % of a resolution.
type coroutine struct {
	task  *task
	body  func(*task)
	next  func() (struct{}, bool)
	stop  func()
	yield func(struct{}) bool
}

func (e *Engine) coroutine() *coroutine {
	if last := len(e.idle) - 1; last >= 0 {
		c := e.idle[last]
		e.idle = e.idle[:last]
		return c
	}
	c := new(coroutine)
	c.next, c.stop = iter.Pull(func(yield func(struct{}) bool) {
		c.yield = yield
		for c.work(e) && yield(struct{}{}) {
		}
	})
	return c
}

// work runs the task in hand to its end, and returns whether there may be another.
func (c *coroutine) work(e *Engine) (again bool) {
	defer func() {
		e.tasks--
		if r := recover(); r != nil {
			if _, is := r.(stopped); !is {
				panic(r)
			}
		}
	}()
	c.body(c.task)
	c.task, c.body = nil, nil
	if len(e.idle) == maxIdle {
		return false
	}
	e.idle = append(e.idle, c)
	return true
}

// run lets every coroutine that has something to do go on until all wait.
func (e *Engine) run() {
	for len(e.ready) > 0 {
		t := e.ready[0]
		e.ready = e.ready[1:]
		t.on.next()
	}
}

func (t *task) suspend() {
	if !t.on.yield(struct{}{}) {
		panic(stopped{})
	}
}

// send asks a server, and waits for what becomes of it.
func (t *task) send(a Ask) Outcome {
	e := t.e
	e.lastID++
	a.ID = e.lastID
	e.asks[a.ID] = t
	e.wishes = append(e.wishes, a)
	asked := e.now
	t.suspend()
	t.spent.waited += time.Duration(e.now - asked)
	return t.outcome
}
