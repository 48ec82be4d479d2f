/* SPDX-License-Identifier: MIT */
/* Lists of words that end with NULL: finds one, and tells a user which there are. */
#ifndef GNTSIM_UTIL_WORDS_H
#define GNTSIM_UTIL_WORDS_H

#include <stddef.h>

/* Its place in the list; -1: it is not there, or is NULL. */
int word_find(const char *const *words, const char *word);
/* "a, b or c" in out, which it returns. */
const char *words_or(char *out, size_t size, const char *const *words);
/* The same in a buffer that lives as long as the block. */
#define WORDS_OR(words) words_or((char[256]){ "" }, 256, words)

#endif
