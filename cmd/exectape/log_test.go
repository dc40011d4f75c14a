package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
)

func TestAFloodIsLoggedInPartAndSaysHowMuchIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		log := newLogger(config{LogFormat: "json"}, &out)
		noise := sampled(log)
		for range 1000 {
			noise.Warn("refused")
			log.Info("session started")
		}
		noise.Warn("another message")
		time.Sleep(time.Second)
		noise.Warn("refused", zap.String("which", "last"))

		for message, want := range map[string]int{"refused": sampledLines + 1, "session started": 1000, "another message": 1} {
			if got := strings.Count(out.String(), `"msg":"`+message+`"`); got != want {
				t.Errorf("%d lines %q, want %d", got, message, want)
			}
		}
		if want := `"lines":980}`; !strings.Contains(out.String(), want) {
			t.Errorf("no line has %s", want)
		}
		if !strings.Contains(out.String(), `"which":"last"`) {
			t.Error("a second later the log is still silent")
		}
	})
}
