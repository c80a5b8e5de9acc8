// mt-gcbench: see bench/mt-gcbench.c, of which this is the same program.
package main

import (
	"runtime"
	"sync"

	"bench/meter"
)

type node struct {
	left, right *node
	depth, mark int32
}

type worker struct {
	number, check uint64
	meter         meter.Meter
}

const shallowest, timed = 4, 6

var (
	shared  *node
	deepest uint
)

func nodesOfDepth(depth uint) uint64 { return 2<<depth - 1 }

func populate(n *node, depth uint) {
	if depth == 0 {
		return
	}
	depth--
	n.left = &node{depth: int32(depth)}
	n.right = &node{depth: int32(depth)}
	populate(n.left, depth)
	populate(n.right, depth)
}

func populateTimed(m *meter.Meter, n *node, depth uint) {
	if depth < timed {
		populate(n, depth)
	} else if depth > timed {
		depth--
		n.left = &node{depth: int32(depth)}
		n.right = &node{depth: int32(depth)}
		populateTimed(m, n.left, depth)
		populateTimed(m, n.right, depth)
	} else {
		start := meter.Now()
		populate(n, depth)
		m.Add(meter.Now() - start)
	}
}

func treeDown(m *meter.Meter, depth uint) *node {
	n := &node{depth: int32(depth)}
	populateTimed(m, n, depth)
	return n
}

func makeTree(depth uint) *node {
	if depth == 0 {
		return new(node)
	}
	left := makeTree(depth - 1)
	right := makeTree(depth - 1)
	return &node{left: left, right: right, depth: int32(depth)}
}

func treeUp(m *meter.Meter, depth uint) *node {
	if depth < timed {
		return makeTree(depth)
	}
	if depth > timed {
		left := treeUp(m, depth-1)
		right := treeUp(m, depth-1)
		return &node{left: left, right: right, depth: int32(depth)}
	}
	start := meter.Now()
	n := makeTree(depth)
	m.Add(meter.Now() - start)
	return n
}

func (n *node) sum() uint64 {
	sum := uint64(n.depth) + 1
	if n.left != nil {
		sum += n.left.sum() + n.right.sum()
	}
	return sum
}

func sharedWalk(path uint64) (sum uint64) {
	for n := shared; n != nil; path /= 2 {
		sum = 3*sum + uint64(n.depth) + path%2
		if path%2 != 0 {
			n = n.left
		} else {
			n = n.right
		}
	}
	return
}

func (w *worker) construct(depth uint) {
	times := 2 * nodesOfDepth(deepest) / nodesOfDepth(depth)
	for i := uint64(0); i < 2*times; i++ {
		var n *node
		if i < times {
			n = treeDown(&w.meter, depth)
		} else {
			n = treeUp(&w.meter, depth)
		}
		w.check += uint64(n.left.depth)
		w.check += sharedWalk(meter.Scramble(w.check + w.number))
	}
}

func main() {
	var all meter.Meter
	var wait sync.WaitGroup
	check := uint64(0)
	deepest = uint(meter.Size(1, "depth"))
	workers := make([]worker, meter.Threads(2))
	shared = treeDown(&all, deepest)
	for i := range workers {
		w := &workers[i]
		w.number = uint64(i)
		wait.Add(1)
		go func() {
			for d := uint(shallowest); d <= deepest; d += 2 {
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
	meter.Report(&all, meter.Scramble(check+shared.sum()))
	runtime.KeepAlive(shared)
}
