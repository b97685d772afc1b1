package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"
)

const (
	maxControlRequest = 64 << 10 // octets; a command line
	maxControlReply   = 64 << 20
	controlPatience   = 10 * time.Minute // a reload of large zones takes its time
)

// ErrNotRunning says that no node answers in a data folder.
var ErrNotRunning = errors.New("no anyu is running")

// request is one command over the control socket: one JSON object each way, then the connection is closed.
type request struct {
	Command string   `json:"command"`
	Args    []string `json:"args,omitempty"`
}

type response struct {
	Error  string          `json:"error,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
}

// controlServer listens on a socket in the data folder. The file's permissions decide who may use it.
type controlServer struct {
	listener net.Listener
	path     string
	handle   func(ctx context.Context, who, command string, args []string) (any, error)
}

// unknownPeer is who the system does not name.
const unknownPeer = "control socket"

func listenControl(dir string, handle func(context.Context, string, string, []string) (any, error)) (*controlServer, error) {
	path := filepath.Join(dir, controlFile)
	// The lock of the folder says that nobody else listens here; what is left is from a node that was killed.
	os.Remove(path)
	l, err := listenUnix(path)
	if err != nil {
		return nil, fmt.Errorf("opening the control socket: %w", err)
	}
	if err := os.Chmod(path, 0o660); err != nil {
		l.Close()
		return nil, fmt.Errorf("opening the control socket: %w", err)
	}
	return &controlServer{l, path, handle}, nil
}

// maxSocketPath is what fits into sockaddr_un.
const maxSocketPath = 107

// listenUnix listens on a path of any length: a long one is reached through the folder's descriptor.
func listenUnix(path string) (net.Listener, error) {
	short, done, err := shortPath(path)
	if err != nil {
		return nil, err
	}
	defer done()
	l, err := net.Listen("unix", short)
	if err != nil {
		return nil, err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	return l, nil
}

func shortPath(path string) (short string, done func(), err error) {
	if len(path) <= maxSocketPath {
		return path, func() {}, nil
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)), func() { dir.Close() }, nil
}

func (c *controlServer) serve(ctx context.Context) {
	for {
		conn, err := c.listener.Accept()
		if err != nil {
			return
		}
		go c.one(ctx, conn)
	}
}

func (c *controlServer) one(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(controlPatience))
	var r request
	var out response
	if err := json.NewDecoder(io.LimitReader(conn, maxControlRequest)).Decode(&r); err != nil {
		out.Error = "the request is no JSON object with a command: " + err.Error()
	} else if result, err := c.handle(ctx, peer(conn), r.Command, r.Args); err != nil {
		out.Error = err.Error()
	} else if out.Result, err = json.Marshal(result); err != nil {
		out.Error = err.Error()
	}
	json.NewEncoder(conn).Encode(out)
}

func (c *controlServer) close() {
	c.listener.Close()
	os.Remove(c.path)
}

// Control sends a command to the node that runs in a data folder and returns its result as JSON.
func Control(dir, command string, args ...string) (json.RawMessage, error) {
	short, done, err := shortPath(filepath.Join(dir, controlFile))
	if err != nil {
		return nil, fmt.Errorf("%w in %s", ErrNotRunning, dir)
	}
	defer done()
	conn, err := net.DialTimeout("unix", short, 5*time.Second)
	if err != nil {
		if errors.Is(err, os.ErrPermission) {
			return nil, fmt.Errorf("no permission for the control socket in %s: use the account anyu runs as, or its group", dir)
		}
		return nil, fmt.Errorf("%w in %s: start it, or name its folder with --data", ErrNotRunning, dir)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(controlPatience))
	if err := json.NewEncoder(conn).Encode(request{command, args}); err != nil {
		return nil, fmt.Errorf("asking the node: %w", err)
	}
	var r response
	if err := json.NewDecoder(io.LimitReader(conn, maxControlReply)).Decode(&r); err != nil {
		return nil, fmt.Errorf("reading the node's answer: %w", err)
	}
	if r.Error != "" {
		return nil, errors.New(r.Error)
	}
	return r.Result, nil
}
