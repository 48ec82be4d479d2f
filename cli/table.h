/* SPDX-License-Identifier: MIT */
/* Prints JSON for people. */
#ifndef GNTSIM_CLI_TABLE_H
#define GNTSIM_CLI_TABLE_H

#include <stdio.h>

#include <json-c/json.h>

/* An array of flat objects as a table, with a column for every key of any row. */
void table_print(FILE *out, json_object *rows);
/* A value's text; "-" for NULL. It is the value's. */
const char *table_text(json_object *value);

#endif
