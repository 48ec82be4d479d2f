# SPDX-License-Identifier: MIT
"""The machine's words, so that the check of a file finds a misspelt one. A test compares them with
what the machine says of itself."""
from __future__ import annotations

ELEMENT_POINTS = ("map_grant_ref", "unmap_grant_ref", "setup_table", "transfer", "copy", "query_size", "unmap_and_replace",
                  "get_status_frames", "swap_grant_ref")
POINTS = (
    "*", *ELEMENT_POINTS, "dump_table", "set_version", "get_version", "cache_flush", "grant_table_op", "memory_op", "event_channel_op",
    *("evtchn_" + word for word in ("bind_interdomain", "bind_virq", "bind_pirq", "close", "send", "status", "alloc_unbound", "bind_ipi",
                                    "bind_vcpu", "unmask", "reset", "init_control", "expand_array", "set_priority")),
    "open", "ioctl", "mmap", "read", "write", "poll", "release", "munmap", "unmap", "notify", "event", "defer",
)
DEVICES = ("gntdev", "gntalloc", "evtchn", "privcmd")
IOCTLS = (
    "MAP_GRANT_REF", "UNMAP_GRANT_REF", "GET_OFFSET_FOR_VADDR", "SET_MAX_GRANTS", "SET_UNMAP_NOTIFY", "GRANT_COPY",
    "DMABUF_EXP_FROM_REFS", "DMABUF_EXP_WAIT_RELEASED", "DMABUF_IMP_TO_REFS", "DMABUF_IMP_RELEASE", "ALLOC_GREF", "DEALLOC_GREF",
    "BIND_VIRQ", "BIND_INTERDOMAIN", "BIND_UNBOUND_PORT", "UNBIND", "NOTIFY", "RESET", "RESTRICT_DOMID", "BIND_STATIC",
    "HYPERCALL", "MMAP", "MMAPBATCH", "MMAPBATCH_V2", "DM_OP", "RESTRICT", "MMAP_RESOURCE",
    "IRQFD", "IOEVENTFD", "PCIDEV_GET_GSI",
)
STATUSES = (
    "okay", "general_error", "bad_domain", "bad_gntref", "bad_handle", "bad_virt_addr", "bad_dev_addr", "no_device_space",
    "permission_denied", "bad_page", "bad_copy_arg", "address_too_big", "eagain", "no_space",
)
DOMAIN_OPTIONS = ("grant_frames", "maptrack_frames", "grant_version", "privcmd_unrestricted")
LIMITS = ("grant_frames", "maptrack_frames", "gntalloc", "gntdev", "privcmd_unrestricted")
ADVERSARIES = ("rewrite-entries", "flip", "stale", "guess", "flood")
ADVERSARY_KEYS = ("domain", "kind", "id", "n", "seed", "steps", "thread", "first", "last", "page", "mapping", "ref", "offset", "words",
                  "values", "granter", "port", "burst")
COUNTERS = ("domains", "open_files", "mappings", "frames_free", "frames_total", "fuse_requests", "socket_requests", "notifications",
            "mappings_made", "mmap_eagain", "hypercalls", "events")
COLUMNS = {
    "entries": ("domain", "ref", "flags", "to", "frame", "host_read", "host_write", "dev_read", "dev_write"),
    "maptrack": ("domain", "handle", "granter", "ref", "flags"),
    "frames": ("domain", "mfn", "gfn", "refs", "writable_types"),
    "ports": ("domain", "port", "state", "remote_domain", "remote_port", "virq", "pending", "masked"),
}
