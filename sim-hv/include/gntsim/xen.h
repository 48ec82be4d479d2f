/* SPDX-License-Identifier: MIT */
/* Xen's public headers (package libxen-dev), at the interface version that the model implements. */
#ifndef GNTSIM_XEN_H
#define GNTSIM_XEN_H

#include <stdint.h>

#ifndef __XEN_INTERFACE_VERSION__
#define __XEN_INTERFACE_VERSION__ 0x00040e00
#endif
#include <xen/xen.h>
#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/memory.h>

#endif
