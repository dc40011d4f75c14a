package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"

	"exectape/bench/contender"
)

// A row is one of the promises that exectape makes about what it costs.
type row struct {
	measure string
	load    string
	than    string // the contender that it is compared with; "": none
	value   func(ours, theirs Cell) float64
	least   float64
	aim     float64
	less    bool // is better
}

// rows are the promises, in the order of the table.
var rows = []row{
	{"bulk text, throughput / splice proxy", "bulk text", contender.Splice.Name, ratio(throughput), 0.80, 1.0, false},
	{"the same, with client-go and cri-streaming", "bulk text, Kubernetes' ends", contender.Splice.Name, ratio(throughput), 0.80, 1.0, false},
	{"bulk text, throughput / Tailscale conn", "bulk text", contender.Tailscale.Name, ratio(throughput), 2.3, 4, false},
	{"bulk text, CPU per GiB / Tailscale conn", "bulk text", contender.Tailscale.Name, ratio(perGiB), 0.35, 0.20, true},
	{"redraw, CPU per GiB / Tailscale conn", "redraw", contender.Tailscale.Name, ratio(perGiB), 0.35, 0.20, true},
	{"binary download, CPU per GiB / Tailscale conn", "binary", contender.Tailscale.Name, ratio(perGiB), 0.15, 0.08, true},
	{"bulk text, CPU per GiB / io.Copy proxy", "bulk text", contender.Copy.Name, ratio(perGiB), 2.6, 1.5, true},
	{"upload, throughput / splice proxy", "upload", contender.Splice.Name, ratio(throughput), 0.95, 1.1, false},
	{"echo p50 / splice proxy", "echo", contender.Splice.Name, ratio(func(c Cell) float64 { return c.P50 }), 1.05, 1.0, true},
	{"echo p99 / splice proxy", "echo", contender.Splice.Name, ratio(func(c Cell) float64 { return c.P99 }), 1.3, 1.1, true},
	{"session set-up, identity off, rate / splice proxy", "set-up", contender.Splice.Name, ratio(rate), 0.8, 1.2, false},
	{"session set-up, identity off, CPU / Tailscale conn", "set-up", contender.Tailscale.Name, ratio(perSession), 0.7, 0.4, true},
	{"RSS per idle session of 5000, KiB", "idle 5000", "", ours(func(c Cell) float64 { return c.IdleRSS }), 20, 10, true},
	{"descriptors per idle session", "idle 5000", "", ours(func(c Cell) float64 { return c.Descriptors }), 3, 3, true},
	{"CPU per line, 1000 idle sessions at 1/s, / splice proxy", "idle 1000", contender.Splice.Name, ratio(perLine), 1.2, 1.0, true},
	{"escaping text, MB per CPU second / the table version", "escape text", "", ours(func(c Cell) float64 { return c.Times }), 2, 5, false},
	{"escaping ANSI, MB per CPU second / the table version", "escape ansi", "", ours(func(c Cell) float64 { return c.Times }), 2, 5, false},
	{"RSS after all short sessions / after the first 1000", "churn", "", ours(func(c Cell) float64 { return float64(c.RSS) / float64(c.EarlyRSS) }), 1.1, 1.0, true},
}

func ratio(of func(Cell) float64) func(ours, theirs Cell) float64 {
	return func(ours, theirs Cell) float64 { return of(ours) / of(theirs) }
}

func ours(of func(Cell) float64) func(ours, theirs Cell) float64 {
	return func(ours, _ Cell) float64 { return of(ours) }
}

func throughput(c Cell) float64 { return float64(c.Bytes) / c.Seconds }
func perGiB(c Cell) float64     { return c.CPU / float64(c.Bytes) * (1 << 30) }
func rate(c Cell) float64       { return float64(c.Sessions) / c.Seconds }
func perSession(c Cell) float64 { return c.CPU / float64(c.Sessions) }
func perLine(c Cell) float64    { return c.CPU / float64(c.Lines) }

// A spread is what a measure came to in the rounds.
type spread struct{ min, median, max float64 }

func spreadOf(values []float64) spread {
	slices.Sort(values)
	n := len(values)
	return spread{values[0], (values[(n-1)/2] + values[n/2]) / 2, values[n-1]}
}

