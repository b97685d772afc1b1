package config

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"
)

// ClickHouse also keeps the query log in a ClickHouse cluster, for sites whose log is larger than a disk. What is sent are the log's closed files, which wait on this
// machine while the cluster is down. Its tables are made at the first connection, or by who has the right to: `anyu clickhouse tables`.
type ClickHouse struct {
	// Addresses are the servers that rows are written to, HOST:PORT of the native protocol (mostly 9000, with TLS 9440): one of each shard, or each replica.
	// Default: none, and no cluster is used.
	Addresses []string `yaml:"addresses"`
	// Database holds the tables. Default anyu.
	Database string `yaml:"database"`
	// Table is what is searched. Default queries. With cluster it is a Distributed table over TABLE_local, which each server has.
	Table string `yaml:"table"`
	// Cluster is the name under which the servers know each other (remote_servers in their configuration). Default: none, one server.
	Cluster string `yaml:"cluster"`
	// Replicated makes the tables ReplicatedReplacingMergeTree, with the macros shard and replica of each server. Default false.
	Replicated bool `yaml:"replicated"`
	// User of the servers. Default default.
	User string `yaml:"user"`
	// PasswordFile is a file with the user's password. Default: none, no password.
	PasswordFile string `yaml:"password_file"`
	// TLS encrypts the connections, and checks the servers' certificates. Default false: names and clients go over the network as they are.
	TLS bool `yaml:"tls"`
	// TLSRoots is a PEM file of the certificate authorities to trust. Default: those of the system.
	TLSRoots string `yaml:"tls_roots"`
	// Batch is the number of rows sent at a time, 1000 to 1000000. Default 50000. Some 2 KiB of memory a row and server.
	Batch int `yaml:"batch"`
	// Interval is how long rows wait on this machine at most before their file is closed and sent; a file is closed after a million rows in any case. Default 10m, 1s to
	// 1h. Less makes more and smaller files. While the processors are busy a closed file waits for its turn, behind 16 others at most.
	Interval Duration `yaml:"interval"`
	// Spool is how much may wait for a cluster that is down beyond what log.days and log.space keep anyway. Default 20GiB. What does not fit is deleted unsent, counted, and told by
	// the finding store-spool-full.
	Spool Size `yaml:"spool"`
	// Days is how long the cluster keeps rows; older days are deleted there, every hour, by each node. Default 190, as log.days. Below 184 a finding says so.
	Days int `yaml:"days"`
	// Search lets the console look in the cluster, which has the rows of all nodes, where nobody chooses; `anyu trace --config FILE` likewise. Default false: in this node's files.
	Search bool `yaml:"search"`
}

func (c *ClickHouse) setDefaults() {
	preset(&c.Database, "anyu")
	preset(&c.Table, "queries")
	preset(&c.User, "default")
	preset(&c.Batch, 50_000)
	preset(&c.Interval, Duration(10*minute))
	preset(&c.Spool, 20<<30)
	preset(&c.Days, 190)
}

const (
	minute = 60e9
	// minBatch and maxBatch: less are parts that a server cannot merge as fast as they come; more it would split itself, and then a block is not there whole or not at all.
	minBatch, maxBatch = 1000, 1_000_000
)

func (c *ClickHouse) check() error {
	const at = "$.log.clickhouse"
	for _, a := range c.Addresses {
		if host, port, err := net.SplitHostPort(a); err != nil || host == "" || port == "" {
			return wrong(at+".addresses", "%q: write HOST:PORT of the native protocol, mostly 9000, with TLS 9440", a)
		}
	}
	for _, name := range []struct{ key, value string }{{"database", c.Database}, {"table", c.Table}, {"cluster", c.Cluster}} {
		if strings.Trim(name.value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" || name.value == "" && name.key != "cluster" {
			return wrong(at+"."+name.key, "%q: write letters, digits and _", name.value) // it becomes a part of statements
		}
	}
	switch {
	case len(c.Addresses) > 1 && c.Cluster == "":
		return wrong(at+".addresses", "several addresses are shards or replicas of a cluster: write its name in the servers' remote_servers")
	case c.Batch < minBatch || c.Batch > maxBatch:
		return wrong(at+".batch", "%d: from %d to %d", c.Batch, minBatch, maxBatch)
	case c.Interval < minute/60 || c.Interval > 60*minute:
		return wrong(at+".interval", "from 1s to 1h")
	case c.Days < 1 || c.Days > maxDays:
		return wrong(at+".days", "%d: from 1 to %d", c.Days, maxDays)
	case c.Search && len(c.Addresses) == 0:
		return wrong(at+".search", "needs addresses: where to look")
	}
	return nil
}

// Ledger has the heads of the ledger co-signed by others, so that a folder that was put back or made anew is found without anybody carrying checkpoints.
type Ledger struct {
	// Witnesses are asked to co-sign each ten minutes in which something was added (C2SP tlog-witness): another anyu (`anyu ledger witness`), or one of a public network.
	// They get the checkpoint: the node's name, a number and a hash. Default: none.
	Witnesses []Witness `yaml:"witnesses"`
	// Quorum is how many of them must have co-signed a checkpoint for it to be kept in DATA/ledger/witnessed. Default: all.
	Quorum int `yaml:"quorum"`
	// Mail are addresses that get the checkpoint, by the server under mail: who keeps these mails can show that the data folder was not put back. Default: none.
	Mail []string `yaml:"mail"`
	// MailEvery is how often, if something was added. Default 1d, 1h at least.
	MailEvery Duration `yaml:"mail_every"`
}

// leastMail keeps the ledger from filling a mailbox.
const leastMail = Duration(time.Hour)

// Witness is one of them.
type Witness struct {
	// URL is its submission prefix, to which /add-checkpoint is added.
	URL string `yaml:"url"`
	// Key is its public key, NAME+HASH+KEY for Ed25519 cosignatures.
	Key string `yaml:"key"`
}

func (l *Ledger) check() error {
	for i, w := range l.Witnesses {
		at := fmt.Sprintf("$.ledger.witnesses[%d]", i)
		if u, err := url.Parse(w.URL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return wrong(at+".url", "%q: write https://HOST/PREFIX", w.URL)
		}
		if strings.Count(w.Key, "+") < 2 {
			return wrong(at+".key", "%q: write NAME+HASH+KEY, as `anyu ledger witness` prints it", w.Key)
		}
	}
	if l.Quorum < 0 || l.Quorum > len(l.Witnesses) {
		return wrong("$.ledger.quorum", "%d: there are %d witnesses", l.Quorum, len(l.Witnesses))
	}
	return nil
}
