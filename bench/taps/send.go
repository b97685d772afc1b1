package main

import (
	"errors"
	"io"
	"net"
	"os"

	"anyu/watch/tap/framestream"
)

// send hands a file of Frame Streams to who listens on a unix socket, many frames a system call, as the library does that servers use (fstrm's queues); fstrm_replay takes one for each.
func send(socket, file string) error {
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer in.Close()
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	defer conn.Close()
	r := framestream.NewReader(in, nil, framestream.ContentType)
	w := framestream.NewWriter(conn, conn, framestream.ContentType)
	if err := w.Start(); err != nil {
		return err
	}
	for {
		frame, err := r.Next()
		if errors.Is(err, io.EOF) {
			return w.Stop()
		}
		if err != nil {
			return err
		}
		if err := w.Frame(frame); err != nil {
			return err
		}
	}
}
