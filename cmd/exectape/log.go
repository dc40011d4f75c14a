package main

import (
	"io"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// newLogger logs all that happened: it drops no repeated lines, and prints no
// stacks.
func newLogger(cfg config, w io.Writer) *zap.Logger {
	enc := zap.NewProductionEncoderConfig()
	enc.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	enc.EncodeDuration = zapcore.StringDurationEncoder
	encoder := zapcore.NewJSONEncoder(enc)
	if cfg.LogFormat == "console" {
		encoder = zapcore.NewConsoleEncoder(enc)
	}
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(w)), cfg.LogLevel))
}

// sampledLines is how often a message that any client can cause is logged in a
// second.
const sampledLines = 20

// sampled returns a logger that writes no message more often than that. When one
// gets through again, log says how many lines did not.
func sampled(log *zap.Logger) *zap.Logger {
	var dropped atomic.Int64
	hook := func(_ zapcore.Entry, d zapcore.SamplingDecision) {
		if d&zapcore.LogDropped != 0 {
			dropped.Add(1)
		} else if n := dropped.Swap(0); n > 0 {
			log.Warn("lines left out of the log: there were too many alike", zap.Int64("lines", n))
		}
	}
	return log.WithOptions(zap.WrapCore(func(c zapcore.Core) zapcore.Core {
		return zapcore.NewSamplerWithOptions(c, time.Second, sampledLines, 0, zapcore.SamplerHook(hook))
	}))
}
