/* links: os
 * What the machine or the control group allows. */
#include "../check.h"
#include "../../src/os/os.h"

TEST(limit_is_within_the_machine)
{
    uint64_t limit = os_memory_limit();
    CHECK(limit > 0);
    CHECK(limit <= os_physical_memory());
}

TEST(resident_is_what_was_touched)
{
    uint64_t before = os_resident();
    char *p = os_map(MIB(32));
    CHECK(p);
    CHECK(os_resident() - before < MIB(8));
    for (size_t i = 0; i < MIB(32); i += 4096)
        p[i] = 1;
    CHECK(os_resident() - before > MIB(24));
    os_unmap(p, MIB(32));
}
