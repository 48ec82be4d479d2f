/* SPDX-License-Identifier: MIT */
/* Finds words in lists, and prints such lists for messages. */
#include "words.h"

#include <stdio.h>
#include <string.h>

int word_find(const char *const *words, const char *word)
{
    for (int i = 0; word && words[i]; i++)
        if (!strcmp(words[i], word))
            return i;
    return -1;
}

const char *words_or(char *out, size_t size, const char *const *words)
{
    size_t used = 0;

    for (; *words && used < size; words++)
        used += (size_t)snprintf(out + used, size - used, "%s%s", *words,
                                 !words[1] ? "" : words[2] ? ", " : " or ");
    return out;
}
