/* Functions of the system that keep what they get. */
#include <stdio.h>
#include <stdlib.h>
void f(FILE *to)
{
    char name[] = "A=1", room[BUFSIZ];
    putenv(name);
    setvbuf(to, room, _IOFBF, sizeof room);
}
