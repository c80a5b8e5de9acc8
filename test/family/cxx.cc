/* cxx.cc: operators new and delete in all their forms, and the new handler.
 *
 * The operators may be the C++ library's, on our malloc, or ours; what they do
 * is the same.
 */
#include "case.h"

#include <map>
#include <memory>
#include <new>
#include <string>
#include <vector>

static void *use(void *p, size_t n, size_t align)
{
    EXPECT(p && aligned_to(p, align), "%p, %zu bytes", p, n);
    EXPECT(malloc_usable_size(p) >= n, "%p, %zu bytes", p, n);
    memset(p, 1, n);
    return hide(p);
}

#define EACH_SIZE for (size_t n = 0; n < MIB(1); n = n * 3 / 2 + 1)

CASE(plain)
{
    EACH_SIZE {
        operator delete(use(operator new(n), n, 16));
        operator delete[](use(operator new[](n), n, 16));
    }
    operator delete(nullptr);
    operator delete[](nullptr);
}

CASE(sized)
{
    EACH_SIZE {
        operator delete(use(operator new(n), n, 16), n);
        operator delete[](use(operator new[](n), n, 16), n);
    }
    operator delete(nullptr, (size_t)16);
}

CASE(nothrow)
{
    EACH_SIZE {
        operator delete(use(operator new(n, std::nothrow), n, 16),
                        std::nothrow);
        operator delete[](use(operator new[](n, std::nothrow), n, 16),
                          std::nothrow);
    }
    void *p = operator new(hide_size(SIZE_MAX / 2 + 1), std::nothrow);
    void *q = operator new[](hide_size(SIZE_MAX - 100), std::nothrow);
    EXPECT(!p && !q, "%p %p", p, q);
}

CASE(aligned)
{
    for (size_t a = 1; a <= MIB(1); a *= 4)
        EACH_SIZE {
            std::align_val_t v{a};
            operator delete(use(operator new(n, v), n, a), v);
            operator delete[](use(operator new[](n, v), n, a), v);
            operator delete(use(operator new(n, v), n, a), n, v);
            operator delete[](use(operator new[](n, v), n, a), n, v);
            operator delete(use(operator new(n, v, std::nothrow), n, a), v,
                            std::nothrow);
            operator delete[](use(operator new[](n, v, std::nothrow), n, a), v,
                              std::nothrow);
        }
}

CASE(throws)
{
    int caught = 0;
    try {
        hide(operator new(hide_size(SIZE_MAX / 2 + 1)));
    } catch (const std::bad_alloc &) {
        caught++;
    }
    try {
        hide(operator new[](hide_size(SIZE_MAX - 8)));
    } catch (const std::bad_alloc &) {
        caught++;
    }
    try {
        hide(operator new(hide_size(SIZE_MAX / 2 + 1), std::align_val_t{64}));
    } catch (const std::bad_alloc &) {
        caught++;
    }
    EXPECT(caught == 3, "%d of 3", caught);
}

static int handled;

static void give_up_at_three(void)
{
    if (++handled == 3)
        std::set_new_handler(nullptr);
}

static void throws_itself(void)
{
    handled++;
    throw std::bad_alloc();
}

CASE(the_handler_is_called_until_it_gives_up)
{
    std::set_new_handler(give_up_at_three);
    void *p = operator new(hide_size(SIZE_MAX / 2 + 1), std::nothrow);
    EXPECT(!p && handled == 3, "%p, %d times", p, handled);
    handled = 0;
    std::set_new_handler(give_up_at_three);
    p = operator new[](hide_size(SIZE_MAX / 2 + 1), std::align_val_t{128},
                       std::nothrow);
    EXPECT(!p && handled == 3, "%p, %d times", p, handled);
    handled = 0;
    std::set_new_handler(give_up_at_three);
    try {
        hide(operator new(hide_size(SIZE_MAX / 2 + 1)));
    } catch (const std::bad_alloc &) {
        handled += 100;
    }
    EXPECT(handled == 103, "%d", handled);
}

CASE(the_handler_throws)
{
    std::set_new_handler(throws_itself);
    void *p = operator new(hide_size(SIZE_MAX / 2 + 1), std::nothrow);
    EXPECT(!p && handled == 1, "%p, %d times", p, handled);
}

struct alignas(256) wide {
    char byte[300];
};

CASE(containers)
{
    std::map<int, std::string> m;
    std::vector<std::unique_ptr<wide>> v;
    for (int i = 0; i < 20000; i++) {
        m[i * 7919 % 20011] = std::string((size_t)(i % 300), 'x');
        if (i % 16 == 0)
            v.push_back(std::make_unique<wide>());
    }
    for (auto &w : v)
        EXPECT(aligned_to(w.get(), 256), "%p", (void *)w.get());
    size_t sum = 0;
    for (auto &e : m)
        sum += e.second.size();
    size_t want = 0;
    for (int i = 0; i < 20000; i++)
        want += (size_t)(i % 300);
    EXPECT(sum == want, "%zu, not %zu", sum, want);
}

struct on_exit_frees {
    std::string text = std::string(1000, 'y');
    ~on_exit_frees() { delete[] new char[text.size()]; }
};

static on_exit_frees global;
static thread_local on_exit_frees local;

CASE(destructors_of_threads_and_globals)
{
    EXPECT(global.text.size() + local.text.size() == 2000, "sizes");
}
