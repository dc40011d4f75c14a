package e2e_test

import (
	"fmt"
	"regexp"
	"testing"
)

// In small, on a real containerd: identify's own tests have a thousand.
func TestContainersThatComeAndGoAreForgotten(t *testing.T) {
	e := knowing(t)
	run(t, direct, app, cat).leavesAtOnce()
	e.recorded()
	before := map[string]string{"exectape_containers": "", "exectape_identify_watches": ""}
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
		scraped(t, metric, value)
	}
}

// leavesAtOnce ends a session whose command ends with its stdin.
func (u *user) leavesAtOnce() {
	u.t.Helper()
	u.endsStdin()
	u.leaves()
}

// metricOf returns a metric's value.
func metricOf(t *testing.T, metric string) string {
	t.Helper()
	value := regexp.MustCompile(`(?m)^` + metric + ` (.+)$`).FindStringSubmatch(fetch(t, "/metrics"))
	if value == nil {
		t.Fatalf("there is no %s", metric)
	}
	return value[1]
}
