package cluster_test

import "testing"

func TestWhatPeopleDoWithKubectl(t *testing.T) {
	needsCluster(t)
	each(t, func(s scenario, u user) { u.t.Log(s.run(u).short()) })
}
