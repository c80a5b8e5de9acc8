/* process.c: forks, starts of programs, and limits of address space.
 *
 * A child of fork has only the thread that forked, and may use the whole
 * family, whatever the others were doing.
 */
#define _GNU_SOURCE
#include "case.h"

#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>

extern char **environ;

static void work(unsigned seed, int rounds)
{
    void *p[32] = {NULL};
    for (int i = 0; i < rounds; i++) {
        seed = seed * 1103515245 + 12345;
        unsigned k = seed >> 16 & 31;
        free(p[k]);
        p[k] = hide(malloc(seed >> 8 & (k < 30 ? 2047 : 0x1ffff)));
    }
    for (int i = 0; i < 32; i++)
        free(p[i]);
}

static atomic_int stop;

static void *works(void *arg)
{
    for (unsigned i = 0; !stop; i++)
        work((unsigned)(uintptr_t)arg + i, 300);
    return NULL;
}

static void *works_a_little(void *arg)
{
    work((unsigned)(uintptr_t)arg, 2000);
    return NULL;
}

static void start(pthread_t *t, int many)
{
    for (int i = 0; i < many; i++)
        EXPECT(!pthread_create(&t[i], NULL, works, (void *)(uintptr_t)i),
               "thread");
}

static void join(pthread_t *t, int many)
{
    stop = 1;
    for (int i = 0; i < many; i++)
        pthread_join(t[i], NULL);
}

static void child_is_well(pid_t child)
{
    int status;
    EXPECT(child > 0, "errno %d", errno);
    EXPECT(waitpid(child, &status, 0) == child && !status, "status %x",
           (unsigned)status);
}

CASE(fork_beside_threads)
{
    pthread_t t[4];
    start(t, 4);
    char *mine = malloc(5000);
    fill(mine, 5000, 1);
    for (int i = 0; i < 200; i++) {
        pid_t child = fork();
        if (!child) {
            alarm(20);
            EXPECT(filled(mine, 5000, 1) == 5000, "in the child");
            free(mine);
            work((unsigned)i, 3000);
            _exit(0);
        }
        child_is_well(child);
    }
    join(t, 4);
}

CASE(the_child_of_a_fork_has_threads)
{
    pthread_t t[3];
    start(t, 3);
    for (int i = 0; i < 50; i++) {
        pid_t child = fork();
        if (!child) {
            pthread_t u[3];
            alarm(20);
            for (int k = 0; k < 3; k++)
                EXPECT(!pthread_create(&u[k], NULL, works_a_little, NULL),
                       "thread");
            work(1, 1000);
            for (int k = 0; k < 3; k++)
                pthread_join(u[k], NULL);
            exit(0);
        }
        child_is_well(child);
    }
    join(t, 3);
}

static void nested(int depth)
{
    pthread_t t;
    EXPECT(!pthread_create(&t, NULL, works, NULL), "thread");
    work((unsigned)depth, 2000);
    if (depth) {
        pid_t child = fork();
        if (!child) {
            alarm(20);
            nested(depth - 1);
            _exit(0);
        }
        child_is_well(child);
    }
}

CASE(forks_within_forks)
{
    for (int i = 0; i < 10; i++) {
        pid_t child = fork();
        if (!child) {
            nested(6);
            _exit(0);
        }
        child_is_well(child);
    }
}

static void *forks(void *arg)
{
    for (int i = 0; i < 30; i++) {
        pid_t child = fork();
        if (!child) {
            alarm(20);
            work((unsigned)i, 500);
            _exit(0);
        }
        child_is_well(child);
    }
    return arg;
}

CASE(many_threads_fork)
{
    pthread_t t[3], f[4];
    start(t, 3);
    for (int i = 0; i < 4; i++)
        EXPECT(!pthread_create(&f[i], NULL, forks, NULL), "thread");
    for (int i = 0; i < 4; i++)
        pthread_join(f[i], NULL);
    join(t, 3);
}

/* Handlers of the program run before ours, or after: both must do. */
static void takes(void) { work(99, 100); }

CASE(handlers_of_fork_allocate)
{
    pthread_t t[3];
    EXPECT(!pthread_atfork(takes, takes, takes), "atfork");
    start(t, 3);
    forks(NULL);
    join(t, 3);
}

__attribute__((constructor)) static void early_handlers(void)
{
    if (getenv("MALLOC_EARLY_ATFORK"))
        pthread_atfork(takes, takes, takes);
}

CASE(memory_does_not_grow_with_forks)
{
    for (int i = 0; i < 3; i++)
        forks(NULL);
    size_t before = resident();
    for (int i = 0; i < 10; i++)
        forks(NULL);
    EXPECT(resident() < before + MIB(4), "%zu KiB more",
           (resident() - before) >> 10);
}

CASE(vfork_and_spawn)
{
    pthread_t t[3];
    char name[] = "true", *argv[] = {name, NULL};
    start(t, 3);
    for (int i = 0; i < 50; i++) {
        pid_t child;
        if (i % 2) {
            EXPECT(!posix_spawnp(&child, name, NULL, NULL, argv, environ),
                   "spawn");
        } else if (!(child = vfork())) {
            execvp(name, argv);
            _exit(1);
        }
        child_is_well(child);
    }
    FILE *f = popen("echo hello", "r");
    char text[10] = "";
    EXPECT(f && fgets(text, sizeof text, f) && !strcmp(text, "hello\n"), "%s",
           text);
    pclose(f);
    join(t, 3);
}

/* ---- Limits ------------------------------------------------------------ */

