/* SPDX-License-Identifier: MIT */
/* Finds the tests that have registered themselves, and runs them with CUnit. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <CUnit/Basic.h>

#include "suite.h"

static struct test_suite *suites;
static struct test_case *tests;
static unsigned nr_tests;
static bool (*set_profile)(const char *name);

void suite_add(struct test_suite *suite)
{
    suite->next = suites;
    suites = suite;
}

void test_add(struct test_case *test)
{
    test->next = tests;
    tests = test;
    nr_tests++;
}

/* The last suite above it in its file. */
static const struct test_suite *suite_of(const struct test_case *test)
{
    const struct test_suite *found = NULL;

    for (const struct test_suite *s = suites; s; s = s->next)
        if (!strcmp(s->file, test->file) && s->line < test->line &&
            (!found || s->line > found->line))
            found = s;
    if (!found) {
        fprintf(stderr, "%s:%d: a test stands above the first SUITE of its file\n",
                test->file, test->line);
        exit(2);
    }
    return found;
}

/* By file, and there by line: a suite's tests stand together. */
static int in_order(const void *a, const void *b)
{
    const struct test_case *const *one = a, *const *other = b;
    int order = strcmp((*one)->file, (*other)->file);

    return order ? order : (*one)->line - (*other)->line;
}

const struct test_case *const *tests_all(void)
{
    static const struct test_case **all;
    unsigned n = 0;

    if (all)
        return all;
    all = calloc(nr_tests + 1, sizeof *all);
    if (!all)
        abort();
    for (struct test_case *t = tests; t; t = t->next) {
        t->suite = suite_of(t);
        all[n++] = t;
    }
    qsort(all, n, sizeof *all, in_order);
    return all;
}

/* Takes the next word off a list: false when there is none. */
static bool next_word(const char **list, char *word, size_t size)
{
    size_t length = strcspn(*list, " ");

    snprintf(word, size, "%.*s", (int)length, *list);
    *list += length + strspn(*list + length, " ");
    return length > 0;
}

static void list(void)
{
    for (const struct test_case *const *t = tests_all(); *t; t++) {
        const char *suite = (*t)->suite->name, *profiles = (*t)->suite->profiles;
        const char *name = (*t)->name, *rows = (*t)->rows, *tab = *rows ? "\t" : "";
        char profile[16];

        if (!*profiles)
            printf("%s: %s%s%s\n", suite, name, tab, rows);
        while (next_word(&profiles, profile, sizeof profile))
            printf("%s: profile %s: %s%s%s\n", suite, profile, name, tab, rows);
    }
}

/* CUnit's set-up functions get no argument, so a run of a suite is found by its name. */
static int before_suite(void)
{
    const char *profile = strchr(CU_get_current_suite()->pName, '/');

    return profile && set_profile ? !set_profile(profile + 1) : 0;
}

/* Adds the suite whose first test is given, under that name. */
static bool add_run(const char *name, const struct test_case *const *first)
{
    CU_pSuite suite = CU_add_suite(name, before_suite, NULL);

    if (!suite)
        return false;
    for (const struct test_case *const *t = first; *t && (*t)->suite == (*first)->suite; t++)
        if (!CU_add_test(suite, (*t)->name, (*t)->run))
            return false;
    return true;
}

static bool add_suite(const struct test_case *const *first)
{
    const struct test_suite *suite = (*first)->suite;
    const char *profiles = suite->profiles;
    char profile[16], name[64];

    if (!*profiles)
        return add_run(suite->name, first);
    while (next_word(&profiles, profile, sizeof profile)) {
        snprintf(name, sizeof name, "%s/%s", suite->name, profile);
        if (!add_run(name, first))
            return false;
    }
    return true;
}

static bool wanted(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], name))
            return true;
    return argc == 1;
}

int tests_main(int argc, char **argv, bool (*use_profile)(const char *name))
{
    const struct test_suite *last = NULL;
    unsigned failures;

    if (argc == 2 && !strcmp(argv[1], "--list")) {
        list();
        return 0;
    }
    set_profile = use_profile;
    if (CU_initialize_registry())
        return 1;
    for (const struct test_case *const *t = tests_all(); *t; last = (*t)->suite, t++)
        if ((*t)->suite != last && wanted((*t)->suite->name, argc, argv) && !add_suite(t)) {
            fprintf(stderr, "cannot add suite %s: %s\n", (*t)->suite->name, CU_get_error_msg());
            return 1;
        }
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    failures = CU_get_number_of_failures() + (CU_get_number_of_tests_run() == 0);
    CU_cleanup_registry();
    return failures != 0;
}
