/* SPDX-License-Identifier: MIT */
/* Every row of rows.txt has a test or a reason, and every row that a test names is there. */
#include "harness.h"

SUITE("rows");

/* Whether list, words between spaces, has word. */
static bool has_word(const char *list, const char *word)
{
    size_t length = strlen(word);

    for (const char *at = strstr(list, word); at; at = strstr(at + 1, word))
        if ((at == list || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
            return true;
    return false;
}

static bool has_test(const char *row)
{
    for (const struct test_case *const *t = tests_all(); *t; t++)
        if (has_word((*t)->rows, row))
            return true;
    return false;
}

struct row {
    char id[64];
    bool left_out;
};

static size_t read_rows(struct row rows[], size_t max)
{
    FILE *file = fopen(ROWS_FILE, "r");
    char line[512];
    size_t n = 0;

    CU_ASSERT_FATAL(file != NULL);
    while (fgets(line, sizeof line, file)) {
        char what[4];

        if (line[0] == '#' || line[0] == '\n')
            continue;
        CU_ASSERT_FATAL(n < max);
        EQ(sscanf(line, "%63s %3s", rows[n].id, what), 2);
        rows[n++].left_out = !strcmp(what, "-");
    }
    fclose(file);
    return n;
}

static struct row rows[1000];

TEST("each row has a test or a reason")
{
    size_t n = read_rows(rows, 1000), left_out = 0;

    OK(n > 300);
    for (size_t i = 0; i < n; i++) {
        left_out += rows[i].left_out;
        if (has_test(rows[i].id) == rows[i].left_out) {
            printf("\n    %s has %s", rows[i].id,
                   rows[i].left_out ? "a test and a reason to have none"
                                    : "neither a test nor a reason");
            CU_FAIL("a row without a test");
        }
        for (size_t k = 0; k < i; k++)
            if (!strcmp(rows[i].id, rows[k].id)) {
                printf("\n    %s is there twice", rows[i].id);
                CU_FAIL("a row is there twice");
            }
    }
    printf("%zu rows, %zu with tests, %zu left out ...", n, n - left_out, left_out);
}

TEST("each row that a test names is there")
{
    size_t n = read_rows(rows, 1000);

    for (const struct test_case *const *t = tests_all(); *t; t++) {
        char words[1024], *save = NULL;

        CU_ASSERT_FATAL(strlen((*t)->rows) < sizeof words);
        strcpy(words, (*t)->rows);
        for (char *word = strtok_r(words, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
            bool known = false;

            for (size_t i = 0; i < n; i++)
                known |= !strcmp(rows[i].id, word);
            if (!known) {
                printf("\n    \"%s\" names %s", (*t)->name, word);
                CU_FAIL("a test names a row that is not there");
            }
        }
    }
}
