/* SPDX-License-Identifier: MIT */
/* The verbs that act on a domain's event channels as its kernel would. */
#include <errno.h>

#include "control_guest.h"

#include "json_add.h"

json_object *verb_guest_event_alloc(struct request *request)
{
    struct actor *actor = guest_actor(request);
    int64_t remote, port;

    if (!actor || !guest_number(request, "remote", UINT16_MAX, &remote))
        return NULL;
    port = actor_event_alloc(actor, (domid_t)remote);
    return port < 0 ? guest_failed(request, "cannot allocate an event channel", port)
                    : guest_value("port", port);
}

json_object *verb_guest_event_bind(struct request *request)
{
    struct actor *actor = guest_actor(request);
    int64_t remote, remote_port, port;

    if (!actor || !guest_number(request, "remote", UINT16_MAX, &remote) ||
        !guest_number(request, "port", UINT32_MAX, &remote_port))
        return NULL;
    port = actor_event_bind(actor, (domid_t)remote, (evtchn_port_t)remote_port);
    return port < 0 ? guest_failed(request, "cannot bind that event channel", port)
                    : guest_value("port", port);
}

json_object *verb_guest_event_send(struct request *request)
{
    struct actor *actor = guest_actor(request);
    int64_t port;
    int rc;

    if (!actor || !guest_number(request, "port", UINT32_MAX, &port))
        return NULL;
    rc = actor_event_send(actor, (evtchn_port_t)port);
    return rc ? guest_failed(request, "cannot send", rc) : control_done();
}

json_object *verb_guest_event_pending(struct request *request)
{
    struct actor *actor = guest_actor(request);
    json_object *result;
    int64_t port;
    int rc;

    if (!actor || !guest_number(request, "port", UINT32_MAX, &port))
        return NULL;
    rc = actor_event_pending(actor, (evtchn_port_t)port);
    if (rc < 0)
        return guest_no_object(request, "port");
    result = json_object_new_object();
    json_add_bool(result, "pending", rc);
    return result;
}

json_object *verb_guest_event_close(struct request *request)
{
    struct actor *actor = guest_actor(request);
    int64_t port;
    int rc;

    if (!actor || !guest_number(request, "port", UINT32_MAX, &port))
        return NULL;
    rc = actor_event_close(actor, (evtchn_port_t)port);
    if (rc == -ENOENT)
        return guest_no_object(request, "port");
    return rc ? guest_failed(request, "cannot close", rc) : control_done();
}
