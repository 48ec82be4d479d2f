/* SPDX-License-Identifier: MIT */
/* The verbs about the machine: domains, paging, tables, and what exec needs. */
#include "control_i.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "checks_part.h"
#include "control_dump.h"
#include "dev_fs.h"
#include "fuse_way.h"
#include "machine.h"
#include "main_loop.h"
#include "ns.h"
#include "saying.h"
#include "sock_way.h"
#include "store_way.h"
#include "supervisor.h"
#include "way_names.h"

static bool get_profile(struct request *request, const struct kernel_profile **out)
{
    json_object *value;

    *out = NULL;
    if (!json_object_object_get_ex(request->args, "profile", &value))
        return true;
    *out = json_object_is_type(value, json_type_string)
             ? kernel_profile_find(json_object_get_string(value))
             : NULL;
    if (!*out)
        control_refuse(request, "unknown profile '%s': use pv, pvh or legacy",
                       json_object_get_string(value));
    return *out != NULL;
}

/* What toolstacks call the kinds of domains, and whether that is a kernel's. */
static const struct {
    const char *name;
    bool auto_translated, is_hvm;
} types[] = {
    { "pv", false, false },
    { "pvh", true, false },
    { "hvm", true, true },
};

/* The type, which a profile has to fit; a profile that is not named is chosen for it. */
static bool get_type(struct request *request, struct domain_options *options)
{
    const char *name;
    json_object *value;

    if (!json_object_object_get_ex(request->args, "type", &value))
        return true;
    name = json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcmp(types[i].name, name))
            continue;
        if (!options->profile)
            options->profile = request->machine->profile;
        else if (options->profile->auto_translated != types[i].auto_translated)
            return control_refuse(request, "a domain of type %s cannot have the kernel profile %s",
                                  name, options->profile->name), false;
        if (options->profile->auto_translated != types[i].auto_translated)
            options->profile =
                types[i].auto_translated ? &kernel_profile_pvh : &kernel_profile_pv;
        options->is_hvm = types[i].is_hvm;
        return true;
    }
    return control_refuse(request, "unknown type '%s': use pv, pvh or hvm", name), false;
}

/* Whoever its kernel is. */
static bool exists(struct machine *m, domid_t id)
{
    return machine_domain(m, id) || machine_outside(m, id) || machine_domain_is_bare(m, id);
}

json_object *verb_domain_list(struct request *request)
{
    json_object *list = json_object_new_array();
    struct machine *m = request->machine;

    for (struct domain *d = m->domains; d; d = d->next)
        if (!d->dead || hv_domain_state(m->hv, d->id) != 1)
            json_object_array_add(list, dump_domain(m, d));
    for (const struct outside *o = m->outsiders; o; o = o->next)
        json_object_array_add(list, dump_outside(m, o));
    for (int id = hv_domain_next(m->hv, 0); id >= 0; id = hv_domain_next(m->hv, id + 1))
        if (hv_domain_state(m->hv, (domid_t)id) == 1 || machine_domain_is_bare(m, (domid_t)id))
            json_object_array_add(list, dump_kernelless(m, (domid_t)id));
    return list;
}

static json_object *create_error(struct request *request, domid_t id, int rc)
{
    if (rc == -EEXIST && machine_outside(request->machine, id))
        return control_refuse(
            request, "the kernel of domain %u is a process of its own: no program can be in it",
            id);
    if (rc == -EEXIST)
        return control_refuse(
            request,
            "domain %u exists already, or is dead and its frames are still mapped by others", id);
    if (rc == -EAGAIN)
        return control_refuse(request,
                              "domain %u is paused, or has no vCPU: its toolstack has to unpause "
                              "it before programs can be in it",
                              id);
    return control_refuse(request, "cannot create domain %u: %s", id, strerror(-rc));
}

/* After machine_domain_destroy: the programs are gone, and the store was told. */
static void settle_destroyed(struct machine *m)
{
    machine_unlock(m);
    machine_wait_killed(m);
    machine_lock(m);
    store_way_settle(m);
}

