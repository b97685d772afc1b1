package framestream_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"anyu/watch/tap/framestream"
)

// stream is a one-sided stream of frames.
func stream(t testing.TB, frames ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := framestream.NewWriter(&b, nil, framestream.ContentType)
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	for _, f := range frames {
		if err := w.Frame([]byte(f)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Stop(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// collect reads all frames, joined by a bar, and the error that ended them.
func collect(r *framestream.Reader) (string, error) {
	var all []string
	for {
		f, err := r.Next()
		if err != nil {
			return strings.Join(all, "|"), err
		}
		all = append(all, string(f))
	}
}

func TestReader_takesBothKindsOfWriters(t *testing.T) {
	for _, twoSided := range []bool{false, true} {
		here, there := net.Pipe()
		sent := make(chan error, 1)
		go func() {
			var answers io.Reader
			if twoSided {
				answers = there
			}
			w := framestream.NewWriter(there, answers, framestream.ContentType)
			err := errors.Join(w.Start(), w.Frame([]byte("one")), w.Frame([]byte("two")), w.Stop())
			sent <- err
			there.Close()
		}()
		got, err := collect(framestream.NewReader(here, here, framestream.ContentType))
		if got != "one|two" || err != io.EOF {
			t.Errorf("two-sided %v: %q, %v", twoSided, got, err)
		}
		if err := <-sent; err != nil {
			t.Errorf("two-sided %v: the writer: %v", twoSided, err)
		}
	}
}

func TestReader_namesThePlaceOfABreach(t *testing.T) {
	whole := stream(t, "one", "two")
	swap := func(at int, b ...byte) []byte {
		c := bytes.Clone(whole)
		copy(c[at:], b)
		return c
	}
	for name, c := range map[string]struct {
		in         []byte
		got, error string
	}{
		"whole":            {whole, "one|two", "EOF"},
		"empty":            {nil, "", "unexpected EOF"},
		"no stop":          {whole[:len(whole)-12], "one|two", "unexpected EOF"},
		"cut in a frame":   {whole[:len(whole)-14], "one", "unexpected EOF"},
		"data first":       {whole[42:], "", "octet 0: data before START: this is no Frame Streams"},
		"other content":    {swap(20, 'x'), "", `octet 0: the frames are not of type "protobuf:dnstap.Dnstap"`},
		"ready in a file":  {swap(11, 4), "", "octet 0: READY where nobody can answer: this is one side of a conversation, no file"},
		"accept":           {swap(11, 1), "", "octet 0: ACCEPT where START belongs"},
		"unknown control":  {swap(8, 1), "", "octet 0: control frame of unknown type 16777218 where START belongs"},
		"long control":     {swap(6, 9), "", "octet 0: control frame of 2338 octets, at most 512"},
		"unknown field":    {swap(12, 7), "", "octet 0: control frame with a field of unknown type 117440513"},
		"field too long":   {swap(19, 99), "", "octet 0: control frame ends inside a field"},
		"start in between": {append(bytes.Clone(whole[:49]), whole...), "one", "octet 49: START between data frames"},
	} {
		got, err := collect(framestream.NewReader(bytes.NewReader(c.in), nil, framestream.ContentType))
		if got != c.got || err.Error() != c.error {
			t.Errorf("%s: %q, %v; want %q, %s", name, got, err, c.got, c.error)
		}
	}
}

func TestReader_passesOverFramesThatAreTooLong(t *testing.T) {
	whole := stream(t, "one", "two")
	const tooLong = framestream.MaxFrame + 1
	long := append([]byte{byte(tooLong >> 24), byte(tooLong >> 16 & 255), byte(tooLong >> 8 & 255), byte(tooLong & 255)}, make([]byte, tooLong)...)
	in := append(append(bytes.Clone(whole[:49]), long...), whole[49:]...)
	r := framestream.NewReader(bytes.NewReader(in), nil, framestream.ContentType)
	if got, err := collect(r); got != "one|two" || err != io.EOF || r.TooLong() != 1 {
		t.Errorf("%q, %v, %d too long", got, err, r.TooLong())
	}
}

func TestReader_handsOutTheLongestFrameAndKnowsWhatWaits(t *testing.T) {
	longest := strings.Repeat("x", framestream.MaxFrame)
	r := framestream.NewReader(bytes.NewReader(stream(t, "a", "b", longest)), nil, framestream.ContentType)
	for i, want := range []string{"a", "b", longest} {
		f, err := r.Next()
		if err != nil || string(f) != want {
			t.Fatalf("frame %d: %d octets, %v", i, len(f), err)
		}
		if i == 0 && !r.Waiting() {
			t.Error("the second frame is in memory, Waiting says no")
		}
		if i == 2 && r.Waiting() {
			t.Error("nothing waits, Waiting says yes")
		}
	}
}

func TestWriter_refusesAReaderOfSomethingElse(t *testing.T) {
	here, there := net.Pipe()
	go func() {
		buf := make([]byte, 512)
		here.Read(buf)
		// ACCEPT of another content type.
		here.Write([]byte{0, 0, 0, 0, 0, 0, 0, 13, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 'x'})
	}()
	err := framestream.NewWriter(there, there, framestream.ContentType).Start()
	if err == nil || !strings.Contains(err.Error(), "the reader does not take") {
		t.Errorf("%v", err)
	}
}

func FuzzReader(f *testing.F) {
	f.Add(stream(f, "one", "two"))
	f.Add(stream(f))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := framestream.NewReader(bytes.NewReader(in), io.Discard, framestream.ContentType)
		total := int64(0)
		for {
			b, err := r.Next()
			if err != nil {
				break
			}
			total += int64(len(b))
		}
		if total > int64(len(in)) || r.Read() > int64(len(in)) || r.Offset() > int64(len(in)) {
			t.Errorf("%d octets of frames, %d read, offset %d of %d", total, r.Read(), r.Offset(), len(in))
		}
	})
}

func BenchmarkReader(b *testing.B) {
	frame := strings.Repeat("x", 200)
	frames := make([]string, 10_000)
	for i := range frames {
		frames[i] = frame
	}
	in := stream(b, frames...)
	b.ReportAllocs()
	for b.Loop() {
		r := framestream.NewReader(bytes.NewReader(in), nil, framestream.ContentType)
		for {
			if _, err := r.Next(); err != nil {
				break
			}
		}
	}
	b.ReportMetric(float64(b.N)*float64(len(frames))/b.Elapsed().Seconds(), "frames/s")
}
