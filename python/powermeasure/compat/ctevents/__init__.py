# SPDX-License-Identifier: MIT
"""The names of camera-traps' Python package that a sender of power events uses; see
powermeasure.compat."""
