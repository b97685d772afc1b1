package node

import (
	"net"
	"os/user"
	"strconv"

	"golang.org/x/sys/unix"
)

// peer names who is at the other end of a control connection: the kernel knows.
func peer(conn net.Conn) string {
	c, ok := conn.(*net.UnixConn)
	if !ok {
		return unknownPeer
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return unknownPeer
	}
	name := unknownPeer
	raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			name = accountName(int(cred.Uid)) + ", process " + strconv.Itoa(int(cred.Pid))
		}
	})
	return name
}

func accountName(uid int) string {
	id := strconv.Itoa(uid)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "uid " + id
}
