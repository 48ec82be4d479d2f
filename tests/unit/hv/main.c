/* SPDX-License-Identifier: MIT */
/* Runs the suites named on the command line, or all. --list prints one sentence per test. */
#include <CUnit/Basic.h>

#include "harness.h"
#include "rows.h"

static const struct test_suite *const suites[] = {
    &suite_smoke, &suite_map, &suite_map_place, &suite_unmap, &suite_copy, &suite_copy_v2, &suite_table, &suite_version,
    &suite_transfer, &suite_misc, &suite_evtchn, &suite_memory, &suite_life, &suite_physmap, &suite_foreign,
    &suite_audit, &suite_faults, &suite_golden, &suite_rows, &suite_hooks, &suite_hostmap,
};
#define NR_SUITES (sizeof suites / sizeof *suites)

static void list(void)
{
    for (size_t s = 0; s < NR_SUITES; s++)
        for (const struct test_case *t = suites[s]->cases; t->name; t++)
            printf("%s: %s%s%s\n", suites[s]->name, t->name, *t->rows ? "\t" : "", t->rows);
}

static bool wanted(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], name))
            return true;
    return argc == 1;
}

int main(int argc, char **argv)
{
    unsigned failures;

    if (argc == 2 && !strcmp(argv[1], "--list")) {
        list();
        return 0;
    }
    rows_use(suites, NR_SUITES);
    if (CU_initialize_registry())
        return 1;
    for (size_t s = 0; s < NR_SUITES; s++) {
        CU_pSuite suite;

        if (!wanted(suites[s]->name, argc, argv))
            continue;
        suite = CU_add_suite(suites[s]->name, NULL, NULL);
        for (const struct test_case *t = suites[s]->cases; suite && t->name; t++)
            if (!CU_add_test(suite, t->name, t->run))
                return 1;
    }
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    failures = CU_get_number_of_failures() + (CU_get_number_of_tests_run() == 0);
    CU_cleanup_registry();
    return failures != 0;
}
