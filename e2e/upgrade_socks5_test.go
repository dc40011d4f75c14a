package e2e_test

import (
	"context"
	"testing"
)

// Where no rule leads to either, both are at one address.
func TestAYoungerSharesTheEldersSOCKS5Address(t *testing.T) {
	needsNode(t)
	e := start(t, bySOCKS5.env...)
	u := run(t, bySOCKS5.kubelet, app, cat)
	u.types("before\n")
	u.sees("before\n")
	elder := e.follow()
	const between = 8 // of which the kernel gives some to one and some to the other
	for range between {
		wantSame(t, "the user's stdout", hello(t, bySOCKS5.kubelet).stdout, []byte("hello\n"))
	}
	elder.Terminate()
	u.types("after\n")
	u.sees("after\n")
	u.endsStdin()
	u.leaves()
	ends(t, elder)
	hello(t, bySOCKS5.kubelet)
	eventually(t, "each session has a cast", func(context.Context) bool { return len(e.files(".cast")) == between+2 })
}
