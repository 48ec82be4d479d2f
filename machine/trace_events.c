/* SPDX-License-Identifier: MIT */
/* Writes what each trace event says, in the format of docs/trace.md. replay/ reads it. */
#include <fcntl.h>
#include <string.h>

#include <gntsim/ioctls.h>
#include <gntsim/ops.h>

#include "faults.h"
#include "points.h"
#include "trace_i.h"

static void put_result(struct line *line, long result)
{
    const char *name = result < 0 ? strerrorname_np((int)-result) : NULL;

    if (name)
        line_field_string(line, "result", name);
    else
        line_field(line, "result", result);
}

static void put_rule(struct line *line, uint64_t rule)
{
    if (rule)
        line_field_unsigned(line, "rule", rule);
}

/* ---- Hypercalls ------------------------------------------------------------------------------- */

static void put_fields(struct line *line, const struct hv_op *op, const void *arg)
{
    for (const struct hv_op_field *field = op->fields; field->name; field++) {
        uint16_t when;
        uint64_t value = 0;

        memcpy(&when, (const char *)arg + field->when_at, sizeof when);
        memcpy(&value, (const char *)arg + field->offset, field->size);
        if ((when & field->when_mask) == field->when_value)
            line_field_unsigned(line, field->name, value);
    }
}

void trace_hypercall(void *ctx, const struct hv_point *p, long result)
{
    struct machine *m = ctx;
    struct domain *d = machine_domain(m, p->caller);
    const struct kernel_point *call = d && d->kernel ? kernel_current(d->kernel) : NULL;
    struct line *line = trace_begin(m, p->caller, call ? call->tag & UINT32_MAX : 0, point_command_name(p->op, p->cmd));
    const char *status = p->element ? hv_status_name(result) : NULL;
    const struct hv_op *op = hv_op_find(p->op, p->cmd);

    if (call)
        line_field_unsigned(line, "call", call->call);
    line_key(line, "args");
    line_text(line, "{");
    if (p->element)
        line_field_unsigned(line, "index", p->index);
    if (p->op == __HYPERVISOR_grant_table_op)
        line_field_unsigned(line, "count", p->count);
    if (p->peer != DOMID_INVALID)
        line_field_unsigned(line, "peer", p->peer);
    if (p->ref != UINT32_MAX)
        line_field_unsigned(line, "ref", p->ref);
    if (op && p->arg)
        put_fields(line, op, p->arg);
    if (!p->element && !p->arg)
        line_field_unsigned(line, "cmd", p->cmd);
    line_text(line, "}");
    if (status)
        line_field_string(line, "result", status);
    else
        put_result(line, result);
    put_rule(line, p->tag);
    trace_end(m, false);
}

/* ---- Kernels ---------------------------------------------------------------------------------- */

static void put_ioctl(struct line *line, const struct kernel_point *p)
{
    const struct kernel_ioctl *row = kernel_ioctl_find(p->dev->name, (unsigned)p->args[0]);

    line_field_unsigned(line, "cmd", p->args[0]);
    if (row)
        line_field_string(line, "name", row->name);
    line_field_unsigned(line, "arg", p->args[1]);
}

static void put_kernel_args(struct line *line, const struct kernel_point *p)
{
    if (p->dev)
        line_field_string(line, "device", p->dev->name);
    if (p->file)
        line_field_unsigned(line, "file", p->file);
    if (p->vma)
        line_field_unsigned(line, "vma", p->vma);
    if (p->op == KERNEL_IOCTL)
        put_ioctl(line, p);
    for (unsigned i = 0; i < 4 && point_kernel_arg_name(p->op, i); i++)
        line_field(line, point_kernel_arg_name(p->op, i), (int64_t)p->args[i]);
    if (p->op == KERNEL_WRITE)
        line_field_hex(line, "hex", p->data, p->size);
    if (p->op == KERNEL_PARAM)
        line_field_string(line, "name", p->data);
}

static struct line *begin_kernel(struct machine *m, const struct kernel_point *p, const char *op)
{
    struct line *line = trace_begin(m, kernel_domid(p->kernel), p->tag & UINT32_MAX, op);

    if (p->call)
        line_field_unsigned(line, "call", p->call);
    line_key(line, "args");
    line_text(line, "{");
    return line;
}

