// Package framestream speaks Frame Streams, the container that dnstap travels in: frames with a length before them, between a START and
// a STOP, with a short handshake where both sides can speak.
//
// Reader is the side that collects. It looks at the first control frame: START is a writer that only sends (files, Unbound with
// dnstap-bidirectional: no), READY one that waits for an answer. A reader that insisted on READY would wait for the first kind for ever.
// Writer is the side that sends, of both kinds.
//
// The package promises: no input makes it panic, wait for more than a frame, or take more memory than MaxFrame; a frame that is too long is
// passed over and counted and the stream goes on; every error names the octet where it stands. It refuses to open
// anything: connections and their deadlines are the caller's.
// Limits today: one content type a stream.
package framestream

import (
	"encoding/binary"
	"fmt"
)

// ContentType is what dnstap writes into its control frames.
const ContentType = "protobuf:dnstap.Dnstap"

// Types of control frames.
const (
	controlAccept = 1
	controlStart  = 2
	controlStop   = 3
	controlReady  = 4
	controlFinish = 5

	fieldContentType = 1
)

const (
	// MaxFrame bounds a data frame: two messages of 64 KiB and what is told about them, with room to spare
	// (stops: a length field that claims memory).
	MaxFrame = 256 << 10
	// maxControl bounds a control frame; libfstrm has the same bound.
	maxControl = 512
)

// Error is a breach of the container at a place in the stream.
type Error struct {
	Offset int64 // of the frame
	Text   string
}

func (e *Error) Error() string { return fmt.Sprintf("octet %d: %s", e.Offset, e.Text) }

// appendControl appends a control frame with its escape, and with a content type unless that is empty.
func appendControl(b []byte, kind uint32, content string) []byte {
	length := 4
	if content != "" {
		length += 8 + len(content)
	}
	b = binary.BigEndian.AppendUint32(b, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(length))
	b = binary.BigEndian.AppendUint32(b, kind)
	if content != "" {
		b = binary.BigEndian.AppendUint32(b, fieldContentType)
		b = binary.BigEndian.AppendUint32(b, uint32(len(content)))
		b = append(b, content...)
	}
	return b
}

// control is what a control frame says: its kind and whether it offers our content type, among others or alone.
type control struct {
	kind   uint32
	types  int // content types it names
	offers bool
}

// readControl takes the body of a control frame apart.
func readControl(b []byte, content string) (c control, text string) {
	if len(b) < 4 {
		return c, "control frame without a type"
	}
	c.kind = binary.BigEndian.Uint32(b)
	for b = b[4:]; len(b) > 0; {
		if len(b) < 8 {
			return c, "control frame ends inside a field"
		}
		kind, length := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
		if b = b[8:]; uint64(length) > uint64(len(b)) {
			return c, "control frame ends inside a field"
		}
		if kind != fieldContentType {
			return c, fmt.Sprintf("control frame with a field of unknown type %d", kind)
		}
		c.types++
		c.offers = c.offers || string(b[:length]) == content
		b = b[length:]
	}
	return c, ""
}

var controlNames = [...]string{controlAccept: "ACCEPT", controlStart: "START", controlStop: "STOP", controlReady: "READY", controlFinish: "FINISH"}

func controlName(kind uint32) string {
	if kind >= controlAccept && int(kind) < len(controlNames) {
		return controlNames[kind]
	}
	return fmt.Sprintf("control frame of unknown type %d", kind)
}
