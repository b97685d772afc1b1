package node_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"anyu/house/port"
	"anyu/watch/tap/dnstap"
	"anyu/watch/tap/framestream"
)

// A reload adds and removes taps and takes new settings of those that stay, whose streams go on; one that cannot be opened changes nothing.
func TestReload_takesTaps(t *testing.T) {
	cert, key := certificates(t, "tap.test")
	at := fmt.Sprintf("127.0.0.1:%d", port.Free(t))
	sock := filepath.Join(t.TempDir(), "s")
	secure := fmt.Sprintf("taps:\n- {name: far, from: \"dnstap+tls:%s\", certificate: %s, key: %s}\n", at, cert, key)
	strict := strings.Replace(secure, "}", ", client_roots: "+cert+"}", 1)
	n := startNode(t, port.Free(t), "recursion: {off: true}\n")
	reload := func(conf string) error {
		n.configure("recursion: {off: true}\n" + conf)
		return n.Reload(t.Context(), "test", false)
	}
	eventually(t, "the end of the start", func() bool { return reload("") == nil }) // it answers before that
	if err := reload(strict); err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pem, err := os.ReadFile(cert)
	if err != nil || !pool.AppendCertsFromPEM(pem) {
		t.Fatal(err)
	}
	config := &tls.Config{RootCAs: pool, ServerName: "tap.test"}
	if c, err := tls.Dial("tcp", at, config); err == nil { // TLS 1.3 tells of a missing certificate with the first answer
		c.SetDeadline(time.Now().Add(5 * time.Second))
		if framestream.NewWriter(c, c, framestream.ContentType).Start() == nil {
			t.Error("a writer without a certificate was taken")
		}
		c.Close()
	}
	if err := reload(secure); err != nil {
		t.Fatal(err)
	}
	c, err := tls.Dial("tcp", at, config)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	w := framestream.NewWriter(c, c, framestream.ContentType)
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	tell := func() {
		m := dnstap.Message{Type: dnstap.ClientQuery, Query: []byte("\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01")}
		w.Frame(m.Append(nil))
		w.Flush()
	}
	tell()
	eventually(t, "a message", func() bool { return source(n, "far").Messages == 1 })
	if err := reload(strings.Replace(secure, "name: far", "name: near, node: there", 1) + fmt.Sprintf("- {name: here, from: \"dnstap+unix:%s\"}\n", sock)); err != nil {
		t.Fatal(err)
	}
	tell()
	eventually(t, "a message under the new name", func() bool { s := source(n, "near"); return s.Messages == 2 && s.Node == "there" })
	if _, err := os.Stat(sock); err != nil {
		t.Error(err)
	}
	err = reload(secure + "- {name: bad, from: \"dnstap+unix:/not/there/s\"}\n")
	if err == nil || !strings.Contains(err.Error(), "tap bad: ") {
		t.Errorf("a tap that cannot be: %v", err)
	}
	if len(n.Sources()) != 2 || source(n, "near").Connections != 1 {
		t.Errorf("after a refused reload: %+v", n.Sources())
	}
	if err := reload(""); err != nil || len(n.Sources()) != 0 {
		t.Errorf("%v, %+v", err, n.Sources())
	}
	if _, err := os.Stat(sock); !os.IsNotExist(err) {
		t.Errorf("the socket stayed: %v", err)
	}
}
