/* SPDX-License-Identifier: MIT */
/* Waits in the store for what `gntsim ctl store watch|wait` and `device wait|detach` are told. */
#include "ctl_follow.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "client.h"
#include "json_add.h"
#include "store_client.h"

#define CLOSE_SECONDS 10            /* as long as libxl waits for a back end to close */

static bool truth_at(json_object *object, const char *key)
{
    json_object *value;

    return json_object_object_get_ex(object, key, &value) && json_object_get_boolean(value);
}

size_t ctl_bytes(json_object *text, char *out)
{
    const char *from = json_object_get_string(text);
    size_t n = 0;

    for (int i = 0; i < json_object_get_string_len(text); i++) {
        unsigned char c = (unsigned char)from[i];

        if (c < 0x80)
            out[n++] = (char)c;
        else if (c >= 0xc0)
            out[n++] = (char)(c << 6 | (from[++i] & 0x3f));
    }
    return n;
}

/* Of what ended a wait. */
static int ended(const struct store_client *client, const char *what)
{
    if (client->late)
        return failure("%s: not so within the time", what);
    return failure("%s: %s", what,
                   errno == ECONNRESET ? "the store closed the connection" : strerror(errno));
}

/* ---- The store ------------------------------------------------------------------------------- */

static bool open_store(json_object *result, struct store_client *client, unsigned seconds)
{
    const char *socket = client_text(result, "socket");

    return socket && store_client_open(client, socket, seconds);
}

int ctl_follow_events(struct ctl_call *call)
{
    const char *path = client_text(call->request, "path");
    struct store_client client;

    if (!client_text(call->result, "socket"))
        return CTL_NONSENSE;
    if (!open_store(call->result, &client, call->options->timeout))
        return 1;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (store_client_watch(&client, path)) {
        /* The first event says only that the watch is set. */
        while (store_client_event(&client)) {
            json_object *event = json_object_new_object();

            json_add_text(event, "path", client.body);
            puts(call->options->json
                   ? json_object_to_json_string_ext(event, JSON_C_TO_STRING_PLAIN)
                   : client.body);
            json_object_put(event);
        }
    }
    store_client_close(&client);
    return ended(&client, path);
}

static bool is_value(const struct store_client *client, json_object *wanted)
{
    char bytes[XENSTORE_PAYLOAD_MAX + 1];

    if (!wanted)
        return true;
    if ((size_t)json_object_get_string_len(wanted) > 2 * XENSTORE_PAYLOAD_MAX)
        return false;
    return ctl_bytes(wanted, bytes) == client->len && !memcmp(bytes, client->body, client->len);
}

int ctl_follow_wait(struct ctl_call *call)
{
    const char *path = client_text(call->request, "path");
    json_object *wanted = NULL;
    struct store_client client;
    int status = -1;

    json_object_object_get_ex(call->request, "value", &wanted);
    if (!client_text(call->result, "socket"))
        return CTL_NONSENSE;
    if (!open_store(call->result, &client, call->options->timeout))
        return 1;
    if (!store_client_watch(&client, path))
        status = ended(&client, path);
    while (status < 0) {
        client.event = false;
        if (store_client_read(&client, path)) {
            if (is_value(&client, wanted))
                status = 0;
        } else if (errno != ENOENT) {
            status = ended(&client, path);
        }
        if (!status) {
            fwrite(client.body, 1, client.len, stdout);
            putchar('\n');
        } else if (status < 0 && !client.event && !store_client_event(&client)) {
            status = ended(&client, path);
        }
    }
    store_client_close(&client);
    return status;
}

/* ---- Devices --------------------------------------------------------------------------------- */

static json_object *ask(struct ctl_call *call, const char *verb)
{
    json_object *request = json_object_new_object();

    /* The store of domain 0, whichever domain the device is of. */
    json_object_object_foreach(call->request, key, value)
        if (strcmp(key, "domain") || strcmp(verb, "store-socket"))
            json_object_object_add(request, key, json_object_get(value));
    json_add_text(request, "verb", verb);
    return client_result(call->fd, request);
}

static bool open_of_domain_0(struct ctl_call *call, struct store_client *client, unsigned seconds)
{
    json_object *result = ask(call, "store-socket");
    bool opened = open_store(result, client, seconds);

    json_object_put(result);
    return opened;
}

int ctl_follow_detach(struct ctl_call *call)
{
    unsigned seconds = call->options->timeout ? call->options->timeout : CLOSE_SECONDS;
    json_object *result = json_object_get(call->result);
    struct store_client client = { .fd = -1 };
    const char *back = client_text(result, "backend");
    int status = -1;

    if (truth_at(result, "gone"))
        status = 0;
    else if (!back || !open_of_domain_0(call, &client, seconds) ||
             !store_client_watch(&client, back))
        status = 1;
    while (status < 0) {
        json_object_put(result);
        result = ask(call, "device-detach");
        if (!result)
            status = 1;
        else if (truth_at(result, "gone"))
            status = 0;
        else if (!store_client_event(&client)) {
            /* As libxl does, whatever the back end does. */
            json_add_bool(call->request, "force", true);
            if (!client.late)
                status = ended(&client, "device detach");
        }
    }
    store_client_close(&client);
    json_object_put(result);
    return status;
}

/* The row of the device that is asked for; NULL: there is none. */
static json_object *row_of(json_object *list, json_object *request)
{
    json_object *id = NULL, *found;
    const char *kind = client_text(request, "kind");

    json_object_object_get_ex(request, "id", &id);
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        json_object *row = json_object_array_get_idx(list, i);

        if (!client_text(row, "kind") || strcmp(client_text(row, "kind"), kind) ||
            !json_object_object_get_ex(row, "id", &found))
            continue;
        if (!id || json_object_get_int64(id) == json_object_get_int64(found))
            return row;
    }
    return NULL;
}

static bool is_in_state(json_object *row, const char *state)
{
    if (!row)
        return !strcmp(state, "gone");
    if (!strcmp(state, "connected"))
        return truth_at(row, "connected");
    return client_text(row, "front") && !strcmp(client_text(row, "front"), state) &&
           client_text(row, "back") && !strcmp(client_text(row, "back"), state);
}

static bool watch_row(struct store_client *client, json_object *row)
{
    const char *front = client_text(row, "frontend"), *back = client_text(row, "backend");

    return front && back && store_client_watch(client, front) &&
           (!*back || store_client_watch(client, back));
}

int ctl_follow_device(struct ctl_call *call)
{
    json_object *result = json_object_get(call->result);
    const char *state = client_text(call->request, "state");
    struct store_client client = { .fd = -1 };
    int status = json_object_is_type(result, json_type_array) ? -1 : CTL_NONSENSE;
    json_object *row = status == -1 ? row_of(result, call->request) : NULL;

    if (status != -1 || is_in_state(row, state)) {
        json_object_put(result);
        return status == -1 ? 0 : status;
    }
    if (!row)
        status = failure("there is no such device: see device list");
    else if (!open_of_domain_0(call, &client, call->options->timeout) || !watch_row(&client, row))
        status = 1;
    while (status < 0) {
        json_object_put(result);
        result = ask(call, "device-list");
        row = result ? row_of(result, call->request) : NULL;
        if (!result)
            status = 1;
        else if (is_in_state(row, state))
            status = 0;
        else if (!row)
            status = failure("the device was detached");
        else if (!store_client_event(&client))
            status = ended(&client, state);
    }
    store_client_close(&client);
    json_object_put(result);
    return status;
}
