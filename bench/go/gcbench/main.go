// gcbench: see bench/gcbench.c, of which this is the same program.
package main

import (
	"runtime"

	"bench/meter"
	"bench/trees"
)

var m meter.Meter

func construct(depth, stretch uint) (check uint64) {
	times := 2 * trees.NodesOfDepth(stretch) / trees.NodesOfDepth(depth)
	for i := uint64(0); i < times; i++ {
		check += uint64(trees.Down(&m, depth).Left.Depth)
	}
	for i := uint64(0); i < times; i++ {
		check += uint64(trees.Up(&m, depth).Right.Depth)
	}
	return
}

func numbers(n int) []float64 {
	a := make([]float64, n)
	for i := range a {
		if i < n/2 {
			a[i] = 1 / float64(i+1)
		}
	}
	return a
}

func main() {
	live := uint(meter.Size(1, "depth"))
	stretch := live + 2
	check := uint64(trees.Up(&m, stretch).Depth)
	kept := trees.Down(&m, live)
	array := numbers(8 << live)
	for d := uint(trees.Shallowest); d <= live; d += 2 {
		check = meter.Scramble(check + construct(d, stretch))
	}
	check = meter.Scramble(check + kept.Sum())
	check = meter.Scramble(check + uint64(1e9*array[len(array)/4]))
	meter.Report(&m, check)
	runtime.KeepAlive(kept)
	runtime.KeepAlive(array)
}
