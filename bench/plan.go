package main

import (
	"exectape/bench/contender"
	"exectape/bench/content"
	"exectape/bench/hand"
)

// A plan is what is measured. In each round every load is put on each of its
// contenders, one after the other, and in each round another is the first.
type plan struct {
	rounds int
	loads  []planned
}

type planned struct {
	load
	on     []contender.Contender
	rounds int // fewer than the plan's, for what takes long; 0: all
}

const mebibyte = 1 << 20

// with returns ours, which is exectape on one way or on both, and others.
func with(ours []contender.Contender, others ...contender.Contender) []contender.Contender {
	return append(others, ours...)
}

// full takes at most 15 minutes, on two cores.
func full(ours []contender.Contender) plan {
	all := with(ours, contender.Direct, contender.Splice, contender.Copy, contender.HAProxy, contender.Tailscale)
	some := with(ours, contender.Splice, contender.Copy, contender.Tailscale)
	// Of what knows no SPDY. So does the Tailscale conn not where something is
	// typed and there is no terminal: it takes that for a header block, and fails.
	pipes := with(ours, contender.Direct, contender.Splice, contender.Copy, contender.HAProxy)
	return plan{rounds: 5, loads: []planned{
		{load: download("bulk text", hand.SPDY, content.Text, 1, 256*mebibyte), on: all},
		{load: printing("bulk text, Kubernetes' ends", content.Text, 128*mebibyte), on: all},
		{load: asciinema("bulk text", content.Text, 32*mebibyte), on: []contender.Contender{contender.Asciinema}},
		{load: download("redraw", hand.SPDY, content.Redraw, 1, 64*mebibyte), on: some},
		{load: asciinema("redraw", content.Redraw, 32*mebibyte), on: []contender.Contender{contender.Asciinema}},
		{load: download("binary", hand.SPDY, content.Binary, 1, 64*mebibyte), on: some},
		{load: download("bulk text, 8 at once", hand.SPDY, content.Text, 8, 32*mebibyte), on: some},
		{load: upload(256 * mebibyte), on: pipes},
		{load: echo(2000), on: pipes},
		{load: setUp(500), on: all},
		{load: idle(200, 0), on: with(ours, contender.Splice, contender.HAProxy, contender.Tailscale)},
		{load: idle(1000, 3), on: with(ours, contender.Splice)},
		{load: idle(5000, 0), on: ours},
		{load: download("bulk text, WebSocket", hand.WebSocket, content.Text, 1, 128*mebibyte), on: pipes},
		{load: echoByHand(2000), on: pipes},
		{load: churn(100_000), on: ours[:1], rounds: 1},
	}}
}

// quick takes at most two minutes, and has what the table needs.
func quick(ours []contender.Contender) plan {
	three := with(ours, contender.Splice, contender.Copy, contender.Tailscale)
	two := with(ours, contender.Splice, contender.Tailscale)
	return plan{rounds: 5, loads: []planned{
		{load: download("bulk text", hand.SPDY, content.Text, 1, 96*mebibyte), on: three},
		{load: printing("bulk text, Kubernetes' ends", content.Text, 48*mebibyte), on: with(ours, contender.Splice)},
		{load: download("redraw", hand.SPDY, content.Redraw, 1, 24*mebibyte), on: with(ours, contender.Tailscale)},
		{load: download("binary", hand.SPDY, content.Binary, 1, 24*mebibyte), on: with(ours, contender.Tailscale)},
		{load: upload(96 * mebibyte), on: with(ours, contender.Splice)},
		{load: echo(500), on: with(ours, contender.Splice)},
		{load: setUp(200), on: two},
		{load: idle(1000, 2), on: with(ours, contender.Splice), rounds: 3},
		{load: idle(5000, 0), on: ours, rounds: 1},
		{load: churn(10_000), on: ours, rounds: 1},
	}}
}
