package sink

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"exectape/cast"
	"exectape/session"

	"golang.org/x/sys/unix"
)

// An Entry is one cast in a directory.
type Entry struct {
	Path    string
	Live    bool            // its session goes on, or was cut off by the recorder's end
	Summary session.Summary // of a live one, as much as its header says
	Err     error           // why no more than the name is known
}

// List returns the casts in the directory at path, in the order of their
// beginnings. What is no cast is passed over, a symbolic link too. One that
// can't be read is listed, before all others, with the reason.
func List(path string) ([]Entry, error) {
	names, err := Names(path)
	if err != nil {
		return nil, err
	}
	var all []Entry
	for _, name := range names {
		e, err := stat(path, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed since, or about to begin
		}
		e.Err = err
		all = append(all, e)
	}
	// They are in the order of their names, which is that to the second.
	slices.SortStableFunc(all, func(a, b Entry) int { return a.Summary.Start.Compare(b.Summary.Start) })
	return all, nil
}

// Names returns the names of the casts in the directory at path, in order.
func Names(path string) ([]string, error) {
	files, err := os.ReadDir(path)
	if err != nil {
		return nil, fmt.Errorf("list casts: %w", err)
	}
	var names []string
	for _, f := range files {
		if f.Type().IsRegular() && IsCast(f.Name()) {
			names = append(names, f.Name())
		}
	}
	return names, nil
}

// Open opens the cast of that name, or of that key, in the directory at path
// for reading. If it is live by its name and finished just now, that is opened
// which it has become.
func Open(path, name string) (*os.File, error) {
	if !IsCast(name) {
		name += liveSuffix
	}
	file, err := open(filepath.Join(path, name))
	if errors.Is(err, fs.ErrNotExist) && IsLive(name) {
		if name, err = finished(path, name); err == nil {
			return open(filepath.Join(path, name))
		}
	}
	return file, err
}

// stat is Stat of what a name that was read just now stands for.
func stat(path, name string) (Entry, error) {
	e, err := Stat(filepath.Join(path, name))
	if errors.Is(err, fs.ErrNotExist) && IsLive(name) {
		if name, err := finished(path, name); err == nil {
			return Stat(filepath.Join(path, name))
		}
	}
	return e, err
}

// finished returns the name that a live cast has got since it had that one.
func finished(path, live string) (string, error) {
	name := Key(live) + castSuffix
	if _, err := os.Lstat(filepath.Join(path, name)); err == nil {
		return name, nil
	}
	names, err := Names(path)
	if err != nil {
		return "", err
	}
	for _, name := range names {
		if IsFinished(name) && Key(name) == Key(live) {
			return name, nil
		}
	}
	return "", fmt.Errorf("%s: %w", filepath.Join(path, live), fs.ErrNotExist)
}

// Stat returns what there is to say about the cast at path: its summary, or
// its header if there is none.
func Stat(path string) (Entry, error) {
	e := Entry{Path: path, Live: IsLive(path), Summary: session.Summary{ID: ID(filepath.Base(path))}}
	if !e.Live {
		s, err := readSummary(Stem(path) + summarySuffix)
		if err == nil {
			e.Summary = s
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return e, err
		}
	}
	h, err := readHeader(path)
	if err != nil {
		return e, err
	}
	e.Summary = describe(h)
	return e, nil
}

func readSummary(path string) (s session.Summary, err error) {
	file, err := open(path)
	if err != nil {
		return s, err
	}
	defer func() { _ = file.Close() }()
	err = json.NewDecoder(file).Decode(&s)
	if errors.Is(err, io.EOF) { // it is empty, as the machine's death may leave it
		err = fs.ErrNotExist
	}
	if err != nil {
		return s, fmt.Errorf("%s is no summary: %w", path, err)
	}
	return s, nil
}

// readHeader reads a cast's header, more than once if need be: that of a live
// one may just be being written.
func readHeader(path string) (cast.Header, error) {
	file, err := open(path)
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
	if info, statErr := file.Stat(); statErr == nil && info.Size() == 0 {
		err = fmt.Errorf("its session has not begun: %w", fs.ErrNotExist)
	}
	return cast.Header{}, fmt.Errorf("%s: %w", path, err)
}

// open opens a file for reading that is where its name says.
func open(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW, 0)
}
