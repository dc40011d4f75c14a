package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"exectape/bench/contender"
)

// limit is how long one cell may take.
const limit = 5 * time.Minute

// A bench is where a plan is carried out.
type bench struct {
	dir      string // for what contenders write
	exectape string // the program
	runtime  *playedRuntime
	report   func(Cell)
}

// run carries out a plan and returns all cells.
func (b bench) run(p plan) (all []Cell, err error) {
	for round := range p.rounds {
		for _, l := range p.loads {
			if l.rounds > 0 && round >= l.rounds {
				continue
			}
			for i := range l.on {
				c, err := b.cell(round+1, l.load, l.on[(i+round)%len(l.on)])
				if err != nil {
					return all, err
				}
				b.report(c)
				all = append(all, c)
			}
		}
	}
	return all, nil
}

// cell puts a load on a contender that is started for it. What goes wrong once
// it runs is in the cell.
func (b bench) cell(round int, l load, on contender.Contender) (c Cell, err error) {
	c = Cell{Round: round, Load: l.name, Contender: on.Name}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	dir, err := os.MkdirTemp(b.dir, "cell-")
	if err != nil {
		return c, err
	}
	defer os.RemoveAll(dir)
	way, err := on.Start(ctx, contender.Place{Target: b.runtime.Streaming, Dir: dir, Exectape: b.exectape})
	if err != nil {
		return c, err
	}
	err = l.run(ctx, scene{b.runtime, way, dir}, &c)
	if err == nil && on.Records && c.Casts == 0 {
		err = verify(filepath.Join(dir, "casts"), l.want, &c, c.Sessions)
	}
	if err := errors.Join(err, way.Stop()); err != nil {
		c.Error = err.Error()
	}
	return c, nil
}
