package upload

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
)

// maxCredential is the most that is read of a file of them.
const maxCredential = 1 << 20

// credentialFiles are the names of files, "" for those that aren't wanted.
type credentialFiles struct{ token, ca, cert, key string }

// credentials are what a connection to the recorder is made with, in PEM.
type credentials struct{ ca, cert, key []byte }

func (c credentials) equal(other credentials) bool {
	return bytes.Equal(c.ca, other.ca) && bytes.Equal(c.cert, other.cert) && bytes.Equal(c.key, other.key)
}

// read reads all that there is. That is done for each request: so nothing is
// used that was replaced.
func (f credentialFiles) read() (c credentials, token string, err error) {
	var errs [4]error
	token, errs[0] = readToken(f.token)
	c.ca, errs[1] = readCredential(f.ca)
	c.cert, errs[2] = readCredential(f.cert)
	c.key, errs[3] = readCredential(f.key)
	return c, token, errors.Join(errs[:]...)
}

func readCredential(name string) ([]byte, error) {
	if name == "" {
		return nil, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return io.ReadAll(io.LimitReader(file, maxCredential))
}

func readToken(name string) (string, error) {
	b, err := readCredential(name)
	token := strings.TrimSpace(string(b))
	switch {
	case err != nil || name == "":
		return "", err
	case token == "":
		return "", fmt.Errorf("%s is empty; write the recorder's bearer token into it", name)
	case strings.ContainsFunc(token, func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsGraphic(r) || r == ' ' }):
		return "", fmt.Errorf("%s has more than one word, or what no HTTP header can have; write the recorder's bearer token into it, and nothing else", name)
	}
	return token, nil
}

// tls returns what to make connections with.
func (c credentials) tls(f credentialFiles) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if f.ca != "" {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(c.ca) {
			return nil, fmt.Errorf("%s has no certificate in PEM; write those of the authorities that the recorder's is signed by into it", f.ca)
		}
	}
	if f.cert != "" {
		pair, err := tls.X509KeyPair(c.cert, c.key)
		if err != nil {
			return nil, fmt.Errorf("%s and %s are no client certificate and its key: %w", f.cert, f.key, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
