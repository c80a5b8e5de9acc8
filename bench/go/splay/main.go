// splay: see bench/splay.c, of which this is the same program.
package main

import "bench/meter"

type payload struct {
	numbers []int32
	text    string
}

type node struct {
	left, right *node
	payload     *payload
	key         uint64
}

const numbers, signs = 10, 16

var (
	m    meter.Meter
	root *node
)

func newPayload(key uint64) *payload {
	p := &payload{numbers: make([]int32, numbers)}
	for i := range p.numbers {
		p.numbers[i] = int32(i)
	}
	var text [signs]byte
	for i := range text {
		text[i] = "0123456789abcdef"[key>>(60-4*i)&15]
	}
	p.text = string(text[:])
	return p
}

func (n *node) sum() uint64 {
	sum := n.key
	for _, v := range n.payload.numbers {
		sum += uint64(v)
	}
	return meter.Scramble(sum + uint64(n.payload.text[sum%signs]))
}

func splay(key uint64) {
	var edge node
	t, less, more := root, &edge, &edge
	for key != t.key {
		if key < t.key {
			if c := t.left; c != nil && key < c.key {
				t.left = c.right
				c.right = t
				t = c
			}
			if t.left == nil {
				break
			}
			more.left = t
			more = t
			t = t.left
		} else {
			if c := t.right; c != nil && key > c.key {
				t.right = c.left
				c.left = t
				t = c
			}
			if t.right == nil {
				break
			}
			less.right = t
			less = t
			t = t.right
		}
	}
	less.right = t.left
	more.left = t.right
	t.left = edge.right
	t.right = edge.left
	root = t
}

func insert(key uint64) bool {
	if root != nil {
		splay(key)
		if root.key == key {
			return false
		}
	}
	n := &node{payload: newPayload(key), key: key}
	if root != nil && key > root.key {
		n.left = root
		n.right = root.right
		root.right = nil
	} else if root != nil {
		n.right = root
		n.left = root.left
		root.left = nil
	}
	root = n
	return true
}

func keyBeforeRoot() uint64 {
	n := root.left
	if n == nil {
		return root.key
	}
	for n.right != nil {
		n = n.right
	}
	return n.key
}

func remove(key uint64) uint64 {
	splay(key)
	gone, right := root, root.right
	if gone.left != nil {
		root = gone.left
		splay(key)
		root.right = right
	} else {
		root = right
	}
	return gone.sum()
}

func insertOne(seed *uint64) {
	for {
		key := meter.Scramble(*seed)
		*seed++
		if insert(key) {
			return
		}
	}
}

func end() (sum uint64) {
	for root != nil {
		sum = meter.Scramble(sum + remove(0))
	}
	return
}

func main() {
	nodes := meter.Size(1, "number of nodes")
	ops := meter.Size(2, "number of operations")
	check, seed := uint64(0), uint64(0)
	for i := uint64(0); i < nodes; i++ {
		insertOne(&seed)
	}
	last := meter.Now()
	for i := uint64(0); i < ops; i++ {
		insertOne(&seed)
		check += remove(keyBeforeRoot())
		m.Lap(&last)
	}
	meter.Report(&m, meter.Scramble(check+end()))
}
