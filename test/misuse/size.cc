// size.cc: the size that is told at the free is not the block's; C++.
extern "C" {
#undef _GNU_SOURCE
#include "misuse.h"
}
#include <new>

struct small { char c[24]; };
struct large { char c[400]; };

template <class F> static F find(const char *name)
{
    F f = reinterpret_cast<F>(dlsym(RTLD_DEFAULT, name));
    if (!f)
        _exit(WENT_ON);
    return f;
}

static void sized(size_t n, size_t given)
{
    find<void (*)(void *, size_t)>("free_sized")(hide(malloc(n)), given);
}

static void aligned_sized(size_t n, size_t given)
{
    void *p = aligned_alloc(64, n);
    find<void (*)(void *, size_t, size_t)>("free_aligned_sized")(hide(p), 64,
                                                               given);
}

static void delete_as_larger(size_t, size_t)
{
    small *s = new small;
    delete static_cast<large *>(hide(s));
}

static void delete_as_smaller(size_t, size_t)
{
    large *s = new large;
    delete static_cast<small *>(hide(s));
}

static void delete_of_size(size_t n, size_t given)
{
    ::operator delete(hide(::operator new(n)), given);
}

static void delete_array_of_size(size_t n, size_t given)
{
    ::operator delete[](hide(::operator new[](n)), given);
}

static void delete_aligned(size_t n, size_t given)
{
    std::align_val_t a{64};
    ::operator delete(hide(::operator new(n, a)), given, a);
}

static void delete_twice(size_t, size_t)
{
    int *p = new int[30];
    ::operator delete[](hide(p));
    ::operator delete[](hide(p));
}

static void delete_sized_twice(size_t n, size_t)
{
    void *p = ::operator new(n);
    ::operator delete(hide(p), n);
    ::operator delete(hide(p), n);
}

static void delete_inside(size_t n, size_t by)
{
    char *p = static_cast<char *>(::operator new(n));
    memset(p, 0, n);
    ::operator delete(hide(p + by));
}

#define FS "free_sized"
#define FAS "free_aligned_sized"
CASES(
    {"sized_too_large", sized, 100, 1000, FS, SIZE, SIZE},
    {"sized_too_small", sized, 1000, 100, FS, SIZE, SIZE},
    {"sized_by_1", sized, 100, 99, FS, MISSED, SIZE},
    {"sized_large_for_small", sized, 100, MIB(1), FS, SIZE, SIZE},
    {"sized_small_for_large", sized, MIB(1), 100, FS, SIZE, SIZE},
    {"sized_large_for_large", sized, MIB(1), MIB(2), FS, SIZE, SIZE},
    {"aligned_sized", aligned_sized, 128, 4096, FAS, SIZE, SIZE},
    {"delete_as_larger", delete_as_larger, 0, 0, "delete", MISSED, SIZE},
    {"delete_as_smaller", delete_as_smaller, 0, 0, "delete", MISSED, SIZE},
    {"delete_of_size", delete_of_size, 100, 1000, "delete", MISSED, SIZE},
    {"delete_of_size_large", delete_of_size, MIB(1), 100, "delete", MISSED,
     SIZE},
    {"delete_array_of_size", delete_array_of_size, 64, 65, "delete", MISSED,
     SIZE},
    {"delete_aligned", delete_aligned, 128, 64, "delete", MISSED, SIZE},
    {"delete_twice", delete_twice, 0, 0, "free", FREED, FREED},
    {"delete_sized_twice", delete_sized_twice, 100, 0, "delete", FREED, FREED},
    {"delete_inside", delete_inside, 100, 16, "free", INSIDE, INSIDE},
)
