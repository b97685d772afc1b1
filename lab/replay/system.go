package replay

import (
	"net/netip"

	"anyu/dns/wire"
)

// System is the resolver under test as one machine without I/O. One goroutine calls it. It must take everything that has to do
// with chance from Settings.Seed, and time only from now (nanoseconds since 1970).
type System interface {
	// Handle takes one input and returns what the system wants done, in order. It must not keep in.Msg.
	Handle(now int64, in Input) []Output
	// Timer is when the system wants the next Wake at the latest.
	Timer() (at int64, armed bool)
}

// Factory makes a new System that has just started. An error of type *Skip says that the settings ask for something that is not
// modelled; any other error fails the file.
type Factory func(Settings) (System, error)

// AnchorKeeper is a System that keeps trust anchors by RFC 5011. CHECK_AUTOTRUST asks for it.
type AnchorKeeper interface {
	// Anchors are the keys of an anchor file (AnchorFile.Name) as they would be written to disk now.
	Anchors(file string) ([]AnchorKey, error)
}

// Skip is why a file is not run.
type Skip struct{ Cause string }

func (s *Skip) Error() string { return s.Cause }

// InputKind says what an Input is.
type InputKind uint8

// Inputs. Fields of Input that a kind does not name are zero.
const (
	Client   InputKind = iota // a message of a client: From, TCP, Msg
	Reply                     // a message of a server: ID (of the Send), From, TCP, Msg; More when the stream goes on
	TimedOut                  // testbound only, ID: no reply came to this Send in any try; Unusable: one came that is no reply
	Failed                    // ID: the connection was closed, or the address cannot be reached
	Wake                      // Timer is due
	Flush                     // the message of Question leaves the cache
	Expire                    // the message of Question expired 3 s ago, its RRsets did not
	Measured                  // RTT of the server From for the zone Question.Name is known
)

func (k InputKind) String() string {
	return [...]string{"client", "reply", "timeout", "failed", "wake", "flush", "expire", "rtt"}[k]
}

// Input is something that happens to the System.
type Input struct {
	Kind     InputKind
	ID       uint64
	From     netip.AddrPort
	TCP      bool
	More     bool
	Unusable bool
	Msg      []byte
	Question Question
	RTT      int64 // nanoseconds
}

// Question names a cached message, or a zone.
type Question struct {
	Name  wire.Name
	Type  wire.Type
	Class wire.Class
}

// OutputKind says what an Output is.
type OutputKind uint8

// Outputs.
const (
	// Send puts a query to a server: ID (unique in the run), To, TCP, Msg. In Unbound's cut it stays outstanding until a Reply
	// (without More), TimedOut or Failed with its ID came or it is cancelled. In Deckard's cut it is one datagram, or one message
	// on a stream; silence is noticed by the System's own timer.
	Send OutputKind = iota
	// Cancel says that a Send is of no interest any more: ID.
	Cancel
	// Answer goes to a client: To, TCP, Msg.
	Answer
	// Note is a line for the trace of the run: Text.
	Note
)

// Output is something the System wants.
type Output struct {
	Kind OutputKind
	ID   uint64
	To   netip.AddrPort
	TCP  bool
	Msg  []byte
	Text string
}

// AnchorKey is one key of an anchor file.
type AnchorKey struct {
	Owner wire.Name
	// Type is DNSKEY, or DS for an anchor that was given as one and still stands for keys not seen.
	Type  wire.Type
	RData []byte
	State AnchorState
}

// AnchorState is a state of RFC 5011, Section 4.
type AnchorState uint8

// States, with the numbers that Unbound's key files write.
const (
	AnchorStart AnchorState = iota
	AnchorAddPend
	AnchorValid
	AnchorMissing
	AnchorRevoked
	AnchorRemoved
)

func (s AnchorState) String() string {
	if int(s) < len(anchorStates) {
		return anchorStates[s]
	}
	return "?"
}

var anchorStates = [...]string{"START", "ADDPEND", "VALID", "MISSING", "REVOKED", "REMOVED"}

// Files are the files of one run, in memory; the System reads its zone files there and writes them back.
type Files struct{ content map[string][]byte }

// Read returns the content of a file.
func (f *Files) Read(name string) ([]byte, bool) {
	b, ok := f.content[name]
	return b, ok
}

// Write replaces a file.
func (f *Files) Write(name string, data []byte) {
	if f.content == nil {
		f.content = make(map[string][]byte)
	}
	f.content[name] = data
}
