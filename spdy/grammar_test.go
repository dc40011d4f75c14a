package spdy_test

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"encoding/binary"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"exectape/spdy"

	ref "github.com/moby/spdystream/spdy"
)

// A draft is a frame before it is put into bytes, with all that can be wrong
// about it. Header blocks are kept inflated, so that drafts can change places
// and still share one valid zlib context when they are written.
type draft struct {
	first  uint32 // the header's first word: a data frame's id, or version and type
	flags  byte
	lie    int    // what its length claims beyond the truth
	fixed  []byte // what its type always has
	text   []byte // its header block, inflated
	tail   []byte // payload or SETTINGS pairs
	loose  bool   // its block is not flushed: the end comes with the next
	last   bool   // its block ends the zlib stream
	borrow int    // how many bytes of the next block travel in its own
	raw    []byte // instead of all that: bytes that are no frame
}

func (d *draft) hasBlock() bool { return d.text != nil }

// fixedSizes is what control frames have behind their header at the least.
var fixedSizes = map[uint32]int{1: 10, 2: 4, 3: 8, 4: 4, 6: 4, 7: 8, 8: 4, 9: 8}

// parse takes a stream apart, as far as spdystream can read it.
func parse(tb testing.TB, stream []byte) (all []draft) {
	tb.Helper()
	r := &cutReader{b: stream}
	framer, err := ref.NewFramer(&bytes.Buffer{}, r)
	if err != nil {
		tb.Fatal(err)
	}
	for {
		start := r.read
		frame, err := framer.ReadFrame()
		if err != nil {
			return append(all, draft{raw: stream[start:]})
		}
		b := stream[start:r.read]
		d := draft{first: binary.BigEndian.Uint32(b), flags: b[4], tail: b[8:]}
		if d.first>>31 == 1 {
			fixed := fixedSizes[d.first&0xffff]
			d.fixed, d.tail = b[8:8+fixed], b[8+fixed:]
		}
		switch f := frame.(type) {
		case *ref.SynStreamFrame:
			d.text = headerText(f.Headers)
		case *ref.SynReplyFrame:
			d.text = headerText(f.Headers)
		case *ref.HeadersFrame:
			d.text = headerText(f.Headers)
		default:
			d.lie = int(b[5])<<16 | int(b[6])<<8 | int(b[7]) - len(b) + 8
		}
		if d.hasBlock() {
			d.tail = nil
		}
		all = append(all, d)
	}
}

// synStream opens a stream.
func synStream(id uint32, streamType string) draft {
	return draft{
		first: 0x80030001,
		fixed: append(binary.BigEndian.AppendUint32(nil, id), make([]byte, 6)...),
		text:  headerText(http.Header{"Streamtype": {streamType}}),
	}
}

// ping is a PING.
func ping(id uint32) draft {
	return draft{first: 0x80030006, fixed: binary.BigEndian.AppendUint32(nil, id)}
}

// headerText is a header block before compression.
func headerText(headers http.Header) []byte {
	text := binary.BigEndian.AppendUint32(nil, uint32(len(headers)))
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		for _, s := range []string{strings.ToLower(name), strings.Join(headers[name], "\x00")} {
			text = binary.BigEndian.AppendUint32(text, uint32(len(s)))
			text = append(text, s...)
		}
	}
	return text
}

// assemble writes drafts as one stream, compressed at level.
func assemble(tb testing.TB, all []draft, level int) []byte {
	tb.Helper()
	blocks := compress(tb, all, level)
	for i := range all {
		if next := nextBlock(all, i); all[i].hasBlock() && next > 0 {
			n := min(all[i].borrow, len(blocks[next]))
			blocks[i] = append(blocks[i], blocks[next][:n]...)
			blocks[next] = blocks[next][n:]
		}
	}
	var stream []byte
	for i, d := range all {
		if d.raw != nil {
			stream = append(stream, d.raw...)
			continue
		}
		length := len(d.fixed) + len(blocks[i]) + len(d.tail) + d.lie
		stream = binary.BigEndian.AppendUint32(stream, d.first)
		stream = binary.BigEndian.AppendUint32(stream, uint32(d.flags)<<24|uint32(length)&0xffffff)
		stream = slices.Concat(stream, d.fixed, blocks[i], d.tail)
	}
	return stream
}

func nextBlock(all []draft, i int) int {
	for j := i + 1; j < len(all); j++ {
		if all[j].hasBlock() {
			return j
		}
	}
	return 0
}

// compress returns each draft's header block.
func compress(tb testing.TB, all []draft, level int) [][]byte {
	tb.Helper()
	blocks := make([][]byte, len(all))
	if !slices.ContainsFunc(all, func(d draft) bool { return d.hasBlock() }) {
		return blocks // a compressor is half a MiB
	}
	var out bytes.Buffer
	z, err := zlib.NewWriterLevelDict(&out, level, spdy.Dictionary)
	if err != nil {
		tb.Fatal(err)
	}
	for i, d := range all {
		if !d.hasBlock() {
			continue
		}
		_, _ = z.Write(d.text) // a Buffer takes everything
		switch {
		case d.last:
			_ = z.Close()
			z.Reset(&out)
		case !d.loose:
			_ = z.Flush()
		}
		blocks[i] = bytes.Clone(out.Bytes())
		out.Reset()
	}
	return blocks
}

// choices are the bytes of a fuzz input that say what is done to a stream.
type choices struct{ b []byte }

// of chooses one of n; what was not said is 0.
func (c *choices) of(n int) int {
	if len(c.b) == 0 {
		return 0
	}
	v := int(c.b[0])
	c.b = c.b[1:]
	return v % n
}

