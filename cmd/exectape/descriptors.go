package main

import (
	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"exectape/intercept"
)

// A recorded session has its client, its target, and its cast.
const descriptorsPerSession = 3

// warnOfDescriptors says so if there are fewer than the limits need. The soft
// limit is of no interest: Go's runtime raises it to the hard one.
func warnOfDescriptors(cfg config, log *zap.Logger) {
	need := uint64(descriptorsPerSession*cfg.MaxSessions + intercept.MaxQuiet)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		log.Warn("limit of open files", zap.Error(err))
		return
	}
	if limit.Cur < need {
		log.Warn("this process may open too few files; raise its hard limit, or lower EXECTAPE_MAX_SESSIONS",
			zap.Uint64("limit", limit.Cur), zap.Uint64("needed", need))
	}
}
