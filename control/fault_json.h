/* SPDX-License-Identifier: MIT */
/* Fault rules as JSON, as docs/howto-faults.md describes them. */
#ifndef GNTSIM_CONTROL_FAULT_JSON_H
#define GNTSIM_CONTROL_FAULT_JSON_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

struct fault_rule;
struct machine;

/*
 * Reads a rule; keys in ignored (ends with NULL) are not its. False with a sentence in error. Needs
 * the machine's lock.
 */
bool fault_from_json(struct machine *m, json_object *json, const char *const *ignored,
                     struct fault_rule *rule, char *error, size_t size);
/* The rule as it would be written now, without what is left at its default. */
json_object *fault_to_json(const struct fault_rule *rule);
/*
 * Tells the trace that the rule is added. The process is in there by its number: in another run it
 * has another id.
 */
void fault_record(struct machine *m, const struct fault_rule *rule);
/* "EINVAL"; NULL for an unknown number. */
const char *errno_name(int number);

#endif
