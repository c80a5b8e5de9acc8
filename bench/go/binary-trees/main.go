// binary-trees: see bench/binary-trees.c, of which this is the same program.
package main

import "bench/meter"

type tree struct{ left, right *tree }

const shallowest, timed = 4, 6

var m meter.Meter

func grow(depth uint) *tree {
	if depth == 0 {
		return new(tree)
	}
	left := grow(depth - 1)
	right := grow(depth - 1)
	return &tree{left, right}
}

func growTimed(depth uint) *tree {
	if depth < timed {
		return grow(depth)
	}
	if depth > timed {
		left := growTimed(depth - 1)
		right := growTimed(depth - 1)
		return &tree{left, right}
	}
	start := meter.Now()
	t := grow(depth)
	m.Add(meter.Now() - start)
	return t
}

func (t *tree) count() uint64 {
	if t.left == nil {
		return 1
	}
	return 1 + t.left.count() + t.right.count()
}

func main() {
	deepest := uint(meter.Size(1, "depth"))
	check := meter.Scramble(growTimed(deepest + 1).count())
	kept := growTimed(deepest)
	for d := uint(shallowest); d <= deepest; d += 2 {
		n := uint64(0)
		for i := 0; i < 1<<(deepest-d+shallowest); i++ {
			n += growTimed(d).count()
		}
		check = meter.Scramble(check + n)
	}
	check = meter.Scramble(check + kept.count())
	meter.Report(&m, check)
}
