package session

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// Sizes reads a resize stream, which is a stream of JSON documents cut into
// frames anyhow: several in one, one over many, or none ever.
//
// It reads as the server does (remotecommand's handleResizeEvents: one
// json.Decoder, until its first error): the first document that is not a size
// ends the stream's meaning for good. The zero value is ready to use.
type Sizes struct {
	rest  []byte // the beginning of a document whose end has not come
	spent bool   // the server stopped reading here, or we did
}

// maxSizeDocument bounds what is kept of a document that does not end. The
// server has no such bound; what a client hides behind it is a resize.
const maxSizeDocument = 4096

// terminalSize is remotecommand.TerminalSize. A document may lack either
// field, spell it in any case, or be null.
type terminalSize struct{ Width, Height uint16 }

// Feed takes the next bytes of the stream and emits every size in them that a
// terminal can have: a zero is legal and changes nothing.
func (s *Sizes) Feed(p []byte, emit func(Event)) {
	if s.spent {
		return
	}
	s.rest = append(s.rest, p[:min(len(p), maxSizeDocument)]...)
	overflow := p[min(len(p), maxSizeDocument):]
	s.parse(emit)
	switch {
	case s.spent:
		s.rest = nil
	case len(s.rest) > maxSizeDocument:
		s.spent, s.rest = true, nil
	case len(overflow) > 0:
		s.Feed(overflow, emit)
	}
}

// parse consumes every complete document of s.rest.
func (s *Sizes) parse(emit func(Event)) {
	in := bytes.NewReader(s.rest)
	documents := json.NewDecoder(in)
	for {
		var size terminalSize
		switch err := documents.Decode(&size); {
		case err == nil:
			if size.Width > 0 && size.Height > 0 {
				emit(Event{Kind: Resize, Size: Size{Cols: size.Width, Rows: size.Height}})
			}
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			done := documents.InputOffset()
			s.rest = append(s.rest[:0], bytes.TrimLeft(s.rest[done:], " \t\r\n")...)
			return
		default:
			s.spent = true
			return
		}
	}
}
