package main

import (
	"context"
	"net/url"
	"time"

	"exectape/sink"
	"exectape/upload"

	"go.uber.org/zap"
)

// houseWait is how long a directory is left alone that can't be locked: it may
// be full.
const houseWait = 10 * time.Second

// keepHouse does for the directory what only one instance may do, until ctx
// ends. Without an uploader there is nothing to do.
func keepHouse(ctx context.Context, dir *sink.Dir, uploader *upload.Uploader, log *zap.Logger) {
	if uploader == nil {
		return
	}
	for {
		err := dir.Housekeeping(ctx, func(ctx context.Context) error {
			uploader.Run(ctx)
			return nil
		})
		if err == nil || ctx.Err() != nil {
			return
		}
		log.Error("no cast is sent: the directory can't be locked", zap.Error(err))
		select {
		case <-time.After(houseWait):
		case <-ctx.Done():
		}
	}
}

// newUploader returns nil if casts are not to be sent anywhere.
func newUploader(cfg config, dir *sink.Dir, log *zap.Logger) *upload.Uploader {
	if cfg.HTTPURL == (url.URL{}) {
		return nil
	}
	return upload.New(dir, upload.Config{
		URL:       &cfg.HTTPURL,
		Node:      nodeName(cfg),
		TokenFile: cfg.HTTPTokenFile,
		CAFile:    cfg.HTTPCAFile,
		CertFile:  cfg.HTTPCertFile,
		KeyFile:   cfg.HTTPKeyFile,
		Live:      cfg.HTTPLive,
		Gzip:      cfg.HTTPGzip,
	}, log)
}
