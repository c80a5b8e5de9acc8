/* And those that do not, listed or not. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
long f(const char *name)
{
    struct stat s;
    struct tm tm;
    time_t t;
    char room[100];
    long n = 0;
    if (stat(name, &s) == 0)
        n += s.st_size + read(0, room, sizeof room);
    time(&t);
    localtime_r(&t, &tm);
    return n + (long)strlen(room) + tm.tm_sec;
}
