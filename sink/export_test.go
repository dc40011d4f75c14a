package sink

import "context"

// FinishedStem is for tests.
var FinishedStem = finishedStem

// MakeRoom is for tests.
func (d *Dir) MakeRoom(ctx context.Context) error { return d.makeRoom(ctx) }
