package e2e_test

import (
	"net/url"
	"testing"

	"exectape/e2e/kubelet"
)

// A way leads a kubelet through exectape.
type way struct {
	name    string
	env     []string // what it takes of exectape
	kubelet kubelet.Kubelet
}

var (
	byNFT = way{
		name: "REDIRECT by iptables-nft",
		env:  []string{"EXECTAPE_IPTABLES=nft"},
	}
	byLegacy = way{
		name: "REDIRECT by iptables-legacy",
		env:  []string{"EXECTAPE_IPTABLES=legacy"},
	}
	bySOCKS5 = way{
		name:    "SOCKS5",
		env:     []string{"EXECTAPE_IPTABLES=off", "EXECTAPE_SOCKS5_LISTEN=127.0.0.1:1080"},
		kubelet: kubelet.Kubelet{Proxy: &url.URL{Scheme: "socks5", Host: "127.0.0.1:1080"}},
	}
)

var ways = []way{byNFT, byLegacy, bySOCKS5}

// direct is how a kubelet gets to the runtime by itself. A rule may redirect it
// all the same.
var direct kubelet.Kubelet

// byEachWay runs a test for each way, with exectape in it.
func byEachWay(t *testing.T, test func(*testing.T, way, *exectape)) {
	t.Helper()
	needsNode(t)
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) { test(t, w, start(t, w.env...)) })
	}
}
