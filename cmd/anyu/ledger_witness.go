package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"anyu/watch/ledger/witness"
)

// witnessTime bounds each part of a request (stops: slow senders that hold connections).
const witnessTime = 10 * time.Second

// serveWitness co-signs the checkpoints of other anyus, until it is ended.
func serveWitness(args []string, std streams) int {
	f := flag.NewFlagSet("anyu ledger witness --dir DIR --log KEY...", flag.ContinueOnError)
	dir := f.String("dir", "", "`DIR` for the key and what was co-signed; never go on with an older copy of it: the witness would sign two histories")
	listen := f.String("listen", "127.0.0.1:8054", "`ADDRESS` to listen on; put a proxy with TLS before it")
	name := f.String("name", "", "the witness's `NAME`, once, when its key is made; default: witness/ and the host's name")
	var keys []string
	f.Func("log", "public `KEY` of a ledger, or a file with it; may be given several times", func(text string) error {
		key, err := readKey(text)
		keys = append(keys, key)
		return err
	})
	words, status, ok := parse(f, args, std)
	if !ok {
		return status
	}
	if len(words) > 0 || *dir == "" || len(keys) == 0 {
		return fail(std, errors.New("ledger witness takes --dir DIR and --log KEY for each ledger it co-signs (KEY is DATA/ledger/key.pub of that node)"))
	}
	if *name == "" {
		*name = "witness/" + hostName()
	}
	secret, public, err := witnessKey(*dir, *name)
	if err != nil {
		return fail(std, err)
	}
	log := slog.New(slog.NewTextHandler(std.err, nil))
	w, err := witness.New(*dir, secret, keys, log)
	if err != nil {
		return fail(std, err)
	}
	socket, err := net.Listen("tcp", *listen)
	if err != nil {
		return fail(std, err)
	}
	fmt.Fprintf(std.out, "witness for %d ledgers at http://%s; its key, for ledger.witnesses:\n%s\n", len(keys), socket.Addr(), public)
	server := &http.Server{Handler: w, ReadTimeout: witnessTime, WriteTimeout: witnessTime, MaxHeaderBytes: 16 << 10}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		<-ctx.Done()
		end, cancel := context.WithTimeout(context.Background(), witnessTime)
		defer cancel()
		server.Shutdown(end)
	}()
	if err := server.Serve(socket); !errors.Is(err, http.ErrServerClosed) {
		return fail(std, err)
	}
	return done
}

// witnessKey reads the witness's key, or makes it.
func witnessKey(dir, name string) (secret, public string, err error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return "", "", err
	}
	path := filepath.Join(dir, "key")
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		if secret, public, err = witness.NewKey(name); err != nil {
			return "", "", err
		}
		return secret, public, errors.Join(os.WriteFile(path+".pub", []byte(public+"\n"), 0o644), os.WriteFile(path, []byte(secret+"\n"), 0o600))
	}
	if err != nil {
		return "", "", err
	}
	p, err := os.ReadFile(path + ".pub")
	return string(b), strings.TrimSpace(string(p)), err
}
