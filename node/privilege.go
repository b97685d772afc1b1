package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// dropPrivileges makes the process an ordinary user's once its sockets are open, if it was started as root and the configuration
// names one. The data folder becomes that user's. What the user may not do then: open new ports below 1024 in a reload; a
// service manager that gives CAP_NET_BIND_SERVICE to an ordinary user from the start (packaging/anyu.service) has no such limit.
func (n *Node) dropPrivileges() error {
	name := n.conf().User
	if name == "" || os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return fmt.Errorf("user %s: %w", name, err)
	}
	uid, err := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err := errors.Join(err, err2); err != nil {
		return fmt.Errorf("user %s: %w", name, err)
	}
	if err := own(n.data.Dir, uid, gid); err != nil {
		return fmt.Errorf("giving the data folder to user %s: %w", name, err)
	}
	if err := errors.Join(syscall.Setgroups([]int{gid}), syscall.Setgid(gid), syscall.Setuid(uid)); err != nil {
		return fmt.Errorf("becoming user %s: %w", name, err)
	}
	n.opts.Log.Info("privileges dropped", "user", name)
	return nil
}

// own gives a tree to a user; links are given, not followed.
func own(dir string, uid, gid int) error {
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // replaced meanwhile
		}
		if err == nil {
			err = os.Lchown(path, uid, gid)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}
