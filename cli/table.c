/* SPDX-License-Identifier: MIT */
/* Prints JSON for people: tables of flat objects. */
#include "table.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

const char *table_text(json_object *value)
{
    return value ? json_object_get_string(value) : "-";
}

/* Every key of any row, in the order in which they appear. The caller puts it. */
static json_object *columns_of(json_object *rows)
{
    json_object *columns = json_object_new_array();

    for (size_t i = 0; i < json_object_array_length(rows); i++) {
        json_object_object_foreach(json_object_array_get_idx(rows, i), key, value) {
            bool known = false;

            (void)value;
            for (size_t j = 0; !known && j < json_object_array_length(columns); j++)
                known = !strcmp(json_object_get_string(json_object_array_get_idx(columns, j)), key);
            if (!known)
                json_object_array_add(columns, json_object_new_string(key));
        }
    }
    return columns;
}

/* Row 0 is the heads. */
static const char *cell(json_object *rows, json_object *columns, size_t row, size_t column)
{
    const char *head = json_object_get_string(json_object_array_get_idx(columns, column));
    json_object *value;

    if (!row)
        return head;
    return json_object_object_get_ex(json_object_array_get_idx(rows, row - 1), head, &value)
        ? table_text(value) : "-";
}

void table_print(FILE *out, json_object *rows)
{
    json_object *columns = columns_of(rows);
    size_t nr = json_object_array_length(rows), nr_columns = json_object_array_length(columns);
    int *widths = calloc(nr_columns + 1, sizeof *widths);

    if (!widths)
        abort();
    for (size_t i = 0; i <= nr; i++)
        for (size_t j = 0; j < nr_columns; j++) {
            int width = (int)strlen(cell(rows, columns, i, j));

            if (widths[j] < width)
                widths[j] = width;
        }
    for (size_t i = 0; i <= nr && nr_columns; i++)
        for (size_t j = 0; j < nr_columns; j++)
            fprintf(out, "%-*s%s", j + 1 < nr_columns ? widths[j] : 0, cell(rows, columns, i, j),
                    j + 1 < nr_columns ? "  " : "\n");
    free(widths);
    json_object_put(columns);
}