/* A domain that the store does not know is of no use to a toolstack: it goes. */
static json_object *created(struct request *request, domid_t id)
{
    struct machine *m = request->machine;
    int rc;

    store_way_settle(m);
    rc = store_way_knows(m, id);
    if (!rc)
        return control_done();
    machine_domain_destroy(m, id);
    settle_destroyed(m);
    if (rc == -ENOTCONN)
        return control_refuse(request,
                              "cannot create domain %u: the store's daemon is not there: start it "
                              "anew with `gntsim ctl store restart`",
                              id);
    if (rc == -ETIMEDOUT)
        return control_refuse(request,
                              "cannot create domain %u: the store's daemon does not answer", id);
    return control_refuse(request, "cannot create domain %u: the store's daemon refuses it: %s",
                          id, strerror(-rc));
}

json_object *verb_domain_create(struct request *request)
{
    int64_t grant_frames, maptrack_frames, version, unrestricted;
    struct domain_options options = { .profile = NULL };
    domid_t id;
    int rc;

    if (!control_domid(request, &id) || !get_profile(request, &options.profile) ||
        !control_int(request, "grant_frames", -1, -1, INT32_MAX, &grant_frames) ||
        !control_int(request, "maptrack_frames", -1, -1, INT32_MAX, &maptrack_frames) ||
        !control_int(request, "grant_version", 0, 0, 2, &version) ||
        !control_int(request, "privcmd_unrestricted", 0, 0, 1, &unrestricted) ||
        !get_type(request, &options))
        return NULL;
    options.privcmd_unrestricted = unrestricted;
    options.grant_frames = (int32_t)grant_frames;
    options.maptrack_frames = (int32_t)maptrack_frames;
    options.grant_version = (unsigned)version;
    rc = machine_domain(request->machine, id) || machine_domain_is_bare(request->machine, id)
           ? -EEXIST
           : machine_domain_create_with(request->machine, id, &options, NULL);
    if (rc == -EINVAL)
        return control_refuse(request,
                              "cannot create domain %u: its limits are not possible (grant frames "
                              "1 to %u, maptrack frames "
                              "up to %u)",
                              id, hv_profile(request->machine->hv)->max_grant_frames,
                              hv_profile(request->machine->hv)->max_maptrack_frames);
    if (rc)
        return create_error(request, id, rc);
    return created(request, id);
}

json_object *verb_domain_destroy(struct request *request)
{
    struct machine *m = request->machine;
    domid_t id;

    if (!control_domid(request, &id))
        return NULL;
    if (machine_domain_destroy(m, id))
        return control_no_domain(request, id);
    settle_destroyed(m);
    return control_done();
}

/* The gfn behind a granted reference: what a person can name of a page. */
static int ref_to_gfn(struct machine *m, domid_t id, uint32_t ref, uint64_t *gfn)
{
    struct hv_domain_info domain;
    struct hv_entry_info entry;
    struct hv_frame_info frame;
    int rc = hv_entry_info(m->hv, id, ref, &entry);

    if (!rc)
        rc = hv_domain_info(m->hv, id, &domain);
    if (rc)
        return rc;
    if ((entry.flags & GTF_type_mask) != GTF_permit_access)
        return -EINVAL;
    *gfn = entry.frame;
    if (domain.auto_translated)
        return 0;
    rc = hv_frame_info(m->hv, entry.frame, &frame);
    if (!rc && frame.owner != id)
        rc = -EINVAL;
    *gfn = frame.gfn;
    return rc;
}

static json_object *page_verb(struct request *request, int (*move)(struct hv *, domid_t, uint64_t),
                              const char *what)
{
    struct machine *m = request->machine;
    uint64_t gfn;
    int64_t ref;
    domid_t id;
    int rc;

    if (!control_domid(request, &id) || !control_int(request, "ref", -1, 0, UINT32_MAX, &ref))
        return NULL;
    if (!exists(m, id))
        return control_no_domain(request, id);
    rc = ref_to_gfn(m, id, (uint32_t)ref, &gfn);
    if (rc)
        return control_refuse(request,
                              "domain %u grants nothing with reference %lld (see dump entries)", id,
                              (long long)ref);
    rc = move(m->hv, id, gfn);
    if (rc == -EBUSY)
        return control_refuse(request,
                              "the page behind reference %lld of domain %u cannot be paged out: it "
                              "is mapped by a grant, "
                              "or out already",
                              (long long)ref, id);
    if (rc == -ENOENT)
        return control_refuse(request,
                              "the page behind reference %lld of domain %u is not paged out",
                              (long long)ref, id);
    if (rc)
        return control_refuse(request, "cannot %s: %s", what, strerror(-rc));
    return control_done();
}

