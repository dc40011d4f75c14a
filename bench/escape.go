package main

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"

	"exectape/bench/contender"
)

// escape has package cast compare its escaping with the table it began with, so
// often, in turns within one thread. It knows no contender: us is whose table the
// figures are for.
func escape(source string, times int, us []contender.Contender) (all []Cell, err error) {
	test := exec.Command("go", "test", "-run", "^$", "-bench", "^BenchmarkEscape$", "-cpu", "1", "-count", strconv.Itoa(times), "-benchtime", "0.5s", "./cast")
	test.Dir = source
	said, err := test.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%v: %w\n%s", test, err, said)
	}
	rounds := make(map[string]int)
	for line := range strings.Lines(string(said)) {
		fields := strings.Fields(line)
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "BenchmarkEscape/") {
			continue
		}
		load := "escape " + strings.TrimPrefix(fields[0], "BenchmarkEscape/")
		rounds[load]++
		for i := 3; i < len(fields); i += 2 {
			if fields[i] != "times-the-table" {
				continue
			}
			factor, err := strconv.ParseFloat(fields[i-1], 64)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", line, err)
			}
			for _, c := range us {
				all = append(all, Cell{Round: rounds[load], Load: load, Contender: c.Name, Times: factor})
			}
		}
	}
	return all, nil
}
