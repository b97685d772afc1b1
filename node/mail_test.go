package node_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"anyu/house/port"
	"anyu/node"
	"anyu/watch/ledger"
)

// takeMail is a mail server that hands over each message.
func takeMail(t *testing.T) (address string, got chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	got = make(chan string, 10)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			in := bufio.NewReader(conn)
			fmt.Fprint(conn, "220 box\r\n")
			text, inside := "", false
			for line, err := in.ReadString('\n'); err == nil; line, err = in.ReadString('\n') {
				switch {
				case inside && line == ".\r\n":
					inside = false
					got <- text
					fmt.Fprint(conn, "250 taken\r\n")
				case inside:
					text += line
				case strings.HasPrefix(line, "DATA"):
					text, inside = "", true
					fmt.Fprint(conn, "354 speak\r\n")
				default:
					fmt.Fprint(conn, "250 ok\r\n")
				}
			}
			conn.Close()
		}
	}()
	return l.Addr().String(), got
}

// The checkpoint is mailed once a day where something was added, verify takes the mail as it was saved, and a mail of another ledger does not do.
func TestMail_carriesTheCheckpoint(t *testing.T) {
	server, got := takeMail(t)
	dir := t.TempDir()
	n := startIn(t, dir, fmt.Sprintf("127.0.0.1:%d", port.Free(t)), fmt.Sprintf("mail: {server: %q, from: anyu@ns1.example, tls: none}\nledger: {mail: [a@example.org]}\n", server))
	now := time.Now()
	for i, at := range []time.Time{now, now.Add(time.Hour), now.Add(25 * time.Hour)} { // too early; nothing added but the entry about the mail
		if err := node.MailHead(t.Context(), n.Node, at); err != nil || len(got) != 1 {
			t.Fatalf("%d: %d mails, %v", i, len(got), err)
		}
	}
	text := <-got
	n.stop()
	entries := 0
	if err := ledger.Each(filepath.Join(dir, node.LedgerDir), func(e ledger.Entry) bool {
		if e.Subject == "checkpoint mailed" {
			entries++
		}
		return true
	}); err != nil || entries != 1 {
		t.Errorf("%d entries about it, %v", entries, err)
	}
	checkpoint := ledger.Mailed([]byte(text))
	r, err := ledger.Verify(ledger.Verification{Data: dir, Log: node.LogDir, Now: time.Now(), Checkpoint: checkpoint})
	if err != nil || len(r.Problems) > 0 || !r.Compared {
		t.Errorf("%v %+v\n%s", err, r, checkpoint)
	}
	// The folder is made anew: the mail finds it.
	if err := os.RemoveAll(filepath.Join(dir, node.LedgerDir)); err != nil {
		t.Fatal(err)
	}
	startIn(t, dir, fmt.Sprintf("127.0.0.1:%d", port.Free(t)), "").stop()
	r, err = ledger.Verify(ledger.Verification{Data: dir, Log: node.LogDir, Now: time.Now(), Checkpoint: checkpoint})
	if err == nil && len(r.Problems) == 0 {
		t.Error("a ledger that was made anew holds against the mail")
	}
}
