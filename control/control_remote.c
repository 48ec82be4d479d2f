/* SPDX-License-Identifier: MIT */
/* The verb that attaches a kernel in a process of its own (hv-remote). */
#include "control_i.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "json_add.h"
#include "machine.h"
#include "server.h"

static pid_t peer(int fd)
{
    struct ucred cred = { .pid = 0 };
    socklen_t size = sizeof cred;

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) ? 0 : cred.pid;
}

/* Its end is that of a domain that was made meanwhile. */
static json_object *take_back(struct request *request, json_object *result)
{
    while (request->nr_fds)
        close(request->fds[--request->nr_fds]);
    return result;
}

/*
 * The reply brings the domain's socket, its event descriptor and the memory. What goes wrong has a
 * number too, for programs.
 */
json_object *verb_kernel_attach(struct request *request)
{
    struct machine *m = request->machine;
    int64_t version, translated, pages, max_pages, grant_frames, maptrack_frames, grant_version,
        port;
    struct hv_domain_config config;
    json_object *result;
    domid_t id;
    int fds[3], rc;

    if (!control_domid(request, &id) ||
        !control_int(request, "version", -1, 0, INT32_MAX, &version) ||
        !control_int(request, "auto_translated", 0, 0, 1, &translated) ||
        !control_int(request, "pages", 0, 0, UINT32_MAX, &pages) ||
        !control_int(request, "max_pages", 0, 0, UINT32_MAX, &max_pages) ||
        !control_int(request, "grant_frames", -1, -1, INT32_MAX, &grant_frames) ||
        !control_int(request, "maptrack_frames", -1, -1, INT32_MAX, &maptrack_frames) ||
        !control_int(request, "max_grant_version", 0, 0, 2, &grant_version) ||
        !control_int(request, "max_evtchn_port", 0, 0, UINT32_MAX, &port))
        return NULL;
    hv_domain_config_init(&config);
    config.auto_translated = translated;
    config.nr_pages = (uint64_t)pages;
    config.max_pages = (uint64_t)max_pages;
    config.max_grant_frames = (int32_t)grant_frames;
    config.max_maptrack_frames = (int32_t)maptrack_frames;
    config.max_grant_version = (uint32_t)grant_version;
    config.max_evtchn_port = (uint32_t)port;
    result = json_object_new_object();
    rc = version == REMOTE_VERSION ? remote_attach(m, id, &config, peer(request->wire->fd), fds)
                                   : -EPROTO;
    if (!rc) {
        request->fds[request->nr_fds++] = fds[0]; /* were it ours, its end would never come */
        if (!control_give(request, fds[1]) || !control_give(request, fds[2]))
            rc = -errno;
    }
    json_add_int(result, "errno", -rc);
    if (rc)
        return take_back(request, result);
    json_add_uint(result, "frames", m->nr_frames);
    json_add_uint(result, "shared_info", hv_shared_info_mfn(m->hv, id));
    return result;
}
