// mt-gcbench: see bench/mt-gcbench.c, of which this is the same program.
package main

import (
	"runtime"
	"sync"

	"bench/meter"
	"bench/trees"
)

type worker struct {
	number, check uint64
	meter         meter.Meter
}

var (
	shared  *trees.Node
	deepest uint
)

func sharedWalk(path uint64) (sum uint64) {
	for n := shared; n != nil; path /= 2 {
		sum = 3*sum + uint64(n.Depth) + path%2
		if path%2 != 0 {
			n = n.Left
		} else {
			n = n.Right
		}
	}
	return
}

func (w *worker) construct(depth uint) {
	times := 2 * trees.NodesOfDepth(deepest) / trees.NodesOfDepth(depth)
	for i := uint64(0); i < 2*times; i++ {
		var n *trees.Node
		if i < times {
			n = trees.Down(&w.meter, depth)
		} else {
			n = trees.Up(&w.meter, depth)
		}
		w.check += uint64(n.Left.Depth)
		w.check += sharedWalk(meter.Scramble(w.check + w.number))
	}
}

func main() {
	var all meter.Meter
	var wait sync.WaitGroup
	check := uint64(0)
	deepest = uint(meter.Size(1, "depth"))
	workers := make([]worker, meter.Threads(2))
	shared = trees.Down(&all, deepest)
	for i := range workers {
		w := &workers[i]
		w.number = uint64(i)
		wait.Add(1)
		go func() {
			for d := uint(trees.Shallowest); d <= deepest; d += 2 {
				w.construct(d)
			}
			wait.Done()
		}()
	}
	wait.Wait()
	for i := range workers {
		all.Merge(&workers[i].meter)
		check = meter.Scramble(check + workers[i].check)
	}
	meter.Report(&all, meter.Scramble(check+shared.Sum()))
	runtime.KeepAlive(shared)
}