json_object *verb_page_out(struct request *request)
{
    return page_verb(request, hv_page_out, "page out");
}

json_object *verb_page_in(struct request *request)
{
    return page_verb(request, hv_page_in, "page in");
}

json_object *verb_dump(struct request *request)
{
    json_object *what, *result;
    int64_t only;

    if (!control_int(request, "domain", -1, -1, DOMID_FIRST_RESERVED - 1, &only))
        return NULL;
    if (only >= 0 && !exists(request->machine, (domid_t)only))
        return control_no_domain(request, (domid_t)only);
    if (!json_object_object_get_ex(request->args, "what", &what))
        what = NULL;
    result = dump_machine(request->machine, what ? json_object_get_string(what) : NULL, (int)only);
    return result ? result
                  : control_refuse(request, "cannot dump '%s': use entries, maptrack, frames or "
                                            "ports", json_object_get_string(what));
}

json_object *verb_stats(struct request *request)
{
    return dump_stats(request->machine);
}

json_object *verb_audit(struct request *request)
{
    return dump_audit(request->machine);
}

json_object *verb_findings(struct request *request)
{
    struct checks_asked asked = { .detail = control_is_true(request, "detail") };
    struct ucred asker;
    json_object *list;

    if (!machine_is_watched(request->machine))
        return control_refuse(request, "this machine checks nothing: start it with --check");
    if (control_is_true(request, "mine")) {
        if (!wire_peer(request->wire->fd, &asker) || asker.pid <= 0)
            return control_refuse(request, "the machine cannot see which process asks");
        asked.below = asker.pid;
    }
    machine_unlock(request->machine);
    list = checks_list(request->machine, &asked);
    machine_lock(request->machine);
    return list;
}

json_object *verb_shutdown(struct request *request)
{
    machine_request_stop(request->machine);
    return control_done();
}

static const char other_root[] =
    "its root directory is not the one that the machine was started in";

/*
 * Whether who asks says that it sees the host from another root directory than the machine: the
 * machine's namespaces are none for it.
 */
static bool has_other_root(struct request *request)
{
    json_object *root;

    return json_object_object_get_ex(request->args, "root", &root) &&
           fuse_way_other_root(request->machine, json_object_is_type(root, json_type_string)
                                                     ? json_object_get_string(root)
                                                     : NULL);
}

/* The path of the domain's socket, and why it is that. */
static json_object *enter_by_socket(struct request *request, struct domain *d, const char *why)
{
    json_object *result;
    const char *path;
    int rc;

    path = sock_way_path(d, false, &rc);
    if (!path)
        return control_refuse(request, "cannot make a socket for domain %u: %s", d->id,
                              strerror(-rc));
    result = control_done();
    json_object_object_add(result, "socket", json_object_new_string(path));
    if (why)
        json_object_object_add(result, "why", json_object_new_string(why));
    return result;
}

/*
 * The domain's namespaces; with_socket: and its socket in there. A machine that can make no socket
 * has device files all the same.
 */
static json_object *enter_by_devices(struct request *request, struct domain *d, bool with_socket)
{
    struct fuse_way_entry entry;
    domid_t id = d->id;
    int rc = fuse_way_enter(d, &entry), no_socket;
    const char *path;
    json_object *result;

    if (rc)
        return control_refuse(request, "cannot make a namespace for domain %u: %s", id,
                              strerror(-rc));
    if (!control_give(request, entry.ns_fd) || !control_give(request, entry.root_fd) ||
        (entry.user_ns_fd >= 0 && !control_give(request, entry.user_ns_fd)))
        return control_refuse(request, "cannot give the namespace of domain %u: %s", id,
                              strerror(errno));
    result = control_done();
    path = with_socket ? sock_way_path(d, true, &no_socket) : NULL;
    if (path)
        json_object_object_add(result, "socket", json_object_new_string(path));
    return result;
}

/*
 * Where nothing depends on the host's time, nothing should on its choice of addresses either. And
 * whether a part listens to what programs do.
 */
