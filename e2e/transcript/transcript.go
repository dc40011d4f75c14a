// Package transcript keeps what is written, and lets others wait for it.
package transcript

import (
	"bytes"
	"context"
	"errors"
	"sync"
)

// A Transcript is an io.WriteCloser that forgets nothing. Its zero value is
// empty and ready for use.
type Transcript struct {
	mu     sync.Mutex // guards all below
	text   []byte
	closed bool
	more   chan struct{} // closed when there is more, or no more to come
}

// ErrClosed is the error of an Await for what can't come any more.
var ErrClosed = errors.New("nothing more is written")

// Write adds p. It never fails.
func (t *Transcript) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	t.tell()
	return len(p), nil
}

// Close says that nothing more is written.
func (t *Transcript) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	t.tell()
	return nil
}

func (t *Transcript) tell() {
	if t.more != nil {
		close(t.more)
		t.more = nil
	}
}

// Bytes returns a copy of all that was written.
func (t *Transcript) Bytes() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return bytes.Clone(t.text)
}

// Await waits until all that was written is enough. It calls enough again for
// every write; enough must not keep text.
func (t *Transcript) Await(ctx context.Context, enough func(text []byte) bool) error {
	for {
		more, err := t.ask(enough)
		if more == nil {
			return err
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ask returns what to wait for, unless there is enough or no more comes.
func (t *Transcript) ask(enough func(text []byte) bool) (more <-chan struct{}, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case enough(t.text):
		return nil, nil
	case t.closed:
		return nil, ErrClosed
	}
	if t.more == nil {
		t.more = make(chan struct{})
	}
	return t.more, nil
}
