// Package hostile makes the bytes that no client sends by accident, and reads
// the answers. It builds every frame by hand, because the libraries that build
// frames refuse to build these.
package hostile

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"iter"
	"slices"
)

// A Kind is the type of a SPDY control frame.
type Kind uint16

// The types of control frames (draft-mbelshe-httpbis-spdy-00, section 2.6).
// No version of the server that is known reads a Noop.
const (
	SynStream    Kind = 1
	SynReply     Kind = 2
	RstStream    Kind = 3
	Settings     Kind = 4
	Noop         Kind = 5
	Ping         Kind = 6
	GoAway       Kind = 7
	Headers      Kind = 8
	WindowUpdate Kind = 9
)

const headerSize = 8

// FlagFin in a frame says that the stream has no more.
const FlagFin = 1

// Control makes a control frame whose fields are words of 32 bits.
func Control(kind Kind, words ...uint32) []byte {
	var body []byte
	for _, w := range words {
		body = binary.BigEndian.AppendUint32(body, w)
	}
	return control(kind, body)
}

func control(kind Kind, body []byte) []byte {
	f := []byte{0x80, 3, 0, byte(kind), 0, 0, 0, 0}
	return Claiming(len(body), append(f, body...))
}

// Data makes a data frame.
func Data(id uint32, flags byte, payload []byte) []byte {
	f := binary.BigEndian.AppendUint32(nil, id)
	f = append(f, flags, 0, 0, 0)
	return Claiming(len(payload), append(f, payload...))
}

// Claiming returns frame with another length in its header.
func Claiming(length int, frame []byte) []byte {
	frame = bytes.Clone(frame)
	frame[5], frame[6], frame[7] = byte(length>>16), byte(length>>8), byte(length)
	return frame
}

// Version returns a control frame in another version of SPDY.
func Version(version byte, frame []byte) []byte {
	frame = bytes.Clone(frame)
	frame[1] = version
	return frame
}

// Syn makes the SYN_STREAM that opens a stream.
func Syn(id uint32, block []byte) []byte {
	fields := append(binary.BigEndian.AppendUint32(nil, id), make([]byte, 6)...) // no parent, no priority
	return control(SynStream, append(fields, block...))
}

// WithBlock makes a SYN_REPLY or HEADERS frame.
func WithBlock(kind Kind, id uint32, block []byte) []byte {
	return control(kind, append(binary.BigEndian.AppendUint32(nil, id), block...))
}

// Pairs is the text of a header block: names and values in turn.
func Pairs(namesAndValues ...string) []byte {
	return Claim(uint32(len(namesAndValues)/2), namesAndValues...)
}

// Claim is the text of a header block that claims count headers.
func Claim(count uint32, namesAndValues ...string) []byte {
	text := binary.BigEndian.AppendUint32(nil, count)
	for _, s := range namesAndValues {
		text = binary.BigEndian.AppendUint32(text, uint32(len(s)))
		text = append(text, s...)
	}
	return text
}

// Blocks makes the header blocks of one connection, which are one zlib stream
// together. The zero Blocks is at its beginning.
type Blocks struct{ begun bool }

// zlibHeader says that SPDY's dictionary is used, by its checksum.
var zlibHeader = []byte{0x78, 0xbb, 0xe3, 0xc6, 0xa7, 0xc2}

// begin returns what precedes a block's bytes.
func (b *Blocks) begin() []byte {
	if b.begun {
		return nil
	}
	b.begun = true
	return slices.Clone(zlibHeader)
}

// flush ends a block as it ends what zlib calls a flush: with an empty piece.
// Without it Go's reader would look for more.
var flush = []byte{0, 0, 0, 0xff, 0xff}

// Store makes a block that is not compressed (RFC 1951, section 3.2.4). So it
// depends on nothing before it, and each byte of text is a byte of the block.
func (b *Blocks) Store(text []byte) []byte {
	n := uint16(len(text))
	block := append(b.begin(), 0)
	block = binary.LittleEndian.AppendUint16(block, n)
	block = binary.LittleEndian.AppendUint16(block, ^n)
	return slices.Concat(block, text, flush)
}

// Squeeze makes a block that is as small as can be.
func (b *Blocks) Squeeze(text []byte) []byte {
	block := bytes.NewBuffer(b.begin())
	w, err := flate.NewWriter(block, flate.BestCompression)
	if err != nil {
		panic(err) // there is no such level
	}
	_, _ = w.Write(text) // a Buffer takes everything
	_ = w.Flush()
	return block.Bytes()
}

// Open makes the SYN_STREAM that opens a stream of a type, as clients do.
func (b *Blocks) Open(id uint32, streamType string) []byte {
	return Syn(id, b.Store(Pairs("streamtype", streamType)))
}

// An Answer is a frame of the server.
type Answer struct {
	Kind    Kind   // 0: data
	ID      uint32 // the stream's, or the first field
	Payload []byte // of data
	Bytes   []byte // the whole frame
}

// Answers are the whole frames that wire begins with. The server's are what they
// claim to be.
func Answers(wire []byte) iter.Seq[Answer] {
	return func(yield func(Answer) bool) {
		for rest := wire; len(rest) >= headerSize; {
			size := headerSize + int(binary.BigEndian.Uint32(rest[4:])&0xffffff)
			if size > len(rest) {
				return
			}
			a := Answer{ID: binary.BigEndian.Uint32(rest), Bytes: rest[:size]}
			if rest[0]&0x80 != 0 {
				a.Kind, a.ID = Kind(binary.BigEndian.Uint16(rest[2:])), binary.BigEndian.Uint32(rest[headerSize:])
			} else {
				a.Payload = rest[headerSize:size]
			}
			if !yield(a) {
				return
			}
			rest = rest[size:]
		}
	}
}