static json_object *say_clock(const struct machine *m, json_object *result)
{
    if (result && m->clock.is_virtual)
        json_object_object_add(result, "fixed_addresses", json_object_new_boolean(true));
    if (result && machine_is_watched(m))
        json_object_object_add(result, "watched", json_object_new_boolean(true));
    return result;
}

/* Where the domain's programs find the store. A machine without one has domains all the same.
 * And where they find gntsim's libraries, if the server brought some. */
static json_object *say_places(struct request *request, struct domain *d, bool inside,
                               json_object *result)
{
    const char *libraries = request->config->libraries_dir;
    int rc;
    const char *path = result ? store_way_path(d->machine, d->id, inside, &rc) : NULL;

    if (path)
        json_object_object_add(result, "store", json_object_new_string(path));
    if (result && libraries)
        json_object_object_add(result, "libraries", json_object_new_string(libraries));
    return say_clock(d->machine, result);
}

json_object *verb_enter(struct request *request)
{
    const struct control_config *config = request->config;
    struct machine *m = request->machine;
    const struct kernel_profile *profile;
    json_object *value;
    struct domain *d;
    domid_t id;
    int rc, way;

    if (!control_domid(request, &id) || !get_profile(request, &profile))
        return NULL;
    d = machine_domain(m, id);
    if (!d) {
        rc = machine_domain_is_bare(m, id) ? machine_domain_boot(m, id, profile, NULL)
                                           : machine_domain_create(m, id, profile, NULL);
        if (rc)
            return create_error(request, id, rc);
        /* Not for the domain of a store's daemon, which is about to enter it. */
        if (id)
            store_way_settle(m);
        d = machine_domain(m, id);
        if (!d)
            return control_no_domain(request, id);
    } else if (profile && d->profile != profile) {
        return control_refuse(
            request,
            "domain %u exists with profile %s; a profile is chosen when a domain is created", id,
            d->profile->name);
    }
    if (!json_object_object_get_ex(request->args, "way", &value))
        value = NULL;
    way = value ? parse_way(json_object_get_string(value)) : WAY_AUTO;
    if (way < 0)
        return control_refuse(request, "unknown way '%s': use auto, device or socket",
                              json_object_get_string(value));
    if (way == WAY_DEVICE && config->no_devices)
        return control_refuse(request, "this machine has no device files: %s", config->no_devices);
    if (way == WAY_DEVICE && has_other_root(request))
        return control_refuse(request,
                              "this process can have no device files of this machine: %s. Start "
                              "one here, or use --way socket",
                              other_root);
    if (way == WAY_SOCKET || config->no_devices)
        return say_places(request, d, false,
                          enter_by_socket(request, d, config->no_devices));
    if (has_other_root(request))
        return say_places(request, d, false, enter_by_socket(request, d, other_root));
    return say_places(request, d, true,
                      enter_by_devices(request, d, way == WAY_AUTO && config->libraries));
}

/* Asked without asking the file itself, which may be one that never answers. */
static bool is_listener(int fd)
{
    char path[32], name[64];
    ssize_t size;

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    size = readlink(path, name, sizeof name - 1);
    name[size < 0 ? 0 : size] = 0;
    return !strcmp(name, "anon_inode:seccomp notify");
}

json_object *verb_supervise(struct request *request)
{
    struct wire *wire = request->wire;
    struct ucred program;
    json_object *ns;
    int rc;

    /* Its end kills the programs that it finds in the namespace. This one may have come later. */
    if (json_object_object_get_ex(request->args, "ns", &ns) &&
        !fuse_way_serves(request->machine, json_object_get_uint64(ns)))
        return control_refuse(request, "the domain ended while its program was being started");
    if (wire->nr_fds && !is_listener(wire->fds[wire->nr_fds - 1]))
        return control_refuse(
            request,
            "cannot supervise: what came with the request is no listener of a seccomp filter");
    if (!wire->nr_fds)
        return control_refuse(request, wire->lost
                                           ? "cannot supervise: the machine has no descriptor left"
                                           : "no listener came with the request");
    if (!wire_peer(wire->fd, &program))
        program.pid = 0;
    machine_unlock(request->machine);
    rc = supervisor_start(request->machine, wire->fds[--wire->nr_fds], program.pid);
    machine_lock(request->machine);
    return rc ? control_refuse(request, "cannot supervise: %s", strerror(-rc)) : control_done();
}
