package e2e_test

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"testing"
)

// In small, on a real containerd: identify's own tests have a thousand.
func TestContainersThatComeAndGoAreForgotten(t *testing.T) {
	e := knowing(t)
	run(t, direct, app, cat).leavesAtOnce()
	e.recorded()
	before := map[string]int{"exectape_containers": 0, "exectape_identify_watches": 0}
	for metric := range before {
		before[metric] = metricOf(t, metric)
	}
	for i := range 10 {
		t.Run(fmt.Sprint("pod ", i), func(t *testing.T) { // which is removed at its end
			c := container(t, pod(t, "passing"), "app", sleeper)
			run(t, direct, c, cat).leavesAtOnce()
			if whose := e.on(t).recorded().Identity; whose.ContainerID != c.ID() {
				t.Errorf("the session is known as %+v", whose)
			}
		})
	}
	for metric, value := range before {
		// It may have been more then: what that session's exec took is let go of
		// beside it.
		eventually(t, fmt.Sprintf("%s is %d again, or less", metric, value), func(context.Context) bool {
			return metricOf(t, metric) <= value
		})
	}
}

// leavesAtOnce ends a session whose command ends with its stdin.
func (u *user) leavesAtOnce() {
	u.t.Helper()
	u.endsStdin()
	u.leaves()
}

// metricOf returns a metric's value.
func metricOf(t *testing.T, metric string) int {
	t.Helper()
	value := regexp.MustCompile(`(?m)^` + metric + ` ([0-9]+)$`).FindStringSubmatch(fetch(t, "/metrics"))
	if value == nil {
		t.Fatalf("there is no %s", metric)
	}
	n, err := strconv.Atoi(value[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}
