// finalizers: see bench/finalizers.c, of which this is the same program.
package main

import (
	"runtime"
	"sync/atomic"
	"time"

	"bench/meter"
)

type thing struct {
	text   []byte
	number uint64
}

const textSize, tries = 48, 20

var (
	m         meter.Meter
	pattern   [256 + textSize]byte
	slots     []*thing
	made      uint64
	runs, sum atomic.Uint64
)

func gone(number uint64) {
	runs.Add(1)
	sum.Add(number)
}

func newThing() *thing {
	t := &thing{make([]byte, textSize), made}
	made++
	copy(t.text, pattern[t.number%256:])
	runtime.AddCleanup(t, gone, t.number)
	return t
}

func replace(at **thing, t *thing) uint64 {
	old := *at
	found := uint64(old.text[old.number%textSize]) + old.number
	*at = t
	return found
}

func settle() bool {
	now := runs.Load()
	for before := now + 1; now != before; {
		before = now
		time.Sleep(time.Millisecond)
		now = runs.Load()
	}
	return now >= made-made/100
}

func empty() uint64 {
	for i := range slots {
		replace(&slots[i], nil)
	}
	most := false
	for i := 0; i < tries && !most; i++ {
		runtime.GC()
		most = settle()
	}
	all, r, s := made*(made-1)/2, runs.Load(), sum.Load()
	if most && r <= made && s <= all && (r < made || s == all) {
		return 1
	}
	return 0
}

func begin(n uint64) {
	meter.ScrambleBytes(pattern[:])
	slots = make([]*thing, n)
	for i := range slots {
		slots[i] = newThing()
	}
}

func main() {
	n := meter.Size(1, "number of slots")
	ops := meter.Size(2, "number of operations")
	check := uint64(0)
	begin(n)
	last := meter.Now()
	for i := uint64(0); i < ops; i++ {
		check += replace(&slots[meter.Scramble(n+i)%n], newThing())
		m.Lap(&last)
	}
	check = meter.Scramble(check + empty())
	meter.Report(&m, meter.Scramble(check+made))
	runtime.KeepAlive(slots)
}
