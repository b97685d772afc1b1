package main

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/user"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"anyu/node"
	"anyu/watch/ledger"
	"anyu/watch/trail"
)

// maxEvidence bounds the rows of a package.
const maxEvidence = 1_000_000

// Names inside an evidence package.
const (
	rowsName       = "rows.jsonl"
	proofsName     = "proofs.json"
	checkpointName = "checkpoint"
	keyName        = "key.pub"
	reportName     = "report.md"
)

// exportTrace writes an evidence package: what was found, and the proof that the segments it was found in are those that the node closed.
func exportTrace(ctx context.Context, t *traceFlags, log searched, filter trail.Filter, book *ledger.Ledger, entry *ledger.Entry, std streams) int {
	file, err := os.OpenFile(t.export, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640)
	if err != nil {
		return fail(std, fmt.Errorf("writing the evidence package: %w", err))
	}
	rows, err := writeEvidence(ctx, file, t, log, filter, book, entry)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fail(std, errors.Join(fmt.Errorf("writing the evidence package: %w", err), os.Remove(t.export)))
	}
	fmt.Fprintf(std.out, "%d rows in %s; check it with: unzip %s && anyu ledger check %s --key KEY\n", rows, t.export, t.export, proofsName)
	if rows == 0 {
		return notRight
	}
	return done
}

func writeEvidence(ctx context.Context, to io.Writer, t *traceFlags, log searched, filter trail.Filter, book *ledger.Ledger, entry *ledger.Entry) (rows int, err error) {
	z := zip.NewWriter(to)
	w, err := z.Create(rowsName)
	if err != nil {
		return 0, err
	}
	sum := sha256.New()
	out, from := json.NewEncoder(io.MultiWriter(w, sum)), map[string]int{}
	if _, err := log.Each(ctx, filter, func(r *trail.Row) error {
		if rows++; rows > maxEvidence {
			return errWide
		}
		from[r.Segment]++
		return out.Encode(evidenceRow{When: r.At(), Segment: r.Segment, Row: r})
	}); err != nil {
		return rows, err
	}
	known, err := book.Segments()
	if err != nil {
		return rows, err
	}
	numbers, loose := []int64{entry.N}, 0
	for _, segment := range slices.Sorted(maps.Keys(from)) {
		e, is := known[path.Join(node.LogDir, segment)]
		if !is {
			loose += from[segment]
			continue
		}
		if now, _, err := ledger.SumFile(filepath.Join(t.data, filepath.FromSlash(e.Subject))); err != nil || now != e.SHA256 {
			return rows, fmt.Errorf("segment %s is not the one of ledger entry %d any more: it was altered, and its rows prove nothing (anyu ledger verify)", segment, e.N)
		}
		numbers = append(numbers, e.N)
	}
	// The rows themselves are an entry, too: who changes one of them in the package has no proof for it.
	made := &ledger.Entry{Kind: ledger.Trace, Subject: rowsName, SHA256: hex.EncodeToString(sum.Sum(nil)), Rows: int64(rows), Who: entry.Who, Why: t.reason, Old: &entry.N,
		Facts: []ledger.Fact{{Name: "by", Value: "anyu trace --export"}}}
	if err := book.Append(time.Now(), made); err != nil {
		return rows, err
	}
	numbers = append(numbers, made.N)
	proofs, err := book.Prove(numbers...)
	if err != nil {
		return rows, err
	}
	text, err := json.MarshalIndent(proofs, "", "  ")
	if err != nil {
		return rows, err
	}
	report := evidenceReport(t, entry, rows, loose, from, known, proofs[0].Key)
	if segments, ok := log.(*trail.Trail); ok {
		if note := node.SampledNote(segments, filter.From, filter.To); note != "" {
			report += "\nSampled / 日志经过抽样: " + note + "\n"
		}
	}
	for name, text := range map[string]string{proofsName: string(text), checkpointName: proofs[0].Checkpoint, keyName: proofs[0].Key + "\n", reportName: report} {
		w, err := z.Create(name)
		if err == nil {
			_, err = io.WriteString(w, text)
		}
		if err != nil {
			return rows, err
		}
	}
	return rows, z.Close()
}

// evidenceRow is a row and where it was found.
type evidenceRow struct {
	When    time.Time `json:"when"`
	Segment string    `json:"segment,omitempty"`
	*trail.Row
}

// evidenceReport is for people: what was asked by whom, what was found where, and how to check it.
func evidenceReport(t *traceFlags, entry *ledger.Entry, rows, loose int, from map[string]int, known map[string]ledger.Entry, key string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Evidence package / 证据包\n\n")
	fmt.Fprintf(&b, "- made / 生成时间: %s\n- by / 操作人: %s\n- reason / 理由: %s\n- asked / 查询条件: `%s`\n- rows / 行数: %d\n- ledger key / 账本公钥: `%s`\n- ledger entry of this trace / 本次溯源的账本条目: %d\n\n",
		entry.Time.Format(time.RFC3339), entry.Who, orDash(t.reason), entry.Facts[0].Value, rows, key, entry.N)
	fmt.Fprintf(&b, "| segment / 日志段 | rows / 行数 | ledger entry / 账本条目 | SHA-256 |\n|---|---|---|---|\n")
	for _, segment := range slices.Sorted(maps.Keys(from)) {
		if e, is := known[path.Join(node.LogDir, segment)]; is {
			fmt.Fprintf(&b, "| %s | %d | %d | `%s` |\n", segment, from[segment], e.N, e.SHA256)
		}
	}
	if loose > 0 {
		fmt.Fprintf(&b, "\n%d rows are in files that are not closed yet: no entry proves them. Export again when the hour is over. / %d 行所在的文件尚未封存，暂无账本条目可证明，请在封存后重新导出。\n", loose, loose)
	}
	fmt.Fprintf(&b, "\nTo check / 核验: `anyu ledger check %s --key KEY [--files DIR]`, with the key from the node's operator, not from this package. "+
		"--files DIR compares rows.jsonl and, where they are in DIR, the segments. / 公钥应从运营方另行取得，不要使用本包内的。\n", proofsName)
	return b.String()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// account is who runs this command.
func whoAmI() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "uid " + strconv.Itoa(os.Getuid())
}

func hostName() string {
	if host, err := os.Hostname(); err == nil {
		return host
	}
	return "node"
}