// upTo chooses one of more than a byte can say.
func (c *choices) upTo(n int) int { return (c.of(256) + c.of(256)<<8) % n }

func (c *choices) byte() byte { return byte(c.of(256)) }

func (c *choices) id() uint32 {
	ids := []uint32{0, 1, 2, 3, 5, 7, 9, 11, 127, 128, 129, 131, 257, 1<<31 - 1, 1<<31 | 1, 1<<31 | 5, 1<<32 - 1}
	return ids[c.of(len(ids))]
}

func (c *choices) text() []byte {
	types := []string{"error", "stdin", "stdout", "stderr", "resize", "Stdout", ""}
	headers := http.Header{"Streamtype": {types[c.of(len(types))]}}
	switch c.of(8) {
	case 1:
		headers["A"] = []string{strings.Repeat("x", 100*c.of(256))}
	case 2:
		headers["Streamtype"] = append(headers["Streamtype"], "stdin")
	case 3:
		headers["Connection"] = []string{"x"}
	case 4:
		return headerText(nil)
	case 5:
		headers[strings.Repeat("n", 100*c.of(16))] = []string{"x"}
	}
	return headerText(headers)
}

// frame is a new one, whole and well.
func (c *choices) frame() draft {
	kind := uint32(c.of(12))
	id := binary.BigEndian.AppendUint32(nil, c.id())
	word := func(v byte) []byte { return []byte{0, 0, 0, v} }
	d := draft{first: 0x80030000 | kind}
	switch ref.ControlFrameType(kind) {
	case ref.TypeSynStream:
		d.fixed, d.text = slices.Concat(id, word(0), []byte{c.byte(), 0}), c.text()
	case ref.TypeSynReply, ref.TypeHeaders:
		d.fixed, d.text = id, c.text()
	case ref.TypeRstStream, ref.TypeGoAway, ref.TypeWindowUpdate:
		d.fixed = slices.Concat(id, word(c.byte()))
	case ref.TypePing:
		d.fixed = id
	case ref.TypeSettings:
		n := c.of(4)
		d.fixed, d.tail = word(byte(n)), make([]byte, 8*n)
	case 5, 10: // NOOP, and one that does not exist
	default:
		d = draft{first: binary.BigEndian.Uint32(id), tail: bytes.Repeat([]byte("data"), c.of(64))}
	}
	return d
}

// An edit changes frame i of a stream, or what is around it.
type edit func(all []draft, i int, c *choices) []draft

var editors = []edit{
	func(all []draft, i int, c *choices) []draft { return slices.Insert(all, i, c.frame()) },
	func(all []draft, i int, c *choices) []draft { return slices.Insert(all, c.of(len(all)), all[i]) },
	func(all []draft, i int, _ *choices) []draft { return slices.Delete(all, i, i+1) },
	func(all []draft, i int, c *choices) []draft {
		j := c.of(len(all))
		all[i], all[j] = all[j], all[i]
		return all
	},
	changing(func(d *draft, c *choices) { d.flags = c.byte() }),
	changing(func(d *draft, c *choices) { d.lie = c.of(64) - 32 }),
	changing(func(d *draft, c *choices) { d.lie = c.of(256) << c.of(17) }),
	changing(func(d *draft, c *choices) { d.first ^= 1 << c.of(32) }),
	changing(func(d *draft, c *choices) {
		if id := c.id(); len(d.fixed) >= 4 {
			d.fixed = slices.Concat(binary.BigEndian.AppendUint32(nil, id), d.fixed[4:])
		} else {
			d.first = id
		}
	}),
	changing(func(d *draft, c *choices) { d.fixed = flipped(d.fixed, c) }),
	changing(func(d *draft, c *choices) { d.tail = flipped(d.tail, c) }),
	changing(func(d *draft, c *choices) { d.text = flipped(d.text, c) }),
	changing(func(d *draft, c *choices) {
		if d.hasBlock() {
			d.text = slices.Concat(d.text, c.text())
		}
	}),
	changing(func(d *draft, c *choices) { d.text = d.text[:c.upTo(len(d.text)+1)] }),
	changing(func(d *draft, c *choices) { d.borrow = c.upTo(1 << 14) }),
	changing(func(d *draft, _ *choices) { d.loose = true }),
	changing(func(d *draft, _ *choices) { d.last = true }),
	changing(func(d *draft, c *choices) { d.tail = append(slices.Clone(d.tail), make([]byte, c.of(64))...) }),
}

func changing(f func(d *draft, c *choices)) edit {
	return func(all []draft, i int, c *choices) []draft {
		f(&all[i], c)
		return all
	}
}

// flipped is b with one byte set.
func flipped(b []byte, c *choices) []byte {
	if len(b) == 0 {
		return b
	}
	b = slices.Clone(b)
	b[c.upTo(len(b))] = c.byte()
	return b
}

// edited is stream with what edits says done to it: frames repeated, moved,
// dropped and put between, lengths that lie, header blocks split and smuggled.
// Without edits it is stream to the byte; one that has grown large is edited no
// further.
func edited(tb testing.TB, stream, edits []byte) []byte {
	tb.Helper()
	if len(edits) == 0 {
		return stream
	}
	all := parse(tb, stream)
	c := &choices{edits}
	level := []int{flate.BestCompression, flate.HuffmanOnly, flate.NoCompression}[c.of(3)]
	for len(c.b) > 0 && len(all) > 0 && size(all) < maxEdited {
		all = editors[c.of(len(editors))](all, c.of(len(all)), c)
	}
	return assemble(tb, all, level)
}

// size is about what all take when they are stored.
func size(all []draft) (n int) {
	for _, d := range all {
		n += len(d.text) + len(d.tail) + len(d.raw)
	}
	return n
}
