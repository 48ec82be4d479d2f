/* SPDX-License-Identifier: MIT */
/* Runs the suites named on the command line, or all, each on every profile it is for. --list prints one sentence per test. */
#include <CUnit/Basic.h>

#include "harness.h"

static const struct test_suite *const suites[] = {
    &suite_smoke, &suite_life, &suite_life_retry, &suite_vfs, &suite_gnttab, &suite_gnttab_version, &suite_gnttab_map, &suite_evtchn, &suite_evtchn_static,
    &suite_gntdev, &suite_gntdev_mmap, &suite_gntdev_pv, &suite_gntdev_pvh, &suite_gntdev_legacy, &suite_copy,
    &suite_gntalloc, &suite_gntalloc_deferred, &suite_gntalloc_legacy, &suite_notify, &suite_notify_pv, &suite_notify_pvh, &suite_privcmd, &suite_privcmd_map,
    &suite_hostile, &suite_memory, &suite_audit, &suite_fuzz, &suite_hooks, &suite_migrate,
};
#define NR_SUITES (sizeof suites / sizeof *suites)

/* One run of a suite: CUnit's set-up functions get no argument, so a run is found by its name. */
static char names[80][48];
static unsigned nr_names;

static int choose_profile(void)
{
    const char *name = CU_get_current_suite()->pName;

    use_profile(strchr(name, '/') + 1);
    return w.profile == NULL;
}

static bool next_profile(const char **list, char *name, size_t size)
{
    size_t len = strcspn(*list, " ");

    snprintf(name, size, "%.*s", (int)len, *list);
    *list += len + (*list ? strspn(*list + len, " ") : 0);
    return len > 0;
}

static void list(void)
{
    for (size_t s = 0; s < NR_SUITES; s++) {
        const char *profiles = suites[s]->profiles;
        char profile[16];

        while (next_profile(&profiles, profile, sizeof profile))
            for (const struct test_case *t = suites[s]->cases; t->name; t++)
                printf("%s: profile %s: %s\n", suites[s]->name, profile, t->name);
    }
}

static bool wanted(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], name))
            return true;
    return argc == 1;
}

static bool add_suite(const struct test_suite *s)
{
    const char *profiles = s->profiles;
    char profile[16];

    while (next_profile(&profiles, profile, sizeof profile)) {
        char *name = names[nr_names++];
        CU_pSuite suite;

        snprintf(name, sizeof *names, "%s/%s", s->name, profile);
        suite = CU_add_suite(name, choose_profile, NULL);
        for (const struct test_case *t = s->cases; suite && t->name; t++)
            if (!CU_add_test(suite, t->name, t->run))
                return false;
        if (!suite)
            return false;
    }
    return true;
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
    for (size_t s = 0; s < NR_SUITES; s++)
        if (wanted(suites[s]->name, argc, argv) && !add_suite(suites[s]))
            return 1;
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    failures = CU_get_number_of_failures() + (CU_get_number_of_tests_run() == 0);
    CU_cleanup_registry();
    return failures != 0;
}
