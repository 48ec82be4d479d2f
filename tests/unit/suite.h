/* SPDX-License-Identifier: MIT */
/*
 * Unit tests that register themselves: a file says SUITE("name"); and then TEST("sentence") {...}.
 *
 * The sentence is a test's only name. A test belongs to the last suite above it in its file. A
 * suite may have profiles ("pv pvh"): then it runs once on each. A second string names the rows
 * of a specification that the test checks ("ops:1.1/6 ops:1.7/3").
 */
#ifndef GNTSIM_TESTS_UNIT_SUITE_H
#define GNTSIM_TESTS_UNIT_SUITE_H

#include <stdbool.h>
#include <stddef.h>

struct test_suite {
    const char *name, *profiles;       /* profiles: names between spaces; "" if there are none */
    const char *file;
    int line;
    struct test_suite *next;
};
struct test_case {
    const char *name;                  /* the sentence */
    void (*run)(void);
    const char *rows;
    const char *file;
    int line;
    const struct test_suite *suite;    /* set by tests_all */
    struct test_case *next;
};

void suite_add(struct test_suite *suite);
void test_add(struct test_case *test);

/* Every test, suite by suite and in the order of the file, with NULL at the end. */
const struct test_case *const *tests_all(void);

/* Runs the suites that the command line names, or all; --list prints a line for each test.
 * use_profile is called before a suite runs on a profile; if it returns false, the suite fails. */
int tests_main(int argc, char **argv, bool (*use_profile)(const char *name));

#define UNIT_PASTE_(a, b) a##b
#define UNIT_PASTE(a, b) UNIT_PASTE_(a, b)
#define UNIT_NAME(what) UNIT_PASTE(what, __LINE__)

#define SUITE(words, ...)                                                                          \
    static struct test_suite UNIT_NAME(suite_) = {                                                 \
        .name = words, .profiles = "" __VA_ARGS__, .file = __FILE__, .line = __LINE__,             \
    };                                                                                             \
    __attribute__((constructor)) static void UNIT_NAME(register_)(void)                            \
    {                                                                                              \
        suite_add(&UNIT_NAME(suite_));                                                             \
    }                                                                                              \
    struct test_suite

#define TEST_REGISTERED_(function, sentence, words)                                                \
    static struct test_case UNIT_NAME(test_) = {                                                   \
        .name = sentence, .run = function, .rows = words, .file = __FILE__, .line = __LINE__,      \
    };                                                                                             \
    __attribute__((constructor)) static void UNIT_NAME(register_)(void)                            \
    {                                                                                              \
        test_add(&UNIT_NAME(test_));                                                               \
    }

#define TEST(sentence, ...)                                                                        \
    static void UNIT_NAME(run_)(void);                                                             \
    TEST_REGISTERED_(UNIT_NAME(run_), sentence, "" __VA_ARGS__)                                    \
    static void UNIT_NAME(run_)(void)

/* A test whose body gets parameters: which(body) calls it as often as it likes. */
#define TEST_BY(which, parameters, sentence, ...)                                                  \
    static void UNIT_NAME(body_) parameters;                                                       \
    static void UNIT_NAME(run_)(void)                                                              \
    {                                                                                              \
        which(UNIT_NAME(body_));                                                                   \
    }                                                                                              \
    TEST_REGISTERED_(UNIT_NAME(run_), sentence, "" __VA_ARGS__)                                    \
    static void UNIT_NAME(body_) parameters

#endif
