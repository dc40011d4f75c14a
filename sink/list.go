package sink

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"exectape/cast"
	"exectape/session"
)

// An Entry is one cast in a directory.
type Entry struct {
	Path    string
	Live    bool            // its session goes on, or was cut off by the recorder's end
	Summary session.Summary // of a live one, as much as its header says
}

// List returns the casts in the directory at path, in the order of their
// names, which is that of their beginnings. What is no cast is passed over, a
// symbolic link too.
func List(path string) ([]Entry, error) {
	files, err := os.ReadDir(path)
	if err != nil {
		return nil, fmt.Errorf("list casts: %w", err)
	}
	var all []Entry
	for _, f := range files {
		if !f.Type().IsRegular() || !IsCast(f.Name()) {
			continue
		}
		e, err := Stat(filepath.Join(path, f.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // finished or removed since
		}
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

// IsCast reports whether a file of that name is a cast, live or finished.
func IsCast(name string) bool {
	return strings.HasSuffix(name, castSuffix) || strings.HasSuffix(name, liveSuffix)
}

// Stat returns what there is to say about the cast at path: its summary, or
// its header if there is none.
func Stat(path string) (Entry, error) {
	e := Entry{Path: path, Live: strings.HasSuffix(path, liveSuffix)}
	if !e.Live {
		b, err := os.ReadFile(strings.TrimSuffix(path, castSuffix) + summarySuffix)
		if err == nil {
			err = json.Unmarshal(b, &e.Summary)
		}
		if err == nil {
			return e, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return e, fmt.Errorf("the summary of %s: %w", path, err)
		}
	}
	h, err := readHeader(path)
	if err != nil {
		return e, err
	}
	e.Summary = session.Summary{
		ID: h.Facts.ID, Start: h.Start, Verb: h.Facts.Verb, Protocol: h.Facts.Protocol,
		Subprotocol: h.Facts.Subprotocol, Target: h.Facts.Target,
		TTY: h.Facts.TTY, ExitCode: h.Facts.ExitCode, EndReason: h.Facts.EndReason, EndDetail: h.Facts.EndDetail,
		Gaps: []session.Loss{},
	}
	return e, nil
}

// readHeader reads a cast's header, more than once if need be: that of a live
// one may just be being written.
func readHeader(path string) (cast.Header, error) {
	file, err := os.Open(path)
	if err != nil {
		return cast.Header{}, err
	}
	defer func() { _ = file.Close() }()
	var d *cast.Decoder
	for range 3 {
		if d, err = cast.NewDecoder(whole(file)); err == nil {
			return d.Header(), nil
		}
	}
	return cast.Header{}, fmt.Errorf("%s: %w", path, err)
}

// IsFinished reports whether a file of that name is a finished cast.
func IsFinished(name string) bool { return strings.HasSuffix(name, castSuffix) }
