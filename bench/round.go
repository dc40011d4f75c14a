package main

import (
	"context"
	"errors"
	"io/fs"
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
	defer empty(dir)
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

// empty takes from files what is in them. They are removed with all others when
// the bench is over: an ext4 without a journal passes over inodes that were freed
// in the last minutes, one by one, and so makes whoever creates files pay for the
// cells before.
func empty(dir string) {
	_ = filepath.WalkDir(dir, func(path string, f fs.DirEntry, err error) error {
		if err == nil && f.Type().IsRegular() {
			_ = os.Truncate(path, 0) // or it takes room for a while longer
		}
		return nil
	})
}
