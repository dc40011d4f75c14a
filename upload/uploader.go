package upload

import (
	"context"
	"net/url"
	"sync"
	"time"

	"exectape/sink"

	"go.uber.org/zap"
)

// Config says where to send casts, and how.
type Config struct {
	URL  *url.URL // of what the casts are put below; http or https
	Node string   // whose casts they are, which every request says

	TokenFile         string // has a bearer token; "": none is sent
	CAFile            string // has the authorities to trust; "": the system's
	CertFile, KeyFile string // have a client certificate and its key; "": none

	Live bool // stream casts while they are live, too
	Gzip bool // send casts compressed, and named so
}

// Stats are what there is to say of an Uploader. What is counted is counted
// since its start.
type Stats struct {
	BacklogCasts int   // finished casts that wait, or are being sent
	BacklogBytes int64 // and their size
	Sent         int64 // casts that were acknowledged
	Retried      int64 // deliveries of a cast that failed, and will be repeated
	Refused      int64 // casts that will not be sent again
	Down         bool  // the recorder takes nothing
	LastSuccess  time.Time
}

// An Uploader sends the casts of one directory.
type Uploader struct {
	dir    *sink.Dir
	client *client
	config Config
	log    *zap.Logger

	mu    sync.Mutex // guards what follows
	stats Stats
}

// New returns an Uploader that does nothing before it is run. The files that c
// names are read when they are needed, each time anew.
func New(dir *sink.Dir, c Config, log *zap.Logger) *Uploader {
	return &Uploader{dir: dir, client: newClient(c), config: c, log: log}
}

// Stats returns how it is going.
func (u *Uploader) Stats() Stats {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.stats
}

func (u *Uploader) count(change func(*Stats)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	change(&u.stats)
}

// Run sends what there is in the directory, and what comes, until ctx ends.
// Then it sends what was not tried yet, in so short a time that whoever stops
// exectape can wait for it. It is called once, by the one instance that keeps
// the directory's house.
func (u *Uploader) Run(ctx context.Context) {
	defer u.client.close()
	newLoop(u).run(ctx)
}
