// gcbench: see bench/gcbench.c, of which this is the same program.
package main

import (
	"runtime"

	"bench/meter"
)

type node struct {
	left, right *node
	depth, mark int32
}

const shallowest, timed = 4, 6

var m meter.Meter

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

func populateTimed(n *node, depth uint) {
	if depth < timed {
		populate(n, depth)
	} else if depth > timed {
		depth--
		n.left = &node{depth: int32(depth)}
		n.right = &node{depth: int32(depth)}
		populateTimed(n.left, depth)
		populateTimed(n.right, depth)
	} else {
		start := meter.Now()
		populate(n, depth)
		m.Add(meter.Now() - start)
	}
}

func treeDown(depth uint) *node {
	n := &node{depth: int32(depth)}
	populateTimed(n, depth)
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

func treeUp(depth uint) *node {
	if depth < timed {
		return makeTree(depth)
	}
	if depth > timed {
		left := treeUp(depth - 1)
		right := treeUp(depth - 1)
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

func construct(depth, stretch uint) (check uint64) {
	times := 2 * nodesOfDepth(stretch) / nodesOfDepth(depth)
	for i := uint64(0); i < times; i++ {
		check += uint64(treeDown(depth).left.depth)
	}
	for i := uint64(0); i < times; i++ {
		check += uint64(treeUp(depth).right.depth)
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
	check := uint64(treeUp(stretch).depth)
	kept := treeDown(live)
	array := numbers(8 << live)
	for d := uint(shallowest); d <= live; d += 2 {
		check = meter.Scramble(check + construct(d, stretch))
	}
	check = meter.Scramble(check + kept.sum())
	check = meter.Scramble(check + uint64(1e9*array[len(array)/4]))
	meter.Report(&m, check)
	runtime.KeepAlive(kept)
	runtime.KeepAlive(array)
}
