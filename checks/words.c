/* SPDX-License-Identifier: MIT */
/* Reads the words of --check: which kinds are reported, and whether they are errors. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checks_i.h"

void checks_choose_usual(struct check_choice *choice)
{
    for (unsigned i = 0; i < NR_KINDS; i++)
        choice->levels[i] = CHECK_ERROR;
}

/* Sets the level of one kind or of a group. False: there is none of that name. */
static bool set(struct check_choice *choice, const char *name, enum check_level level)
{
    bool usual = !strcmp(name, "usual"), leaks = !strcmp(name, "leaks"), found = usual || leaks;

    for (unsigned i = 0; i < NR_KINDS; i++) {
        if (usual || (leaks && check_kinds[i].is_leak) || !strcmp(name, check_kinds[i].name)) {
            choice->levels[i] = level;
            found = true;
        }
    }
    return found;
}

static bool take_word(struct check_choice *choice, char *word, char *error, size_t size)
{
    enum check_level level = CHECK_ERROR;
    char *name = word, *equals = strchr(word, '=');

    if (equals)
        *equals++ = 0;
    if (equals && !strcmp(equals, "warning"))
        level = CHECK_WARNING;
    else if (equals && strcmp(equals, "error"))
        return snprintf(error, size, "'%s=%s' is no word of --check: after = comes error or "
                                     "warning",
                        name, equals),
               false;
    if (!strncmp(word, "no-", 3) && !equals) {
        level = CHECK_OFF;
        name += 3;
    }
    if (set(choice, name, level))
        return true;
    snprintf(error, size, "'%s' is no word of --check: use usual, leaks, or a kind that gntsim "
                          "explain lists, each also as no-WORD, WORD=error or WORD=warning",
             name);
    return false;
}

bool checks_choose(struct check_choice *choice, const char *words, char *error, size_t size)
{
    char *copy = strdup(words), *rest = copy, *word;
    size_t first = strcspn(words, ",");
    bool good = copy;

    *choice = (struct check_choice){ { 0 } };
    /* A list that begins with a change changes what is usual. */
    if (!*words || !strncmp(words, "no-", 3) || memchr(words, '=', first))
        checks_choose_usual(choice);
    while (good && *words && (word = strsep(&rest, ",")))
        good = take_word(choice, word, error, size);
    if (!copy)
        snprintf(error, size, "no memory");
    free(copy);
    return good;
}
