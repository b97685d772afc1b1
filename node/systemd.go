package node

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"time"
)

// systemd tells the service manager about our state (sd_notify(3)). Without NOTIFY_SOCKET it does nothing.
type systemd struct{ address string }

func newSystemd() systemd { return systemd{os.Getenv("NOTIFY_SOCKET")} }

// tell sends one state, such as READY=1. Failure is not worth a word: the manager will notice the silence.
func (s systemd) tell(format string, args ...any) {
	if s.address == "" {
		return
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: s.address, Net: "unixgram"})
	if err != nil {
		return
	}
	defer c.Close()
	fmt.Fprintf(c, format, args...)
}

// watchdog is how often the manager wants to hear from us; 0 is never.
func (s systemd) watchdog() time.Duration {
	us, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || us <= 0 || s.address == "" {
		return 0
	}
	if pid := os.Getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	return time.Duration(us) * time.Microsecond / 2
}
