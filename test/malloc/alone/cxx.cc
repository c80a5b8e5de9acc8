// cxx.cc: operators new and delete in all forms, with and without memory.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

static int bad;
#define CHECK(x) \
    ((x) ? (void)0 : (void)(bad = 1, printf("%d: not so: %s\n", __LINE__, #x)))

static size_t hide(size_t n)
{
    __asm__ volatile("" : "+r"(n));
    return n;
}

struct alignas(256) wide {
    char c[300];
};

static int asked;
static void handler()
{
    if (++asked == 3)
        std::set_new_handler(nullptr);
}

static void forms()
{
    for (size_t n = 0; n < 100000; n += n / 5 + 1) {
        char *p = static_cast<char *>(::operator new(n));
        memset(p, 1, n);
        ::operator delete(p, n);
        p = static_cast<char *>(::operator new[](n, std::nothrow));
        CHECK(p);
        ::operator delete[](p, std::nothrow);
        p = static_cast<char *>(::operator new(n, std::align_val_t(128)));
        CHECK(reinterpret_cast<uintptr_t>(p) % 128 == 0);
        ::operator delete(p, n, std::align_val_t(128));
        p = static_cast<char *>(
            ::operator new[](n, std::align_val_t(4096), std::nothrow));
        CHECK(reinterpret_cast<uintptr_t>(p) % 4096 == 0);
        ::operator delete[](p, std::align_val_t(4096));
    }
    auto w = std::make_unique<wide[]>(10);
    CHECK(reinterpret_cast<uintptr_t>(w.get()) % 256 == 0);
}

static void without_memory()
{
    size_t much = hide(size_t(1) << 46);
    bool thrown = false;
    CHECK(!::operator new(much, std::nothrow));
    CHECK(!::operator new[](much, std::align_val_t(64), std::nothrow));
    std::set_new_handler(handler);
    try {
        void *p = ::operator new(much);
        ::operator delete(p);
    } catch (const std::bad_alloc &) {
        thrown = true;
    }
    CHECK(thrown && asked == 3);
    thrown = false;
    try {
        void *p = ::operator new(much, std::align_val_t(64));
        ::operator delete(p, std::align_val_t(64));
    } catch (const std::bad_alloc &) {
        thrown = true;
    }
    CHECK(thrown);
}

static thread_local std::string late = "of this thread";

static void containers()
{
    std::vector<std::thread> threads;
    for (int i = 0; i < 20; i++)
        threads.emplace_back([i] {
            std::unordered_map<int, std::string> m;
            for (int k = 0; k < 5000; k++)
                m[k] = std::to_string(k * i);
            late += m[77] + std::string(1000, 'x');
            if (m[77] != std::to_string(77 * i))
                bad = 1;
        });
    for (auto &t : threads)
        t.join();
}

static std::vector<std::string> before_main(1000, std::string(100, 'b'));

int main()
{
    forms();
    without_memory();
    containers();
    CHECK(before_main[999].size() == 100);
    return bad;
}
