/* SPDX-License-Identifier: MIT */
/* Reads suppressions, `KIND:PATTERN` a line, and finds the one that a finding matches. */
#include "suppress_i.h"

#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "finding_i.h"

/* ---- Reading --------------------------------------------------------------------------------- */

struct place {
    const char *path;
    unsigned line;
    char *error;
    size_t size;
};

static int complain(const struct place *place, size_t column, const char *format, const char *word)
{
    int n = snprintf(place->error, place->size, "%s:%u:%zu: ", place->path, place->line,
                     column + 1);

    if (n > 0 && (size_t)n < place->size)
        snprintf(place->error + n, place->size - (size_t)n, format, word);
    return -1;
}

/* Without the comment and the spaces around. *column: of what is left. */
static char *trim(char *line, size_t *column)
{
    char *start = line, *end = line;

    while (isspace((unsigned char)*start))
        start++;
    for (char *c = start; *c; c++) {
        if (*c == '#' && (c == start || isspace((unsigned char)c[-1])))
            *c-- = 0;
        else if (!isspace((unsigned char)*c))
            end = c + 1;
    }
    if (end > start)
        *end = 0;
    *column = (size_t)(start - line);
    return start;
}

static int find_kind(const char *name, int *kind)
{
    const struct check_kind *found = check_kind_find(name);

    *kind = found ? (int)(found - check_kinds) : -1;
    return found || !strcmp(name, "*") ? 0 : -1;
}

/* fnmatch takes a [ without its ] for itself, which nobody means. */
static bool is_open(const char *pattern)
{
    const char *bracket = strrchr(pattern, '[');

    return bracket && !strchr(bracket, ']');
}

static int read_line(struct suppression **list, char *line, const struct place *place)
{
    struct suppression *new;
    size_t column;
    char *colon;
    int kind;

    line = trim(line, &column);
    if (!*line)
        return 0;
    colon = strchr(line, ':');
    if (!colon)
        return complain(place, column, "'%s' has no ':': a line is KIND:PATTERN", line);
    *colon = 0;
    if (find_kind(line, &kind))
        return complain(place, column,
                        "there is no kind of finding '%s'; gntsim explain lists them, and * is "
                        "any",
                        line);
    column += (size_t)(colon + 1 - line);
    if (!colon[1])
        return complain(place, column, "the pattern is missing: a function, a file, a module or a "
                                       "command, or * for all%s",
                        "");
    if (is_open(colon + 1))
        return complain(place, column + (size_t)(strrchr(colon + 1, '[') - colon - 1),
                        "the pattern '%s' has a [ without its ]", colon + 1);
    new = calloc(1, sizeof *new);
    if (!new || !(new->pattern = strdup(colon + 1))) {
        free(new);
        return complain(place, column, "no memory%s", "");
    }
    new->kind = kind;
    new->line = place->line;
    DL_APPEND(*list, new);       /* at once, however long the list is */
    return 0;
}

int suppressions_read(struct suppression **out, const char *path, char *error, size_t size)
{
    struct place place = { path, 0, error, size };
    FILE *file = fopen(path, "re");
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    int rc = 0;

    *out = NULL;
    errno = file ? 0 : errno;
    while (file && !rc && (length = getline(&line, &room, file)) > 0) {
        place.line++;
        rc = strlen(line) < (size_t)length
               ? complain(&place, strlen(line), "a byte 0: this is no text%s", "")
               : read_line(out, line, &place);
        errno = 0;
    }
    if (!rc && (!file || errno || ferror(file))) {
        snprintf(error, size, "cannot read suppressions from %s: %s", path, strerror(errno));
        rc = -1;
    }
    free(line);
    if (file)
        fclose(file);
    if (rc) {
        suppressions_free(*out);
        *out = NULL;
    }
    return rc;
}

void suppressions_free(struct suppression *list)
{
    for (struct suppression *next; list; list = next) {
        next = list->next;
        free(list->pattern);
        free(list);
    }
}

/* ---- Finding --------------------------------------------------------------------------------- */

static bool matches(const char *pattern, const char *name)
{
    const char *slash = name ? strrchr(name, '/') : NULL;

    return name && (!fnmatch(pattern, name, 0) || (slash && !fnmatch(pattern, slash + 1, 0)));
}

static bool is_meant(const struct suppression *suppression, const struct finding *finding)
{
    if (suppression->kind >= 0 && suppression->kind != (int)finding->kind)
        return false;
    if (matches(suppression->pattern, finding->program.command))
        return true;
    for (unsigned i = 0; i < finding->nr_parts; i++) {
        const struct part *part = &finding->parts[i];

        for (unsigned j = 0; j < part->nr_frames; j++)
            if (matches(suppression->pattern, part->frames[j].function) ||
                matches(suppression->pattern, part->frames[j].file) ||
                matches(suppression->pattern, part->frames[j].module))
                return true;
    }
    return !strcmp(suppression->pattern, "*");
}

const struct suppression *suppressions_find(struct suppression *list, const struct finding *finding)
{
    for (; list; list = list->next) {
        if (is_meant(list, finding)) {
            list->used++;
            return list;
        }
    }
    return NULL;
}
