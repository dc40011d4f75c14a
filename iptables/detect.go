package iptables

import (
	"context"
	"errors"
	"fmt"
)

// hints are chains that a kubelet keeps in table mangle, in the backend that
// it uses, for others to find. An older one has only the second.
var hints = [...]string{"KUBE-IPTABLES-HINT", "KUBE-KUBELET-CANARY"}

// detect returns the backend that the node's kubelet uses and the commands of
// every backend that works. Where no kubelet is, the backend is the first that
// does. A backend that is installed and can't be read may be the kubelet's:
// then there is no guessing.
func detect(ctx context.Context) (Backend, []commands, error) {
	var works []commands
	var absent, broken []error
	kubelet := Auto
	for _, backend := range [...]Backend{NFT, Legacy} {
		installed, err := backend.commands()
		if err != nil {
			absent = append(absent, err)
			continue
		}
		hint, err := hinted(ctx, installed)
		if err != nil {
			broken = append(broken, err)
			continue
		}
		works = append(works, installed...)
		if hint && kubelet == Auto {
			kubelet = backend
		}
	}
	switch {
	case kubelet != Auto:
		return kubelet, works, nil
	case len(broken) > 0:
		return Auto, nil, fmt.Errorf("can't tell which backend the node's kubelet uses: %w; put that right, or choose nft or legacy", errors.Join(broken...))
	case len(works) == 0:
		return Auto, nil, errors.Join(absent...)
	}
	return works[0].backend, works, nil
}

// hinted reports whether a kubelet has left a hint in either family.
func hinted(ctx context.Context, all []commands) (bool, error) {
	for _, c := range all {
		mangle, err := c.read(ctx, "mangle")
		if err != nil {
			return false, err
		}
		for _, chain := range hints {
			if mangle.has(chain) {
				return true, nil
			}
		}
	}
	return false, nil
}
