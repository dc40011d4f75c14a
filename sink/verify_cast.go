package sink

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"exectape/cast"
	"exectape/session"
)

// check finds what is at odds between a finished cast and its summary, and
// within the cast. Its error is ctx's.
func (v *Verdict) check(ctx context.Context, file *os.File) error {
	sum, err := checksum(interruptible{ctx, whole(file)})
	if err != nil {
		v.find("it can't be read: %v", err)
		return ctx.Err()
	}
	s := v.summary(sum)
	c, ok := v.read(ctx, file)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if ok && s != nil {
		v.compare(c, s)
	}
	if s != nil && v.State == Good && s.EndReason == session.EndInterrupted {
		v.State = Interrupted
	}
	return nil
}

// interruptible reads until ctx ends.
type interruptible struct {
	ctx context.Context
	io.Reader
}

// Read implements [io.Reader].
func (r interruptible) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// summary returns the summary of a cast that has that checksum, or nil if it is
// not to be had.
func (v *Verdict) summary(sum string) *session.Summary {
	s, err := readSummary(Stem(v.Path) + summarySuffix)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		v.find("it has lost its summary")
		return nil
	case err != nil:
		v.find("its summary can't be read: %v", err)
		return nil
	case s.ID != ID(filepath.Base(v.Path)):
		v.find("its summary is that of another session, %s", s.ID)
		return nil
	case s.SHA256 != sum:
		v.find("its SHA-256 is %s, its summary says %s", sum, cmp.Or(s.SHA256, "none"))
	}
	if strings.HasPrefix(s.EndDetail, errDamaged.Error()) {
		v.find("its recorder could not make it durable: %s", s.EndDetail)
	}
	return &s
}

// An inspected cast was read to its end, header and events.
type inspected struct {
	reading
	slot cast.Header // what the slot says; that of the reading is what the events say
}

// read reads a cast to its end, if it can, and finds what is at odds within it.
func (v *Verdict) read(ctx context.Context, file *os.File) (c inspected, ok bool) {
	d, err := cast.NewDecoder(interruptible{ctx, whole(file)})
	if err != nil {
		v.find("%v", err)
		return c, false
	}
	if n := d.Offset(); n != cast.SlotSize {
		v.find("its header has %d bytes, not %d", n, cast.SlotSize)
	}
	c.slot = d.Header()
	c.reading, err = read(d, c.slot)
	if errors.Is(err, cast.ErrTorn) {
		v.find("it ends within line %d: its end was cut off", d.Line()+1)
		return c, false
	}
	if err != nil {
		v.find("%v", err)
		return c, false
	}
	if c.early > 0 {
		v.find("line %d is earlier than the one before it: lines were reordered, or times edited", c.early)
	}
	name := c.slot.Start.Format(timeInName) + "_" + c.slot.Facts.ID
	if Key(filepath.Base(v.Path)) != name {
		v.find("its header is that of %s: it was renamed, or its header edited", name)
	}
	return c, true
}

// compare finds what is at odds with the summary. A cast whose disk was full to
// the end lacks its last lines; its header, for which there always is room, does
// not, and its summary says what is missing.
func (v *Verdict) compare(c inspected, s *session.Summary) {
	salvaged := c.header.Facts.EndReason == "" && c.slot.Facts.EndReason != "" && len(s.Gaps) > len(c.tally.gaps)
	if !salvaged {
		v.differ(c.slot, c.header, "its header", "its events")
	}
	promised := c.slot
	promised.Start, promised.Facts = s.Start, facts(s, c.slot.Facts)
	v.differ(c.slot, promised, "the cast", "its summary")

	found := c.tally.summarize(c.slot, c.took)
	v.bytes("stdin", found.Streams.Stdin, s.Streams.Stdin)
	v.bytes("stdout", found.Streams.Stdout, s.Streams.Stdout)
	v.bytes("stderr", found.Streams.Stderr, s.Streams.Stderr)
	if salvaged {
		return
	}
	if took := s.End.Sub(s.Start).Truncate(time.Microsecond); took != c.took {
		v.find("duration: %v in the cast, %v in its summary", c.took, took)
	}
	if !slices.Equal(found.Gaps, s.Gaps) {
		v.find("gaps: %v in the cast, %v in its summary", found.Gaps, s.Gaps)
	}
}

// bytes compares how much there is of a stream.
func (v *Verdict) bytes(stream string, inCast, inSummary *session.Count) {
	var a, b session.Count // a stream without a byte may be there or not
	if inCast != nil {
		a = *inCast
	}
	if inSummary != nil {
		b = *inSummary
	}
	if a != b {
		v.find("%s: %d bytes in the cast, %d in its summary", stream, a.Bytes, b.Bytes)
	}
}

// differ compares two headers as they would be written, cut as they would be.
func (v *Verdict) differ(a, b cast.Header, inA, inB string) {
	as, bs := keys(a), keys(b)
	both := maps.Clone(as)
	maps.Copy(both, bs)
	for _, key := range slices.Sorted(maps.Keys(both)) {
		if as[key] != bs[key] {
			v.find("%s: %s in %s, %s in %s", key, shown(as[key]), inA, shown(bs[key]), inB)
		}
	}
}

// shown returns as much of a value as a line has room for.
func shown(value string) string {
	const most = 80
	if len(value) > most {
		value = strings.ToValidUTF8(value[:most], "") + "..."
	}
	return cmp.Or(value, "none")
}

// keys returns what a header says, by the names of its keys.
func keys(h cast.Header) map[string]string {
	all := make(map[string]string)
	var slot map[string]json.RawMessage
	_ = json.Unmarshal(h.Slot(), &slot) // which always is an object
	facts := slot["exectape"]
	for _, key := range []string{"exectape", "command", "kubernetes"} {
		delete(slot, key) // what is for others is in the facts, too
	}
	for key, value := range slot {
		all[key] = string(value)
	}
	flatten(all, "", facts)
	return all
}

// flatten puts the values of an object into all, and those of the objects in it.
func flatten(all map[string]string, prefix string, object json.RawMessage) {
	var values map[string]json.RawMessage
	_ = json.Unmarshal(object, &values) // which has just been marshalled
	for key, value := range values {
		if value[0] == '{' {
			flatten(all, prefix+key+".", value)
			continue
		}
		all[prefix+key] = string(value)
	}
}
