/* SPDX-License-Identifier: MIT */
/* The verbs of the store: a toolstack's requests, and the socket for clients that wait. */
#include <errno.h>
#include <string.h>

#include "control_i.h"
#include "json_add.h"
#include "machine.h"
#include "store_way.h"

/* A body: strings with their NULs; a value comes last and has none. */
struct body {
    char bytes[XENSTORE_PAYLOAD_MAX + 1];
    size_t len;
};

static bool add(struct body *body, const char *bytes, size_t len)
{
    if (len > sizeof body->bytes - body->len)
        return false;
    memcpy(body->bytes + body->len, bytes, len);
    body->len += len;
    return true;
}

/* JSON has characters, the store bytes: a byte is the character of that number. */
static json_object *text_of_bytes(const char *bytes, size_t len)
{
    char text[2 * XENSTORE_PAYLOAD_MAX];
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)bytes[i];

        if (c >= 0x80)
            text[n++] = (char)(0xc0 | c >> 6);
        text[n++] = (char)(c >= 0x80 ? 0x80 | (c & 0x3f) : c);
    }
    return json_object_new_string_len(text, (int)n);
}

/* False: it has a character of which there is no byte, or is too long. */
static bool add_text(struct body *body, json_object *text)
{
    const unsigned char *p = (const unsigned char *)json_object_get_string(text);
    const unsigned char *end = p + json_object_get_string_len(text);

    while (p < end) {
        char c = (char)*p;

        if (*p >= 0xc4 || (*p >= 0x80 && (*p < 0xc2 || p + 1 == end)))
            return false;
        if (*p >= 0x80)
            c = (char)(*p << 6 | (p[1] & 0x3f));
        p += *p >= 0x80 ? 2 : 1;
        if (!add(body, &c, 1))
            return false;
    }
    return true;
}

static bool add_path(struct request *request, struct body *body, const char **path)
{
    json_object *value;

    if (!json_object_object_get_ex(request->args, "path", &value) ||
        !json_object_is_type(value, json_type_string)) {
        control_refuse(request, "a request to the store has a \"path\"");
        return false;
    }
    *path = json_object_get_string(value);
    if (!add(body, *path, strlen(*path) + 1)) {
        control_refuse(request, "the path is too long for a request to the store");
        return false;
    }
    return true;
}

/* Makes the request; the strings of the reply, if it is to have some. */
static json_object *ask(struct request *request, uint32_t type, const char *path,
                        const struct body *body, char *reply, size_t *len)
{
    int rc = store_way_ask(request->machine, type, body->bytes, body->len, reply, len);

    if (rc == -ENOTSUP)
        return control_refuse(request, "this machine has no store");
    if (rc == -ENOTCONN)
        return control_refuse(request, "the store's daemon is not there: start it anew with "
                                       "`gntsim ctl store restart`");
    if (rc == -ETIMEDOUT)
        return control_refuse(request, "the store's daemon does not answer");
    if (rc)
        return control_refuse(request, "the store answers for %s: %s", path, strerror(-rc));
    return control_done();
}

static json_object *list_of_strings(const char *bytes, size_t len)
{
    json_object *list = json_object_new_array();

    for (const char *p = bytes; p < bytes + len; p += strlen(p) + 1)
        json_object_array_add(list, text_of_bytes(p, strlen(p)));
    return list;
}

/* A request of a path alone: what is answered stands under key, as a text or a list. */
static json_object *ask_path(struct request *request, uint32_t type, const char *key, bool many)
{
    struct body body = { .len = 0 };
    char reply[XENSTORE_PAYLOAD_MAX];
    json_object *result;
    const char *path;
    size_t len;

    if (!add_path(request, &body, &path))
        return NULL;
    result = ask(request, type, path, &body, reply, &len);
    if (result && key)
        json_object_object_add(result, key,
                               many ? list_of_strings(reply, len) : text_of_bytes(reply, len));
    return result;
}

json_object *verb_store_read(struct request *request)
{
    return ask_path(request, XS_READ, "value", false);
}

json_object *verb_store_list(struct request *request)
{
    return ask_path(request, XS_DIRECTORY, "names", true);
}

json_object *verb_store_mkdir(struct request *request)
{
    return ask_path(request, XS_MKDIR, NULL, false);
}

json_object *verb_store_rm(struct request *request)
{
    return ask_path(request, XS_RM, NULL, false);
}

json_object *verb_store_write(struct request *request)
{
    struct body body = { .len = 0 };
    json_object *value;
    const char *path;

    if (!add_path(request, &body, &path))
        return NULL;
    if (!json_object_object_get_ex(request->args, "value", &value) ||
        !json_object_is_type(value, json_type_string))
        return control_refuse(request, "a value is a string");
    if (!add_text(&body, value) || body.len > XENSTORE_PAYLOAD_MAX)
        return control_refuse(request, "the value is too long, or no bytes (U+0000 to U+00FF)");
    return ask(request, XS_WRITE, path, &body, NULL, NULL);
}

json_object *verb_store_set_perms(struct request *request)
{
    struct body body = { .len = 0 };
    json_object *perms;
    const char *path;

    if (!add_path(request, &body, &path))
        return NULL;
    if (!json_object_object_get_ex(request->args, "perms", &perms) ||
        !json_object_is_type(perms, json_type_array))
        return control_refuse(request, "permissions are a list, like [\"n0\", \"r1\"]");
    for (size_t i = 0; i < json_object_array_length(perms); i++) {
        const char *perm = json_object_get_string(json_object_array_get_idx(perms, i));

        if (!perm || !add(&body, perm, strlen(perm) + 1))
            return control_refuse(request, "permissions are a list, like [\"n0\", \"r1\"]");
    }
    return ask(request, XS_SET_PERMS, path, &body, NULL, NULL);
}

json_object *verb_store_perms(struct request *request)
{
    return ask_path(request, XS_GET_PERMS, "perms", true);
}

/* The socket of a domain's programs, for a client that watches; domain 0's if none is named. */
json_object *verb_store_socket(struct request *request)
{
    json_object *result;
    const char *path;
    int64_t domain;
    domid_t id;
    int rc;

    if (!control_int(request, "domain", 0, 0, DOMID_FIRST_RESERVED - 1, &domain))
        return NULL;
    id = (domid_t)domain;
    path = store_way_path(request->machine, id, false, &rc);
    if (!path && rc == -ESRCH)
        return control_no_domain(request, id);
    if (!path)
        return control_refuse(request, "the store cannot be served to domain %u: %s", id,
                              strerror(-rc));
    result = control_done();
    json_add_text(result, "socket", path);
    return result;
}

json_object *verb_store_restart(struct request *request)
{
    int rc = store_way_restart(request->machine);

    if (rc == -ENOTSUP)
        return control_refuse(request, "this machine has no store");
    if (rc)
        return control_refuse(request, "the store's daemon does not start anew: %s", strerror(-rc));
    return control_done();
}
