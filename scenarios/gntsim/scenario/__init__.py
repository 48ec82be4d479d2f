# SPDX-License-Identifier: MIT
"""Scenario files: reading, checking and playing them. docs/scenario-format.md says what they may
contain."""
