package intercept

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
)

// badRequest is what a client sent instead of a request.
type badRequest struct{ error }

func (b *badRequest) Error() string { return "read a request: " + b.error.Error() }
func (b *badRequest) Unwrap() error { return b.error }

// unrecordable is why a request is refused before its target has seen it.
type unrecordable struct{ error }

func (u *unrecordable) Error() string {
	return "exectape refused this session because it can't be recorded: " + u.error.Error()
}
func (u *unrecordable) Unwrap() error { return u.error }

// answerTo tells a client why its request was not forwarded, if that is why
// its connection ends: a server's own answer to it would be much the same. It
// reports whether it did.
func answerTo(client io.Writer, err error) bool {
	var bad *badRequest
	var refused *unrecordable
	switch {
	case errors.As(err, &refused):
		answer(client, http.StatusBadRequest, refused.Error())
	case !errors.As(err, &bad), errors.Is(err, os.ErrDeadlineExceeded):
		return false
	case errors.Is(err, errHeadTooLarge):
		answer(client, http.StatusRequestHeaderFieldsTooLarge, "exectape: "+bad.Error())
	default:
		answer(client, http.StatusBadRequest, "exectape: "+bad.Error())
	}
	return true
}

// answer is the last answer on a connection, and our own.
func answer(client io.Writer, status int, sentence string) {
	_, _ = fmt.Fprintf(client, "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s\n",
		status, http.StatusText(status), len(sentence)+1, sentence)
}
