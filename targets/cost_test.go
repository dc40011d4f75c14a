package targets

import "testing"

// What is done four times a second.
func BenchmarkLookingAtWhatListens(b *testing.B) {
	for b.Loop() {
		if _, err := listening(); err != nil {
			b.Fatal(err)
		}
	}
}

// What is done when that has changed. It costs by the processes of the machine
// that it runs on.
func BenchmarkLookingAtAllProcesses(b *testing.B) {
	for b.Loop() {
		c, err := count("/proc")
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(c.seen), "processes")
	}
}
