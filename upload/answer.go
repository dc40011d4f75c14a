package upload

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

const (
	maxAnswer = 4 << 10          // bytes that are read of an answer's body
	maxReason = 200              // runes of it that are kept
	maxAfter  = 15 * time.Minute // that a Retry-After is respected
)

// A refusal is the error of an upload whose answer will stay what it is.
type refusal struct {
	name, said string
	at         time.Time
}

func (r refusal) Error() string { return fmt.Sprintf("PUT %s: %s", r.name, r.said) }

// note is what is written beside the cast.
func (r refusal) note() string {
	return fmt.Sprintf("%s %v\nThe recorder will not take this cast. To have it sent again, remove this file.",
		r.at.UTC().Format(time.RFC3339), r)
}

// An unreachable is the error of an upload that never got to the recorder.
type unreachable struct{ error }

func (u unreachable) Unwrap() error { return u.error }

// A turnedAway is the error of an upload that is to be tried again.
type turnedAway struct {
	name, said string
	after      time.Duration // that the recorder asks us to wait; 0: it doesn't
}

func (t turnedAway) Error() string { return fmt.Sprintf("PUT %s: %s", t.name, t.said) }

// retryAfter returns how long the recorder has asked us to wait, or 0.
func retryAfter(err error) time.Duration {
	var t turnedAway
	if errors.As(err, &t) {
		return t.after
	}
	return 0
}

// passing are the refusals that may not stay: what they complain of is not the
// cast.
var passing = []int{
	http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired, http.StatusRequestTimeout,
	http.StatusExpectationFailed, http.StatusTooEarly, http.StatusTooManyRequests,
}

// judge returns what the answer to a PUT of name means: nil, a refusal or a
// turnedAway.
func judge(name string, answer *http.Response) error {
	code := answer.StatusCode
	if code/100 == 2 {
		return nil
	}
	said := strings.TrimSpace(fmt.Sprintf("%d %s", code, http.StatusText(code)))
	if code/100 == 3 {
		said += ": redirects are not followed; set EXECTAPE_HTTP_URL to where casts are taken"
	}
	if why := reason(answer.Body); why != "" {
		said += ": " + why
	}
	if code/100 == 4 && !slices.Contains(passing, code) {
		return refusal{name, said, time.Now()}
	}
	t := turnedAway{name: name, said: said}
	if code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable {
		t.after = parseAfter(answer.Header.Get("Retry-After"), time.Now())
	}
	return t
}

// reason returns the beginning of an answer's body, fit for a line of a log.
func reason(body io.Reader) string {
	b, _ := io.ReadAll(io.LimitReader(body, maxAnswer)) // as far as it came
	clean := strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, string(bytes.ToValidUTF8(b, nil)))
	runes := []rune(strings.Join(strings.Fields(clean), " "))
	return string(runes[:min(len(runes), maxReason)])
}

// parseAfter returns what a Retry-After asks for, in seconds or as a date.
func parseAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(value, 10, 64); err == nil {
		return time.Duration(min(seconds, uint64(maxAfter/time.Second))) * time.Second
	}
	if date, err := http.ParseTime(value); err == nil {
		return min(max(0, date.Sub(now)), maxAfter)
	}
	return 0
}
