# SPDX-License-Identifier: MIT
"""`gntsim report`: one HTML page that shows what traces and checks tell."""
