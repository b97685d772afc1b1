package replay

import "strings"

// harmlessOptions of unbound.conf change nothing that the servers and clients of a scenario could see: they are about the process, its sockets and
// logs, how much memory and how many threads it takes, encryption of doors that a scenario has not, and about order and effort where anyu has
// its own way (which addresses of servers are looked up before they are needed, how round-trip times are kept). What does change something
// that anyu has not is in the table of causes, with the value that does (skips.txt); there it goes before this list.
const harmlessOptions = `
	verbosity val-log-level use-syslog log-identity logfile log-time-ascii log-time-iso log-queries log-replies log-tag-queryreply log-local-actions
	log-servfail log-destaddr log-thread-id rpz-log statistics-interval statistics-cumulative extended-statistics statistics-inhibit-zero shm-enable shm-key
	num-threads chroot username directory pidfile do-daemonize use-systemd include-toplevel
	port interface ip-address interface-automatic interface-automatic-ports outgoing-interface outgoing-range outgoing-port-permit
	outgoing-port-avoid outgoing-num-tcp incoming-num-tcp so-rcvbuf so-sndbuf so-reuseport ip-transparent ip-freebind ip-dscp udp-connect
	do-udp do-tcp prefer-ip4 prefer-ip6 udp-upstream-without-downstream tcp-mss outgoing-tcp-mss tcp-idle-timeout tcp-reuse-timeout
	max-reuse-tcp-queries tcp-auth-query-timeout tcp-connection-limit stream-wait-size delay-close
	sock-queue-timeout max-udp-size edns-buffer-size msg-buffer-size proxy-protocol-port interface-action quic-port quic-size
	msg-cache-size msg-cache-slabs rrset-cache-size rrset-cache-slabs key-cache-size key-cache-slabs neg-cache-size infra-cache-slabs
	infra-cache-numhosts infra-cache-min-rtt infra-cache-max-rtt infra-host-ttl infra-keep-probing infra-lame-ttl infra-cache-lame-size
	fast-server-permil fast-server-num low-rtt low-rtt-permil unknown-server-time-limit jostle-timeout secret-seed unwanted-reply-threshold
	ratelimit-size ratelimit-slabs ratelimit-factor ratelimit-backoff ratelimit-for-domain ratelimit-below-domain ip-ratelimit-size ip-ratelimit-slabs ip-ratelimit-factor
	ip-ratelimit-backoff ip-ratelimit-cookie wait-limit wait-limit-cookie wait-limit-netblock wait-limit-cookie-netblock ratelimit ip-ratelimit
	tls-service-key tls-service-pem tls-port tls-additional-port tls-cert-bundle tls-win-cert tls-system-cert tls-ciphers tls-ciphersuites tls-protocols
	tls-session-ticket-keys tls-use-sni tls-use-system-policy-versions ssl-service-key ssl-service-pem ssl-port ssl-cert-bundle additional-ssl-port additional-tls-port tls-upstream ssl-upstream tcp-upstream
	https-port http-endpoint http-max-streams http-query-buffer-size http-response-buffer-size http-nodelay http-notls-downstream http-user-agent hide-http-user-agent
	pad-responses pad-responses-block-size pad-queries pad-queries-block-size
	target-fetch-policy harden-short-bufsize harden-large-queries harden-referral-path harden-glue harden-dnssec-stripped harden-unknown-additional
	use-caps-for-id caps-exempt caps-whitelist disable-dnssec-lame-check rrset-roundrobin prefetch-key
	val-clean-additional val-max-restart val-permissive-mode ignore-cd-flag hide-trustanchor
	auto-trust-anchor-file permit-small-holddown serve-original-ttl cache-min-negative-ttl serve-expired-ttl-reset
	num-queries-per-thread do-nat64 deny-any disable-edns-do cookie-secret-file
	send-client-subnet client-subnet-zone client-subnet-always-forward client-subnet-opcode max-client-subnet-ipv4 max-client-subnet-ipv6
	min-client-subnet-ipv4 min-client-subnet-ipv6 max-ecs-tree-size-ipv4 max-ecs-tree-size-ipv6 edns-client-string-opcode
	dns-error-reporting nat64-prefix dns64-synthall rpz-log-name`

// harmless tells whether an option is one of them. Clauses that are about other protocols, stores and tools are it altogether: the modules
// that use them are in the table of causes.
func (o Option) harmless() bool {
	switch o.Clause {
	case "remote-control", "python", "dynlib", "dnscrypt", "dnstap", "cachedb", "redis", "ipset":
		return true
	case "server":
		return harmlessSet[o.Name]
	}
	return o.Clause == "rpz" && strings.HasPrefix(o.Name, "rpz-log")
}

var harmlessSet = set(harmlessOptions)

func set(list string) map[string]bool {
	m := make(map[string]bool)
	for _, w := range strings.Fields(list) {
		m[w] = true
	}
	return m
}
