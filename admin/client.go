package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// answerWait bounds a question and its answer.
const answerWait = 10 * time.Second

// Get asks the instance that listens on the Unix socket at path for a document,
// and copies it to w. It reports whether the answer was 200. A socket that
// neither root nor our own user listens on is not believed.
func Get(ctx context.Context, socket, document string, w io.Writer) (ok bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
			if err != nil {
				return nil, err
			}
			if err := ours(conn.(*net.UnixConn)); err != nil {
				return nil, errors.Join(err, conn.Close())
			}
			return conn, nil
		},
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://exectape"+document, nil)
	if err != nil {
		return false, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return false, fmt.Errorf("ask exectape at %s: %w", socket, errors.Unwrap(err))
	}
	defer resp.Body.Close()
	if _, err := io.Copy(w, resp.Body); err != nil {
		return false, fmt.Errorf("the answer of exectape at %s: %w", socket, err)
	}
	return resp.StatusCode == http.StatusOK, nil
}
