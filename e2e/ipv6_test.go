package e2e_test

import (
	"net/netip"
	"testing"

	"exectape/e2e/kubelet"
	"exectape/e2e/node"
)

func TestARuntimeMayListenOnIPv6(t *testing.T) {
	needsNode(t)
	ctx := patiently(t)
	streaming := netip.MustParseAddrPort("[::1]:34567")
	second, err := node.Start(ctx, streaming)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := second.Close(); err != nil {
			t.Error(err)
		}
	})
	pod, err := second.RunPod(ctx, "annex")
	if err != nil {
		t.Fatal(err)
	}
	container, err := pod.RunContainer(ctx, "app", cat)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			e := start(t, append(w.env, "EXECTAPE_TARGETS="+streaming.String())...)
			got := run(t, w.kubelet, container, kubelet.Process{Command: shell("echo out; echo err >&2; exit 3")}).leaves()
			wantSame(t, "the user's stdout", got.stdout, []byte("out\n"))
			wantSame(t, "the user's stderr", got.stderr, []byte("err\n"))
			r := e.recorded()
			r.wantAnswer(got)
			if r.Target != streaming {
				t.Errorf("the recorded target is %v, want %v", r.Target, streaming)
			}
		})
	}
}
