// Package trees has the trees of gcbench and mt-gcbench: see bench/trees.h,
// of which this is the same.
package trees

import "bench/meter"

type Node struct {
	Left, Right *Node
	Depth, mark int32
}

const Shallowest, timed = 4, 6

func NodesOfDepth(depth uint) uint64 { return 2<<depth - 1 }

func populate(n *Node, depth uint) {
	if depth == 0 {
		return
	}
	depth--
	n.Left = &Node{Depth: int32(depth)}
	n.Right = &Node{Depth: int32(depth)}
	populate(n.Left, depth)
	populate(n.Right, depth)
}

func populateTimed(m *meter.Meter, n *Node, depth uint) {
	if depth < timed {
		populate(n, depth)
	} else if depth > timed {
		depth--
		n.Left = &Node{Depth: int32(depth)}
		n.Right = &Node{Depth: int32(depth)}
		populateTimed(m, n.Left, depth)
		populateTimed(m, n.Right, depth)
	} else {
		start := meter.Now()
		populate(n, depth)
		m.Add(meter.Now() - start)
	}
}

func Down(m *meter.Meter, depth uint) *Node {
	n := &Node{Depth: int32(depth)}
	populateTimed(m, n, depth)
	return n
}

func makeTree(depth uint) *Node {
	if depth == 0 {
		return new(Node)
	}
	left := makeTree(depth - 1)
	right := makeTree(depth - 1)
	return &Node{Left: left, Right: right, Depth: int32(depth)}
}

func Up(m *meter.Meter, depth uint) *Node {
	if depth < timed {
		return makeTree(depth)
	}
	if depth > timed {
		left := Up(m, depth-1)
		right := Up(m, depth-1)
		return &Node{Left: left, Right: right, Depth: int32(depth)}
	}
	start := meter.Now()
	n := makeTree(depth)
	m.Add(meter.Now() - start)
	return n
}

func (n *Node) Sum() uint64 {
	sum := uint64(n.Depth) + 1
	if n.Left != nil {
		sum += n.Left.Sum() + n.Right.Sum()
	}
	return sum
}
