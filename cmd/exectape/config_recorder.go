package main

import (
	"net/url"
	"strings"
)

// What is wrong with the variables of the HTTP recorder.
const (
	notPlace   = "not a URL to put casts below; write http or https, a host and, if need be, a path, as in https://recorder.example/casts; what gives access to it belongs into EXECTAPE_HTTP_TOKEN_FILE"
	noRecorder = "there is no recorder to use it with; set EXECTAPE_HTTP_URL"
	noTLS      = "of use only with a recorder that is reached by https; set EXECTAPE_HTTP_URL"
	notWanted  = "neither true nor false, or there is no recorder to do it for; write true or false, and set EXECTAPE_HTTP_URL"
)

// isPlace reports whether names can be added to u, and whether it has nothing
// that some parties would see and others drop.
func isPlace(u url.URL) bool {
	return (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" &&
		u == url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
}

// presentable returns what a mistake may show of a variable's value: of a URL no user,
// no password and no query.
func presentable(name, value string) string {
	if name != "HTTP_URL" {
		return value
	}
	const hidden = "..."
	if i := strings.IndexAny(value, "?#"); i >= 0 {
		value = value[:i+1] + hidden
	}
	if i := strings.LastIndexByte(value, '@'); i >= 0 {
		scheme, _, found := strings.Cut(value[:i], "//")
		if !found {
			return hidden + value[i:]
		}
		value = scheme + "//" + hidden + value[i:]
	}
	return value
}
