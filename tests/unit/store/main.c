/* SPDX-License-Identifier: MIT */
/* Runs the suites named on the command line, or all. --list prints one sentence per test. */
#include <CUnit/Basic.h>

#include "harness.h"

static const struct test_suite *const suites[] = {
    &suite_wire,         &suite_paths,   &suite_nodes,  &suite_perms,
    &suite_transactions, &suite_watches, &suite_quotas, &suite_domains,
    &suite_ring,         &suite_control, &suite_hooks,  &suite_audit,
};
#define NR_SUITES (sizeof suites / sizeof *suites)

static void list(void)
{
    for (size_t s = 0; s < NR_SUITES; s++)
        for (const struct test_case *t = suites[s]->cases; t->name; t++)
            printf("%s: %s\n", suites[s]->name, t->name);
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