// values compares the contender called us with the row's, round by round.
func (r row) values(all []Cell, us string) (values []float64) {
	for _, c := range all {
		if c.Load != r.load || c.Contender != us || c.Error != "" {
			continue
		}
		if r.than == "" {
			values = append(values, r.value(c, Cell{}))
			continue
		}
		for _, other := range all {
			if other.Round == c.Round && other.Load == c.Load && other.Contender == r.than && other.Error == "" {
				values = append(values, r.value(c, other))
			}
		}
	}
	return values
}

// verdict compares a median as it is printed: 5000 sessions and one socket more
// make 3.0002 descriptors each.
func (r row) verdict(median float64) string {
	median = math.Round(median*100) / 100
	better := func(limit float64) bool {
		if r.less {
			return median <= limit
		}
		return median >= limit
	}
	switch {
	case better(r.aim):
		return "passes, as aimed for"
	case better(r.least):
		return "passes"
	}
	return "falls short"
}

// printTable prints how the contender called us keeps the promises.
func printTable(w io.Writer, all []Cell, us string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s\tat least\taim\tmin\tmedian\tmax\t\n", us)
	for _, r := range rows {
		values := r.values(all, us)
		if len(values) == 0 {
			fmt.Fprintf(t, "%s\t%.4g\t%.4g\t-\t-\t-\tnot measured\n", r.measure, r.least, r.aim)
			continue
		}
		s := spreadOf(values)
		fmt.Fprintf(t, "%s\t%.4g\t%.4g\t%.3g\t%.3g\t%.3g\t%s\n", r.measure, r.least, r.aim, s.min, s.median, s.max, r.verdict(s.median))
	}
	return t.Flush()
}

// printFigures prints the medians behind the ratios, for every contender.
func printFigures(w io.Writer, all []Cell) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "load\tcontender\tMB/s\tCPU s/GiB\tsessions/s\tCPU ms/session\tp50 µs\tp99 µs\tCPU µs/line\tKiB/session\tfds/session\t")
	for _, group := range groups(all) {
		fmt.Fprintf(t, "%s\t%s\t", group[0].Load, group[0].Contender)
		for _, figure := range figures {
			fmt.Fprintf(t, "%s\t", figure.of(group))
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}

// groups are the cells of one load and contender each.
func groups(all []Cell) (groups [][]Cell) {
	at := make(map[[2]string]int)
	for _, c := range all {
		key := [2]string{c.Load, c.Contender}
		if _, known := at[key]; !known {
			at[key] = len(groups)
			groups = append(groups, nil)
		}
		groups[at[key]] = append(groups[at[key]], c)
	}
	return groups
}

// A figure is a column of what printFigures prints.
type figure struct {
	has   func(Cell) bool
	value func(Cell) float64
}

var figures = []figure{
	{func(c Cell) bool { return c.Bytes > 0 }, func(c Cell) float64 { return throughput(c) / 1e6 }},
	{func(c Cell) bool { return c.Bytes > 0 && c.CPU > 0 }, perGiB},
	{func(c Cell) bool { return c.Load == "set-up" || c.Load == "churn" }, rate},
	{func(c Cell) bool { return (c.Load == "set-up" || c.Load == "churn") && c.CPU > 0 }, func(c Cell) float64 { return perSession(c) * 1e3 }},
	{func(c Cell) bool { return c.P50 > 0 }, func(c Cell) float64 { return c.P50 }},
	{func(c Cell) bool { return c.P99 > 0 }, func(c Cell) float64 { return c.P99 }},
	{func(c Cell) bool { return c.Lines > 0 && c.CPU > 0 }, func(c Cell) float64 { return perLine(c) * 1e6 }},
	{func(c Cell) bool { return c.Descriptors > 0 }, func(c Cell) float64 { return c.IdleRSS }},
	{func(c Cell) bool { return c.Descriptors > 0 }, func(c Cell) float64 { return c.Descriptors }},
}

func (f figure) of(group []Cell) string {
	var values []float64
	for _, c := range group {
		if c.Error == "" && f.has(c) {
			values = append(values, f.value(c))
		}
	}
	if len(values) == 0 {
		return ""
	}
	return fmt.Sprintf("%.3g", spreadOf(values).median)
}
