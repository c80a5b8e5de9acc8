/* The argument of a thread. */
#include <pthread.h>
static void *body(void *arg)
{
    return arg;
}
int f(void)
{
    int x = 1;
    pthread_t t;
    pthread_create(&t, 0, body, &x);
    pthread_join(t, 0);
    return x;
}
