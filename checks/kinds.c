/* SPDX-License-Identifier: MIT */
/* What the rows of kinds_i.h say, for those who ask at run time. */
#include "kinds_i.h"

#include <string.h>

#include "checks_part.h"

const struct check_kind check_kinds[] = {
#define ROW(id, name, is_leak, says, repair) { name, is_leak, says, repair },
    CHECKS_KINDS(ROW)
#undef ROW
        { 0 },
};

const struct check_kind *check_kind_find(const char *name)
{
    const struct check_kind *kind = check_kinds;

    while (kind->name && strcmp(kind->name, name))
        kind++;
    return kind->name ? kind : NULL;
}
