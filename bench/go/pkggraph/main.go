// pkggraph: see bench/pkggraph.c, of which this is the same program.
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"bench/meter"
)

type provide struct {
	next *provide
	by   *version
}

type alternative struct {
	next     *alternative
	target   *pkg
	relation string
}

type depend struct {
	next *depend
	alts *alternative
}

type version struct {
	next    *version
	pkg     *pkg
	depends *depend
	number  string
}

type pkg struct {
	chain, next *pkg
	name        string
	versions    *version
	providers   *provide
	hash, id    uint64
}

type index struct {
	buckets, list []*pkg
	first         *pkg
	names, listed uint64
}

type step struct {
	next    *step
	version *version
}

type loader struct {
	ix      *index
	version *version
	last    *depend
	lastPkg *pkg
}

const buckets = 1 << 16

var current atomic.Pointer[index]

// ---- Names

func hashBytes[T string | []byte](h uint64, s T) uint64 {
	for i := 0; i < len(s); i++ {
		h = (h ^ uint64(s[i])) * 0x100000001b3
	}
	return h
}

func (l *loader) named(name []byte) *pkg {
	h := meter.Scramble(hashBytes(uint64(len(name)), name))
	s := &l.ix.buckets[h%buckets]
	for p := *s; p != nil; p = p.chain {
		if p.hash == h && p.name == string(name) {
			return p
		}
	}
	p := &pkg{name: string(name), chain: *s, hash: h, id: l.ix.names}
	*s = p
	if l.lastPkg != nil {
		l.lastPkg.next = p
	} else {
		l.ix.first = p
	}
	l.lastPkg = p
	l.ix.names++
	return p
}

// ---- Relations

// span is how far s goes without one of those signs.
func span(s []byte, signs string) int {
	for i, c := range s {
		for j := 0; j < len(signs); j++ {
			if c == signs[j] {
				return i
			}
		}
	}
	return len(s)
}

// target cuts the next target off s.
func (l *loader) target(s []byte) (p *pkg, relation, rest []byte) {
	for len(s) > 0 && s[0] == ' ' {
		s = s[1:]
	}
	whole, name := span(s, ",|"), span(s, " :(,|")
	if open := bytes.IndexByte(s[:whole], '('); open >= 0 {
		shut := bytes.IndexByte(s[open:whole], ')')
		relation = s[open : open+shut+1]
	}
	if name > 0 {
		p = l.named(s[:name])
	}
	return p, relation, s[whole:]
}

func (l *loader) addDepend(d *depend) {
	if l.last != nil {
		l.last.next = d
	} else {
		l.version.depends = d
	}
	l.last = d
}

func (l *loader) depends(s []byte) {
	var last *alternative
	for len(s) > 0 {
		target, relation, rest := l.target(s)
		s = rest
		if target != nil {
			a := &alternative{target: target}
			if len(relation) > 0 {
				a.relation = string(relation)
			}
			if last != nil {
				last.next = a
			} else {
				l.addDepend(&depend{alts: a})
			}
			last = a
		}
		if len(s) > 0 {
			if s[0] == ',' {
				last = nil
			}
			s = s[1:]
		}
	}
}

func (l *loader) provides(s []byte) {
	for len(s) > 0 {
		target, _, rest := l.target(s)
		s = rest
		if len(s) > 0 {
			s = s[1:]
		}
		if target != nil {
			target.providers = &provide{target.providers, l.version}
		}
	}
}

// ---- Loading

func (l *loader) begin(name []byte) {
	p := l.named(name[:span(name, " ")])
	if p.versions == nil {
		l.ix.list[l.ix.listed] = p
		l.ix.listed++
	}
	v := &version{next: p.versions, pkg: p}
	p.versions = v
	l.version = v
	l.last = nil
}

func (l *loader) line(line []byte) {
	if s, ok := bytes.CutPrefix(line, []byte("Package: ")); ok {
		l.begin(s)
	} else if s, ok := bytes.CutPrefix(line, []byte("Version: ")); ok {
		l.version.number = string(s)
	} else if s, ok := bytes.CutPrefix(line, []byte("Pre-Depends: ")); ok {
		l.depends(s)
	} else if s, ok := bytes.CutPrefix(line, []byte("Depends: ")); ok {
		l.depends(s)
	} else if s, ok := bytes.CutPrefix(line, []byte("Provides: ")); ok {
		l.provides(s)
	}
}

func must(err error) {
	if err != nil && err != io.EOF {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

// reader is made once, as the C program's line buffer is.  It is longer than
// the longest line.
var reader = bufio.NewReaderSize(nil, 1<<20)

func eachLine(f *os.File, fn func([]byte)) {
	_, err := f.Seek(0, io.SeekStart)
	must(err)
	reader.Reset(f)
	for {
		line, err := reader.ReadSlice('\n')
		must(err)
		if len(line) > 0 {
			fn(bytes.TrimSuffix(line, []byte("\n")))
		}
		if err != nil {
			return
		}
	}
}

func load(path string) *index {
	f, err := os.Open(path)
	must(err)
	defer f.Close()
	count := 0
	eachLine(f, func(line []byte) {
		if bytes.HasPrefix(line, []byte("Package: ")) {
			count++
		}
	})
	l := loader{ix: &index{buckets: make([]*pkg, buckets),
		list: make([]*pkg, count)}}
	eachLine(f, l.line)
	return l.ix
}

// ---- Queries

func (d *depend) satisfier() *version {
	for a := d.alts; a != nil; a = a.next {
		if a.target.versions != nil {
			return a.target.versions
		}
	}
	for a := d.alts; a != nil; a = a.next {
		if a.target.providers != nil {
			return a.target.providers.by
		}
	}
	return nil
}

func addStep(last *step, v *version, seen []byte) *step {
	id := v.pkg.id
	if seen[id/8]&(1<<(id%8)) != 0 {
		return last
	}
	seen[id/8] |= 1 << (id % 8)
	s := &step{version: v}
	if last != nil {
		last.next = s
	}
	return s
}

func closure(ix *index, p *pkg) (sum uint64) {
	seen := make([]byte, ix.names/8+1)
	last := addStep(nil, p.versions, seen)
	for s := last; s != nil; s = s.next {
		v := s.version
		for d := v.depends; d != nil; d = d.next {
			if next := d.satisfier(); next != nil {
				last = addStep(last, next, seen)
			}
		}
		sum += hashBytes(v.pkg.hash, v.number)
	}
	return
}

type worker struct {
	number, check uint64
	meter         meter.Meter
}

func (w *worker) run(queries uint64) {
	for i := uint64(0); i < queries; i++ {
		start, r := meter.Now(), meter.Scramble(w.number*queries+i)
		ix := current.Load()
		w.check += meter.Scramble(closure(ix, ix.list[r%ix.listed]))
		w.meter.Add(meter.Now() - start)
	}
}

func main() {
	loads := meter.Size(2, "number of loads")
	workers := make([]worker, meter.Threads(3))
	queries := meter.Size(4, "queries of each thread")
	var all meter.Meter
	var wait sync.WaitGroup
	check := uint64(0)
	current.Store(load(os.Args[1]))
	for i := range workers {
		w := &workers[i]
		w.number = uint64(i)
		wait.Add(1)
		go func() { w.run(queries); wait.Done() }()
	}
	for i := uint64(1); i < loads; i++ {
		current.Store(load(os.Args[1]))
	}
	wait.Wait()
	for i := range workers {
		all.Merge(&workers[i].meter)
		check += workers[i].check
	}
	meter.Report(&all, meter.Scramble(check+current.Load().names))
}
