package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"exectape/bench/content"
	"exectape/cast"
	"exectape/session"
)

// verify reads all casts, which must be those of c.Sessions sessions. Each must
// be what its summary says; and if want is a kind of content, they must have all
// of it that the kubelet got, byte for byte.
func verify(dir string, want content.Kind, c *Cell, sessions int) error {
	names, err := filepath.Glob(filepath.Join(dir, "*.cast"))
	if err != nil {
		return err
	}
	if len(names) != sessions {
		return fmt.Errorf("there are %d casts of %d sessions", len(names), sessions)
	}
	var total int64
	for _, name := range names {
		said, err := verifyCast(name, want)
		if err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(name), err)
		}
		total += said
		c.Casts++
	}
	if want != "" && total != c.Bytes {
		return fmt.Errorf("the kubelet got %d bytes, the casts have %d", c.Bytes, total)
	}
	return nil
}

func verifyCast(name string, want content.Kind) (said int64, err error) {
	b, err := os.ReadFile(strings.TrimSuffix(name, ".cast") + ".json")
	if err != nil {
		return 0, err
	}
	var summary session.Summary
	if err := json.Unmarshal(b, &summary); err != nil {
		return 0, err
	}
	said, sum, err := read(name, want)
	switch {
	case err != nil:
		return 0, err
	case sum != summary.SHA256:
		return 0, errors.New("its checksum is another")
	case len(summary.Gaps) > 0:
		return 0, fmt.Errorf("it has gaps: %v", summary.Gaps)
	case summary.Streams.Stdout != nil && said != summary.Streams.Stdout.Bytes:
		return 0, fmt.Errorf("it has %d bytes of stdout, its summary says %d", said, summary.Streams.Stdout.Bytes)
	}
	return said, nil
}

// read returns how much a cast says that stdout was, and its checksum.
func read(name string, want content.Kind) (said int64, sum string, err error) {
	file, err := os.Open(name)
	if err != nil {
		return 0, "", err
	}
	defer file.Close()
	hash := sha256.New()
	d, err := cast.NewDecoder(io.TeeReader(file, hash))
	if err != nil {
		return 0, "", err
	}
	var check *content.Check
	if want != "" {
		check = content.NewCheck(want)
	}
	var exact cast.Exact
	for {
		event, err := d.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, "", err
		}
		stream, data, err := exact.Output(event)
		if err != nil {
			return 0, "", err
		}
		if stream != session.Stdout {
			continue
		}
		said += int64(len(data))
		if check != nil {
			_, _ = check.Write(data)
		}
	}
	if check != nil && check.Wrong {
		return 0, "", errors.New("it has other bytes than its session")
	}
	return said, hex.EncodeToString(hash.Sum(nil)), nil
}
