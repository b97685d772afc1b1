//go:build !linux

package node

import "net"

func peer(net.Conn) string { return unknownPeer }