/* The process is started anew, since what is mapped already counts too. */
static int limited(const char *name, int which, size_t bytes)
{
    struct rlimit r = {bytes, bytes};
    char here[4096] = "";
    if (getenv("MALLOC_LIMITED"))
        return 1;
    EXPECT(!setenv("MALLOC_LIMITED", "1", 1), "setenv");
    EXPECT(!setrlimit(which, &r), "errno %d", errno);
    EXPECT(readlink("/proc/self/exe", here, sizeof here - 1) > 0, "no name");
    execl(here, here, name, (char *)NULL);
    EXPECT(0, "errno %d", errno);
    return 0;
}

CASE(works_within_128_mib)
{
    if (!limited(__func__, RLIMIT_AS, MIB(128)))
        return;
    pthread_t t[2];
    pthread_attr_t a;
    pthread_attr_init(&a);
    pthread_attr_setstacksize(&a, KIB(128));
    for (int i = 0; i < 2; i++)
        EXPECT(!pthread_create(&t[i], &a, works_a_little, NULL), "thread");
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
    static char *p[1000];
    for (size_t i = 0; i < COUNT(p); i++) {
        EXPECT((p[i] = hide(malloc(i * 40))), "no memory at %zu", i);
        fill(p[i], i * 40, (unsigned)i);
    }
    for (size_t i = 0; i < COUNT(p); i++)
        EXPECT(filled(p[i], i * 40, (unsigned)i) == i * 40, "%zu", i);
}

/* Blocks of n bytes till there is no more: bytes taken. */
struct chain {
    struct chain *next;
};

static size_t take_all(struct chain **list, size_t n)
{
    size_t sum = 0;
    struct chain *c;
    errno = 0;
    while ((c = hide(malloc(n)))) {
        c->next = *list;
        *list = c;
        EXPECT((sum += n) < MIB(1024), "the limit does not hold");
    }
    EXPECT(errno == ENOMEM, "errno %d", errno);
    return sum;
}

static void give_all(struct chain *c)
{
    while (c) {
        struct chain *next = c->next;
        free(c);
        c = next;
    }
}

static void use_up(size_t n)
{
    struct chain *list = NULL;
    size_t sum = take_all(&list, n);
    /* Hardened: 8 bytes behind each block, which may cost a size class. */
    size_t least = MIB(hardened() ? 64 : 100);
    EXPECT(sum > least, "only %zu MiB of 256, by %zu", sum >> 20, n);
    EXPECT(!hide(calloc(1, MIB(64))) && errno == ENOMEM, "errno %d", errno);
    EXPECT(!hide(realloc(NULL, MIB(64))) && errno == ENOMEM, "%d", errno);
    void *p;
    EXPECT(posix_memalign(&p, 64, MIB(64)) == ENOMEM, "posix_memalign");
    give_all(list);
}

CASE(no_memory_and_then_reuse)
{
    if (!limited(__func__, RLIMIT_AS, MIB(256)))
        return;
    use_up(KIB(64));
    use_up(MIB(1));
    use_up(KIB(10));
    use_up(KIB(64));
}

CASE(no_memory_and_then_one_large_block)
{
    if (!limited(__func__, RLIMIT_AS, MIB(256)))
        return;
    use_up(KIB(64));
    char *p = hide(malloc(MIB(100)));
    EXPECT(p, "100 of 256 MiB after all was freed");
    memset(p, 1, MIB(100));
    free(p);
}

CASE(no_memory_for_small_ones)
{
    if (!limited(__func__, RLIMIT_AS, MIB(256)))
        return;
    use_up(48);
    char *p = hide(malloc(MIB(60)));
    EXPECT(p, "60 of 256 MiB after all was freed");
    free(p);
    use_up(200);
}

CASE(realloc_without_memory_keeps_the_block)
{
    if (!limited(__func__, RLIMIT_AS, MIB(256)))
        return;
    unsigned char *p = malloc(MIB(1));
    struct chain *list = NULL;
    fill(p, MIB(1), 3);
    take_all(&list, KIB(64));
    EXPECT(!hide(realloc(p, MIB(100))) && errno == ENOMEM, "%d", errno);
    EXPECT(filled(p, MIB(1), 3) == MIB(1), "changed");
    give_all(list);
    free(p);
}

static void *uses_up(void *arg)
{
    for (int i = 0; i < 5; i++) {
        struct chain *list = NULL, *c;
        while ((c = hide(malloc(KIB(20))))) {
            c->next = list;
            list = c;
        }
        give_all(list);
    }
    return arg;
}

CASE(no_memory_in_many_threads)
{
    if (!limited(__func__, RLIMIT_AS, MIB(256)))
        return;
    pthread_t t[4];
    pthread_attr_t a;
    pthread_attr_init(&a);
    pthread_attr_setstacksize(&a, KIB(128));
    for (int i = 0; i < 4; i++)
        EXPECT(!pthread_create(&t[i], &a, uses_up, NULL), "thread");
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    EXPECT(hide(malloc(MIB(1))), "nothing after all was freed");
}

/* A program that limits itself has not mapped much yet. */
CASE(a_limit_set_while_running)
{
    struct rlimit r = {MIB(256), MIB(256)};
    free(hide(malloc(100)));
    EXPECT(!setrlimit(RLIMIT_AS, &r), "errno %d", errno);
    use_up(KIB(64));
    EXPECT(hide(malloc(MIB(60))), "60 of 256 MiB after all was freed");
}

CASE(works_within_a_limit_of_data)
{
    if (!limited(__func__, RLIMIT_DATA, MIB(64)))
        return;
    struct chain *list = NULL;
    size_t sum = take_all(&list, KIB(64));
    EXPECT(sum > MIB(32), "only %zu MiB of 64", sum >> 20);
    give_all(list);
    EXPECT(hide(malloc(MIB(20))), "nothing after all was freed");
}
