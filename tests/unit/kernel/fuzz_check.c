/* SPDX-License-Identifier: MIT */
/* The harness's checks where there is no CUnit run, in fuzz targets: a failed one is a crash. */
#include <stdio.h>
#include <stdlib.h>

#include <CUnit/CUnit.h>

CU_BOOL CU_assertImplementation(CU_BOOL value, unsigned line, const char *condition,
                                const char *file, const char *function, CU_BOOL fatal)
{
    (void)function;
    (void)fatal;
    if (value)
        return CU_TRUE;
    fprintf(stderr, "%s:%u: %s\n", file, line, condition);
    abort();
}
