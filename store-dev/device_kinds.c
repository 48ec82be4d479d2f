/* SPDX-License-Identifier: MIT */
/* The table of device kinds. */
#include "device_kinds.h"

#include <string.h>

#include <xen/io/protocols.h>

/* xvda to xvdp with 16 minor numbers each, then the extended ones with 256. */
static unsigned disk_id(unsigned nth)
{
    return nth < 16 ? 202u << 8 | nth << 4 : 1u << 28 | nth << 8;
}

static unsigned id_from_0(unsigned nth)
{
    return nth;
}

static unsigned id_from_1(unsigned nth)
{
    return nth + 1;
}

/* What each device with a back end's directory has. */
#define FRONT_COMMON \
    { "backend", "$P", KEY_FRONT | KEY_FIXED }, { "backend-id", "$B", KEY_FRONT | KEY_FIXED }, \
        { "state", "1", KEY_FRONT | KEY_FIXED }
#define BACK_BEGIN \
    { "frontend", "$F", KEY_BACK | KEY_FIXED }
#define BACK_COMMON \
    { "frontend-id", "$N", KEY_BACK | KEY_FIXED }, { "online", "1", KEY_BACK | KEY_FIXED }
#define BACK_STATE \
    { "state", "1", KEY_BACK | KEY_FIXED }

/* clang-format off */
#define DISK_KEYS(type_of_it) \
    FRONT_COMMON, \
    { "virtual-device", "$I", KEY_FRONT | KEY_FIXED }, \
    { "device-type", "disk", KEY_FRONT }, \
    { "trusted", "1", KEY_FRONT }, \
    { "protocol", XEN_IO_PROTO_ABI_NATIVE, KEY_FRONT | KEY_PV }, \
    BACK_BEGIN, \
    { "params", NULL, KEY_BACK | KEY_REQUIRED }, \
    { "script", NULL, KEY_BACK | KEY_OPTIONAL }, \
    BACK_COMMON, \
    { "removable", "0", KEY_BACK }, \
    { "bootable", "1", KEY_BACK }, \
    BACK_STATE, \
    { "dev", "$D", KEY_BACK | KEY_FIXED }, \
    { "type", type_of_it, KEY_BACK | KEY_FIXED }, \
    { "mode", "w", KEY_BACK }, \
    { "device-type", "disk", KEY_BACK }, \
    { "discard-enable", "1", KEY_BACK }, \
    { "specification", "xen", KEY_BACK | KEY_FIXED }

static const struct device_key qdisk_keys[] = { DISK_KEYS("qdisk"), { NULL, NULL, 0 } };
static const struct device_key phy_keys[] = { DISK_KEYS("phy"), { NULL, NULL, 0 } };

static const struct device_key vif_keys[] = {
    FRONT_COMMON,
    { "handle", "$I", KEY_FRONT | KEY_FIXED },
    { "mac", "$M", KEY_FRONT },
    { "trusted", "1", KEY_FRONT },
    { "mtu", NULL, KEY_FRONT | KEY_READONLY | KEY_OPTIONAL },
    BACK_BEGIN,
    BACK_COMMON,
    BACK_STATE,
    { "script", "/etc/xen/scripts/vif-bridge", KEY_BACK },
    { "vifname", NULL, KEY_BACK | KEY_OPTIONAL },
    { "mac", "$M", KEY_BACK },
    { "ip", NULL, KEY_BACK | KEY_OPTIONAL },
    { "bridge", "xenbr0", KEY_BACK },
    { "handle", "$I", KEY_BACK | KEY_FIXED },
    { "rate", NULL, KEY_BACK | KEY_OPTIONAL },
    { "mtu", NULL, KEY_BACK | KEY_OPTIONAL },
    { "type", "vif", KEY_BACK | KEY_FIXED },
    { "hotplug-status", "", KEY_BACK | KEY_FIXED },
    { NULL, NULL, 0 },
};

/* The first console is made with its domain (toolstack.c). */
static const struct device_key console_keys[] = {
    FRONT_COMMON,
    { "protocol", "vt100", KEY_FRONT },
    { "limit", "1048576", KEY_FRONT | KEY_READONLY | KEY_FIXED },
    { "type", "ioemu", KEY_FRONT | KEY_READONLY | KEY_FIXED },
    { "output", "pty", KEY_FRONT | KEY_READONLY },
    { "tty", "", KEY_FRONT | KEY_READONLY | KEY_FIXED },
    BACK_BEGIN,
    BACK_COMMON,
    BACK_STATE,
    { "protocol", "vt100", KEY_BACK },
    { "name", NULL, KEY_BACK | KEY_OPTIONAL },
    { "connection", NULL, KEY_BACK | KEY_OPTIONAL },
    { "path", NULL, KEY_BACK | KEY_OPTIONAL },
    { NULL, NULL, 0 },
};

#define SHARED_DIRECTORY_KEYS \
    FRONT_COMMON, \
    { "tag", "Xen", KEY_FRONT }, \
    BACK_BEGIN, \
    BACK_COMMON, \
    BACK_STATE, \
    { "path", NULL, KEY_BACK | KEY_REQUIRED }, \
    { "security_model", "none", KEY_BACK }

static const struct device_key p9_keys[] = { SHARED_DIRECTORY_KEYS, { NULL, NULL, 0 } };

static const struct device_key xen_9pfsd_keys[] = {
    SHARED_DIRECTORY_KEYS,
    { "max-space", NULL, KEY_BACK | KEY_OPTIONAL },
    { "max-files", NULL, KEY_BACK | KEY_OPTIONAL },
    { "max-open-files", NULL, KEY_BACK | KEY_OPTIONAL },
    { "auto-delete", NULL, KEY_BACK | KEY_OPTIONAL },
    { NULL, NULL, 0 },
};

/* The server writes the keys, and the client finds them; there are no states. */
static const struct device_key no_keys[] = { { NULL, NULL, 0 } };

const struct device_kind device_kinds[] = {
    { "vbd", "qdisk", "vbd", "qdisk", disk_id, qdisk_keys },
    { "vbd", "phy", "vbd", "vbd", disk_id, phy_keys },
    { "vif", NULL, "vif", "vif", id_from_0, vif_keys },
    { "console", NULL, "console", "console", id_from_1, console_keys },
    { "9pfs", "qemu", "9pfs", "9pfs", id_from_0, p9_keys },
    { "9pfs", "xen_9pfsd", "9pfs", "xen_9pfs", id_from_0, xen_9pfsd_keys },
    { "vchan", NULL, "vchan", NULL, id_from_0, no_keys },
    { NULL, NULL, NULL, NULL, NULL, NULL },
};
/* clang-format on */

const struct device_kind *device_kind_find(const char *name, const char *type)
{
    for (const struct device_kind *kind = device_kinds; kind->name; kind++)
        if (!strcmp(kind->name, name) && (!type || (kind->type && !strcmp(kind->type, type))))
            return kind;
    return NULL;
}

const struct device_key *device_kind_key(const struct device_kind *kind, const char *key)
{
    for (const struct device_key *row = kind->keys; row->key; row++)
        if (!strcmp(row->key, key) && !(row->flags & KEY_FIXED))
            return row;
    return NULL;
}
