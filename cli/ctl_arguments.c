/* SPDX-License-Identifier: MIT */
/* Reads the arguments of the verbs of `gntsim ctl`. */
#include "ctl_arguments.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "json_add.h"
#include "options.h"

static int add_rule(json_object *request, const char *text)
{
    json_object *rule = json_tokener_parse(text);

    if (!json_object_is_type(rule, json_type_object)) {
        json_object_put(rule);
        return usage_error("a fault rule is a JSON object, like "
                           "'{\"at\":\"mmap\",\"do\":{\"errno\":\"ENOMEM\"}}'");
    }
    json_object_object_add(request, "rule", rule);
    return 0;
}

/* The store has bytes, JSON has characters: a byte is the character of that number. */
static int add_bytes(json_object *request, const char *text)
{
    size_t len = strlen(text), n = 0;
    char *characters = malloc(2 * len + 1);

    if (!characters)
        return failure("no memory");
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c >= 0x80)
            characters[n++] = (char)(0xc0 | c >> 6);
        characters[n++] = (char)(c >= 0x80 ? 0x80 | (c & 0x3f) : c);
    }
    json_object_object_add(request, "value", json_object_new_string_len(characters, (int)n));
    free(characters);
    return 0;
}

static int add_list(json_object *request, const char *text)
{
    json_object *list = json_object_new_array();

    for (size_t len; *text; text += len + (text[len] == ',')) {
        len = strcspn(text, ",");
        json_object_array_add(list, json_object_new_string_len(text, (int)len));
    }
    json_object_object_add(request, "perms", list);
    return 0;
}

static int add_state(json_object *request, const char *text)
{
    if (strcmp(text, "connected") && strcmp(text, "closed") && strcmp(text, "gone"))
        return usage_error("'%s' is no state to wait for: use connected, closed or gone", text);
    json_add_text(request, "state", text);
    return 0;
}

int ctl_add_key(json_object *request, const char *key, const char *value)
{
    json_object *keys;
    char *end;
    long number = strtol(value, &end, 10);

    if (!strcmp(key, "type")) {
        json_add_text(request, key, value);
        return 0;
    }
    if (!strcmp(key, "backend") || !strcmp(key, "id")) {
        if (end == value || *end || number < 0)
            return usage_error("'%s' is not a number", value);
        json_add_int(request, key, number);
        return 0;
    }
    if (!json_object_object_get_ex(request, "keys", &keys)) {
        keys = json_object_new_object();
        json_object_object_add(request, "keys", keys);
    }
    json_add_text(keys, key, value);
    return 0;
}

static int add_pair(json_object *request, const char *text)
{
    const char *equals = strchr(text, '=');
    char key[64];

    if (!equals || equals == text || (size_t)(equals - text) >= sizeof key)
        return usage_error("'%s' is not KEY=VALUE", text);
    snprintf(key, sizeof key, "%.*s", (int)(equals - text), text);
    return ctl_add_key(request, key, equals + 1);
}

int ctl_add_argument(json_object *request, char kind, const char *text)
{
    char *end;
    long long value = strtoll(text, &end, 0);

    switch (kind | 0x20) {
    case 'd':
        value = parse_domid(text);
        if (value < 0)
            return usage_error("'%s' is not a domain id", text);
        json_add_int(request, "domain", value);
        return 0;
    case 'r':
        if (end == text || *end || value < 0 || value > UINT32_MAX)
            return usage_error("'%s' is not a grant reference", text);
        json_add_int(request, "ref", value);
        return 0;
    case 'i':
    case 'v':
        if (end == text || *end || value < 0)
            return usage_error("'%s' is not a number", text);
        json_add_int(request, (kind | 0x20) == 'i' ? "id" : "value", value);
        return 0;
    case 'n':
        if (!strcmp(text, "next"))
            json_add_text(request, "to", text);
        else if (end == text || *end || value < 0)
            return usage_error("'%s' is not a number of nanoseconds, nor 'next'", text);
        else
            json_add_int(request, "ns", value);
        return 0;
    case 'a':
        if (strcmp(text, "on") && strcmp(text, "off"))
            return usage_error("'%s' is neither on nor off", text);
        json_add_bool(request, kind == 'A' ? "auto" : "on", !strcmp(text, "on"));
        return 0;
    case 'j':
        return add_rule(request, text);
    case 'p':
        json_add_text(request, "path", text);
        return 0;
    case 't':
        return add_bytes(request, text);
    case 'l':
        return add_list(request, text);
    case 'k':
        json_add_text(request, "kind", text);
        return 0;
    case 's':
        return add_state(request, text);
    case 'm':
        return add_pair(request, text);
    default:
        json_add_text(request, "what", text);
        return 0;
    }
}