void trace_enter(struct machine *m, const struct kernel_point *p)
{
    struct line *line;

    if (!m->trace->on)
        return;
    line = begin_kernel(m, p, "enter");
    line_field_string(line, "op", point_kernel_op_name(p->op));
    if (p->nested)
        line_field(line, "nested", 1);
    put_kernel_args(line, p);
    line_text(line, "}");
    trace_end(m, true);
}

void trace_done(struct machine *m, const struct kernel_point *p, long result)
{
    static const char *const actions[] = {
        [KERNEL_GO_ON] = "done", [KERNEL_DROP] = "drop", [KERNEL_DOUBLE] = "double", [KERNEL_LATE] = "late",
    };
    struct line *line;

    if (!m->trace->on)
        return;
    line = begin_kernel(m, p, point_kernel_op_name(p->op));
    put_kernel_args(line, p);
    line_text(line, "}");
    if (p->op >= KERNEL_UNMAP)
        line_field_string(line, "result", result >= 0 && result < (long)(sizeof actions / sizeof *actions) && actions[result]
                                              ? actions[result] : "done");
    else
        put_result(line, result);
    put_rule(line, (uint64_t)p->tag >> 32);
    trace_end(m, false);
}

void trace_user(struct machine *m, const struct kernel_point *p, enum kernel_user op, const void *data, size_t size,
                const struct vma *vma, int rc)
{
    static const char *const names[] = {
        [KERNEL_USER_READ] = "user_read", [KERNEL_USER_WRITE] = "user_write", [KERNEL_USER_FIND_VMA] = "find_vma",
        [KERNEL_USER_VMA_AT] = "vma_at",
    };
    struct line *line;

    if (!m->trace->on)
        return;
    line = begin_kernel(m, p, names[op]);
    if (op == KERNEL_USER_READ || op == KERNEL_USER_WRITE)
        line_field_unsigned(line, "size", size);
    if ((op == KERNEL_USER_READ || op == KERNEL_USER_WRITE) && !rc)
        line_field_hex(line, "hex", data, size);
    if (vma) {
        line_field_unsigned(line, "vma", vma->id);
        if (vma->file->kernel)
            line_field_unsigned(line, "of_domain", kernel_domid(vma->file->kernel));
    }
    if (op == KERNEL_USER_VMA_AT && vma)
        line_field_unsigned(line, "page", *(const uint64_t *)data);
    line_text(line, "}");
    put_result(line, rc);
    trace_end(m, true);
}

/* ---- Other inputs ----------------------------------------------------------------------------- */

void trace_machine(struct machine *m)
{
    struct line *line = trace_begin(m, -1, 0, "machine");

    line_key(line, "args");
    line_text(line, "{");
    line_field_unsigned(line, "format", m->trace->format);
    line_field_string(line, "profile", m->profile->name);
    line_field_string(line, "xen", m->xen.name);
    line_field_unsigned(line, "frames", m->nr_frames);
    line_field_unsigned(line, "seed", m->seed);
    line_field_unsigned(line, "max_grant_frames", m->xen.max_grant_frames);
    line_field_unsigned(line, "max_maptrack_frames", m->xen.max_maptrack_frames);
    line_field_string(line, "clock", m->clock.is_virtual && !m->clock.was_real ? "virtual" : "real");
    for (unsigned i = 0; i < m->nr_parts; i++)
        if (m->parts[i]->connects_kernels)
            line_field_string(line, "store", "daemon");
    line_text(line, "}");
    trace_end(m, false);
}

void trace_domain_create(struct machine *m, domid_t id, const struct kernel_profile *profile, const struct domain_options *options)
{
    struct line *line;

    if (!m->trace->on)
        return;
    line = trace_begin(m, id, 0, "domain_create");
    line_key(line, "args");
    line_text(line, "{");
    line_field_string(line, "profile", profile->name);
    line_field(line, "grant_frames", options->grant_frames);
    line_field(line, "maptrack_frames", options->maptrack_frames);
    line_field_unsigned(line, "grant_version", options->grant_version);
    if (options->privcmd_unrestricted)
        line_field(line, "privcmd_unrestricted", 1);
    if (options->store)
        line_field(line, "store", 1);
    if (options->is_hvm)
        line_field(line, "hvm", 1);
    if (options->is_made)
        line_field(line, "made", 1);
    line_text(line, "}");
    trace_end(m, false);
}

