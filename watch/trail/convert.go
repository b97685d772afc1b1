package trail

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"anyu/event"
)

// convert makes the segments of one append-only file and removes it. It may be repeated after a crash: the same rows give the
// same files.
func (t *Trail) convert(path string, turn func()) error {
	text, free, err := readOutside(path)
	if err != nil {
		return err
	}
	defer free()
	out := segments{dir: t.opts.Dir, stem: safe(t.opts.Node) + "-" + strings.TrimSuffix(filepath.Base(path), walExt), turn: turn}
	good, err := out.write(text)
	cut := errors.Is(err, errCut)
	if err != nil && !cut {
		return errors.Join(err, out.discard())
	}
	if err := out.finish(); err != nil {
		return errors.Join(err, out.discard())
	}
	if err := t.witness(&out); err != nil {
		return err
	}
	defer t.forgetLog(path)
	if !cut {
		return os.Remove(path)
	}
	aside := strings.TrimSuffix(path, walExt) + cutExt
	t.opts.Logger.Warn("query log cut at its last whole frame", "file", aside, "kept", good, "of", len(text))
	t.report("log-cut", event.Info, false, event.Fact{Name: "file", Value: aside},
		event.Fact{Name: "octets-kept", Value: fmt.Sprint(good)}, event.Fact{Name: "octets-cut", Value: fmt.Sprint(len(text) - good)})
	return os.Rename(path, aside)
}

// forgetLog is told when an append-only file has become segments.
func (t *Trail) forgetLog(path string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.waiting, path)
}

// readOutside reads a file into memory that the garbage collector does not count: for it, a file of maxLog would be a reason to let the heap grow to twice that.
func readOutside(path string) (text []byte, free func(), err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, nil, err
	}
	if info.Size() == 0 {
		return nil, func() {}, nil
	}
	text, err = unix.Mmap(-1, 0, int(info.Size()), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, nil, fmt.Errorf("room for %d octets: %w", info.Size(), err)
	}
	if _, err := io.ReadFull(file, text); err != nil {
		return nil, nil, errors.Join(err, unix.Munmap(text))
	}
	return text, func() { _ = unix.Munmap(text) }, nil // it was mapped
}

// write makes segments, one for each hour that the rows of an append-only file are of, and tells how many octets of it are whole frames; errCut where others follow.
func (s *segments) write(text []byte) (good int, err error) {
	format, ok := formatOf(text)
	if !ok {
		if len(text) == 0 {
			return 0, nil // created, and then the power went
		}
		return 0, errCut
	}
	d := newDictionary()
	places, good, cut := locate(text, format, d, s.turn)
	words := newTranslator(d.zone, d.source)
	words.next, words.without, words.key, words.sorted = format, d.without, d.key, true
	for begin := 0; begin < len(places); {
		end := begin
		for end < len(places) && places[end].group>>32 == places[begin].group>>32 {
			end++
		}
		if err := s.hour(text, places[begin:end], words); err != nil {
			return good, err
		}
		begin = end
	}
	return good, cut
}

// locate finds the rows of an append-only file and orders them.
func locate(text []byte, next unpacker, d *dictionary, turn func()) (places []place, good int, cut error) {
	names := ranks{ids: map[string]uint32{}}
	var q packed
	good, cut = frames(text[len(walMagic):], func(kind byte, at int, payload []byte) {
		if kind != frameRows {
			d.learn(kind, payload)
			return
		}
		at += len(walMagic)
		first := len(places)
		for rest, ok := next(&q, payload); ok; rest, ok = next(&q, rest) {
			places = append(places, newPlace(q.Time/1000, names.id(q.Name), q.Type, int64(at)))
			at += len(payload) - len(rest)
			payload = rest
		}
		if first == 0 && len(places) > 0 { // the other frames are alike: grown once, not to the double again and again
			places = slices.Grow(places, (len(text)-at)/(at/len(places))*9/8)
		}
		turn()
	})
	rank := names.order(turn)
	for i := range places {
		places[i].rank(rank)
	}
	return sorted(places, make([]place, len(places)), place.compare, turn), good + len(walMagic), cut
}

// hour writes the segment of the rows at places.
func (s *segments) hour(text []byte, places []place, words *translator) error {
	segment, err := s.create(places[0].hour(), words.without)
	if err != nil {
		return err
	}
	var q packed
	for some := range slices.Chunk(places, turnRows) {
		s.fetch(text, some)
		for _, p := range some {
			if _, ok := words.next(&q, text[p.at:]); !ok {
				return fmt.Errorf("row at %d: %w", p.at, errCut)
			}
			row, numbers := segment.next()
			words.fill(row, numbers, &q)
			segment.note(row)
		}
		if err := segment.flush(); err != nil {
			return err
		}
		s.turn()
	}
	return segment.close()
}

// fetch brings rows into the processor's cache that lie anywhere in the file: many are fetched at a time, where each row read on its own would wait for the memory.
func (s *segments) fetch(text []byte, places []place) {
	const line, lines = 64, 3
	for _, p := range places {
		row := text[p.at:min(p.at+line*lines, int64(len(text)))]
		for i := 0; i < len(row); i += line {
			s.fetched += row[i]
		}
	}
}
