# SPDX-License-Identifier: MIT
"""In ./test each case of the corpus runs in one of its variants (way, compiler's options), another
one each day; with --all in every one."""
import os
import zlib

VARIANTS = ("way", "flags")
WHOLE = bool(os.environ.get("GNTSIM_TEST_ALL"))


def case_of(item):
    """What is the same in all variants of a case; None: it has none."""
    params = item.callspec.params if hasattr(item, "callspec") else {}
    if not set(VARIANTS) & set(params) or getattr(item.module, "VARIANTS_ARE_CASES", False):
        return None
    return (item.module.__name__, item.originalname,
            *(repr(value) for name, value in sorted(params.items()) if name not in VARIANTS))


def is_for_another_day(item, day):
    """A module may have so many cases that only one of SAMPLE of them runs each day."""
    sample = getattr(item.module, "SAMPLE", 1)
    return (zlib.crc32(repr(case_of(item)).encode()) // 7 + day) % sample


def pytest_collection_modifyitems(config, items):
    if WHOLE:
        return
    cases = {}
    for item in items:
        if case_of(item):
            cases.setdefault(case_of(item), []).append(item)
    day = int(os.environ.get("GNTSIM_TEST_SEED") or 0)
    chosen = {variants[(zlib.crc32(repr(case).encode()) + day) % len(variants)]
              for case, variants in cases.items()}
    dropped = [item for item in items if case_of(item) and
               (item not in chosen or is_for_another_day(item, day))]
    items[:] = [item for item in items if item not in dropped]
    config.hook.pytest_deselected(items=dropped)