static void simple(struct machine *m, int id, const char *op, bool detail)
{
    struct line *line;

    if (!m->trace->on)
        return;
    line = trace_begin(m, id, 0, op);
    line_text(line, ",\"args\":{}");
    trace_end(m, detail);
}

void trace_domain_destroy(struct machine *m, domid_t id)
{
    simple(m, id, "domain_destroy", false);
}

void trace_domain_suspend(struct machine *m, domid_t id, domid_t as, unsigned grant_version)
{
    struct line *line;

    if (!m->trace->on)
        return;
    line = trace_begin(m, id, 0, "domain_suspend");
    line_key(line, "args");
    line_text(line, "{");
    line_field_unsigned(line, "as", as);
    line_field_unsigned(line, "grant_version", grant_version);
    line_text(line, "}");
    trace_end(m, false);
}

void trace_timers(struct machine *m, domid_t id)
{
    simple(m, id, "timers", true);
}

void trace_upcall(struct machine *m, domid_t id)
{
    simple(m, id, "upcall", true);
}

void trace_no_memory(struct machine *m)
{
    simple(m, -1, "no_memory", true);
}

void trace_not_followed(struct machine *m)
{
    if (m->trace)
        simple(m, -1, "not_followed", true);
}

void trace_page_write(struct machine *m, domid_t id, uint64_t gfn)
{
    struct line *line;

    if (!m->trace->on)
        return;
    line = trace_begin(m, id, 0, "page_write");
    line_key(line, "args");
    line_text(line, "{");
    line_field_unsigned(line, "gfn", gfn);
    line_text(line, "}");
    trace_end(m, false);
}

void trace_steps(struct machine *m)
{
    simple(m, -1, "steps", true);
}

void trace_frames(struct machine *m, const struct vma_run *runs, size_t nr_runs, bool hold)
{
    struct line *line;

    if (!m->trace->on)
        return;
    line = trace_begin(m, -1, 0, hold ? "frames_hold" : "frames_release");
    line_key(line, "args");
    line_text(line, "{");
    line_key(line, "runs");
    line_text(line, "[");
    for (size_t i = 0; i < nr_runs; i++) {
        line_text(line, i ? ",[" : "[");
        line_unsigned(line, runs[i].mfn);
        line_text(line, ",");
        line_unsigned(line, runs[i].nr);
        line_text(line, "]");
    }
    line_text(line, "]}");
    trace_end(m, true);
}

void trace_store_ring(struct machine *m, domid_t id, const struct trace_ring *ring)
{
    struct line *line;

    if (!m->trace->on)
        return;
    line = trace_begin(m, id, 0, "store_ring");
    line_key(line, "args");
    line_text(line, "{");
    if (ring->reset)
        line_field(line, "reset", 1);
    line_field_unsigned(line, "taken", ring->req_cons);
    line_field_unsigned(line, "put", ring->rsp_prod);
    line_field_hex(line, "hex", ring->bytes, ring->size);
    if (ring->error)
        line_field_unsigned(line, "error", ring->error);
    if (ring->raises)
        line_field(line, "raise", 1);
    line_text(line, "}");
    trace_end(m, true);
}

void trace_process(struct machine *m, unsigned number, const char *name)
{
    struct line *line = trace_begin(m, -1, number, "process");

    line_key(line, "args");
    line_text(line, "{");
    line_field_escaped(line, "name", name, strlen(name)); /* quotes */
    line_text(line, "}");
    trace_end(m, true);
}

void trace_grant(struct machine *m, domid_t id, const struct kernel_point *call, grant_ref_t ref,
                 const struct kernel_grant *grant)
{
    struct line *line;

    if (!m->trace->on || m->trace->format < 2)
        return;
    line = trace_begin(m, id, call ? call->tag & UINT32_MAX : 0, grant ? "grant" : "grant_end");
    if (call)
        line_field_unsigned(line, "call", call->call);
    line_key(line, "args");
    line_text(line, "{");
    line_field_unsigned(line, "ref", ref);
    if (grant) {
        line_field_unsigned(line, "to", grant->to);
        line_field_unsigned(line, "frame", grant->frame);
        line_field_unsigned(line, "flags", grant->flags);
    }
    line_text(line, "}");
    trace_end(m, true);
}

void trace_verb(struct machine *m, const char *text)
{
    struct line *line;

    if (!m->trace->on)
        return;
    line = trace_begin(m, -1, 0, "verb");
    line_key(line, "args");
    line_text(line, text);
    trace_end(m, false);
}
