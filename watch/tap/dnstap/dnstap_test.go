package dnstap_test

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"testing"

	"anyu/watch/tap/dnstap"
)

// full is a message with every field.
func full() dnstap.Message {
	return dnstap.Message{
		Identity: []byte("ns1"), Version: []byte("x 1"), Extra: []byte{}, Type: dnstap.ClientResponse,
		Has:    dnstap.HasFamily | dnstap.HasProtocol | dnstap.HasQueryPort | dnstap.HasResponsePort | dnstap.HasQueryTime | dnstap.HasResponseTime,
		Family: dnstap.INET, Protocol: dnstap.DOQ, QueryAddress: []byte{192, 0, 2, 1}, ResponseAddress: []byte{192, 0, 2, 53},
		QueryPort: 65535, ResponsePort: 53, QueryTime: 1_700_000_000_123_456_789, ResponseTime: 1_700_000_001_000_000_001,
		Query: []byte("question"), Response: bytes.Repeat([]byte("r"), 300), QueryZone: []byte{0}, Policy: []byte{1, 2},
	}
}

func TestMessage_isReadAsWritten(t *testing.T) {
	for _, m := range []dnstap.Message{full(), {Type: dnstap.AuthQuery}, {Type: dnstap.UpdateResponse, Response: []byte{}}} {
		var got dnstap.Message
		if err := got.Decode(m.Append(nil)); err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("%+v, %v\nwant %+v", got, err, m)
		}
	}
}

// What the schema leaves open is kept or passed over; what is no dnstap is refused with its place.
func TestDecode_isLenientWhereTheSchemaGrows(t *testing.T) {
	m := func(hexed string) []byte {
		b, err := hex.DecodeString(hexed)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for name, c := range map[string]struct {
		frame []byte
		error string
		is    dnstap.Message
	}{
		"new type":             {m("7202080f7801"), "", dnstap.Message{Type: 15}},
		"new protocol":         {m("7204080118097801"), "", dnstap.Message{Type: 1, Has: dnstap.HasProtocol, Protocol: 9}},
		"http version unknown": {m("7205080188010378" + "01"), "", dnstap.Message{Type: 1}},
		"unknown outer field":  {m("200572020801" + "7801"), "", dnstap.Message{Type: 1}},
		"time 1970 is none":    {m("7209080140004d00000000" + "7801"), "", dnstap.Message{Type: 1}},
		"empty address":        {m("7204080122007801"), "", dnstap.Message{Type: 1}},
		"nothing":              {nil, "octet 0 of the frame: type 0 of the frame is unknown: 1 is a message", dnstap.Message{}},
		"no message":           {m("7801"), "octet 0 of the frame: a frame without a message", dnstap.Message{}},
		"no type":              {m("72007801"), "octet 0 of the frame: a message without its type", dnstap.Message{}},
		"outer type 2":         {m("720208017802"), "octet 0 of the frame: type 2 of the frame is unknown: 1 is a message", dnstap.Message{Type: 1}},
		"type 0":               {m("720208007801"), "octet 3 of the frame: a message of type 0", dnstap.Message{}},
		"address of three":     {m("7207080122030102037801"), "octet 6 of the frame: an address of 3 octets", dnstap.Message{Type: 1}},
		"port 65536":           {m("720608013080800478" + "01"), "octet 5 of the frame: port 65536", dnstap.Message{Type: 1}},
		"cut":                  {m("7209080140"), "octet 1 of the frame: no protobuf: field 14 is cut or wrong", dnstap.Message{}},
		"field of another kind": {m("72050801220a00" + "7801"),
			"octet 5 of the frame: no protobuf: field 4 is cut or wrong", dnstap.Message{Type: 1}},
		"number for octets": {m("7204080120057801"), "octet 5 of the frame: field 4 has wire type 0, not 2", dnstap.Message{Type: 1}},
		"nanoseconds":       {m("72090801400a4dffffffff7801"), "octet 2 of the frame: a time of 10 seconds and 4294967295 nanoseconds", dnstap.Message{Type: 1}},
	} {
		var got dnstap.Message
		err := got.Decode(c.frame)
		if err == nil != (c.error == "") || err != nil && err.Error() != c.error {
			t.Errorf("%s: error %v, want %q", name, err, c.error)
		} else if err == nil && !reflect.DeepEqual(got, c.is) {
			t.Errorf("%s: %+v, want %+v", name, got, c.is)
		}
	}
}

func TestDecode_allocatesNothing(t *testing.T) {
	m := full()
	frame := m.Append(nil)
	var got dnstap.Message
	if n := testing.AllocsPerRun(100, func() { got.Decode(frame) }); n != 0 {
		t.Errorf("%v allocations to read", n)
	}
	if n := testing.AllocsPerRun(100, func() { frame = m.Append(frame[:0]) }); n != 0 {
		t.Errorf("%v allocations to write", n)
	}
}

// What is read and written again reads the same.
func FuzzDecode(f *testing.F) {
	m := full()
	f.Add(m.Append(nil))
	f.Add([]byte{0x72, 2, 8, 1, 0x78, 1})
	f.Fuzz(func(t *testing.T, frame []byte) {
		var first, second dnstap.Message
		if first.Decode(frame) != nil {
			return
		}
		if err := second.Decode(first.Append(nil)); err != nil || !reflect.DeepEqual(first, second) {
			t.Errorf("%+v\n%+v\n%v", first, second, err)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	m := full()
	frame := m.Append(nil)
	b.ReportAllocs()
	for b.Loop() {
		m.Decode(frame)
	}
}
